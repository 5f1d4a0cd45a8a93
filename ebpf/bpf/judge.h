/* SPDX-License-Identifier: Apache-2.0 */
/* The policy: one verdict for what arrived, the same wherever the program sits. `src/twin.rs` and `src/shape.rs` hold
 * the same rules, and a table of cases holds the two together. */
#pragma once
#include "maps.h"
#include "siphash.h"

/* Bytes of the datagram that the policy looks at. Nothing shorter can be QUIC: a stateless reset has 21 (RFC 9000 §10.3). */
#define HEADER_BYTES 21
#define INITIAL_BYTES_MIN 1200 /* RFC 9000 §14.1 */
#define ID_BYTES 8             /* of the ids that we make */
#define ID_BYTES_MAX 20        /* RFC 9000 §17.2 */

/* What arrived: one datagram, or several of one source and size that the kernel joined (GRO). */
struct arrival {
	struct source source;
	u32 bytes;       /* of all datagrams */
	u32 datagrams;   /* how many, at least 1 */
	u32 first_bytes; /* of the first */
	u8 header[24];   /* the first HEADER_BYTES of the first, if it has as many */
};

INLINE u32 load32(const u8 *from)
{
	return from[0] | (u32)from[1] << 8 | (u32)from[2] << 16 | (u32)from[3] << 24;
}

INLINE int is_ours(const struct config *config, const u8 *id)
{
	return (u32)siphash(config->key, load32(id)) == load32(id + 4);
}

/* Returns PASS_ESTABLISHED, PASS_UNPROVEN, or why the datagram can be no QUIC for us. RFC 8999 §5, RFC 9000 §17.
 * The fixed bit is not looked at: endpoints may grease it (RFC 9287). */
INLINE u32 shape(const struct config *config, const struct arrival *arrival)
{
	const u8 *header = arrival->header;

	if (arrival->first_bytes < HEADER_BYTES)
		return MALFORMED;
	if (!(header[0] & 0x80))
		return is_ours(config, header + 1) ? PASS_ESTABLISHED : PASS_UNPROVEN;

	u32 version = swap32(load32(header + 1));
	if (version > 1) /* 0 negotiates, 1 is the only one that replicas speak */
		return VERSION;
	u32 id_bytes = header[5];
	if (id_bytes > ID_BYTES_MAX || arrival->first_bytes < 6 + id_bytes + 1)
		return MALFORMED;
	if (id_bytes == ID_BYTES && is_ours(config, header + 6))
		return PASS_ESTABLISHED;
	if (version == 1 && (header[0] & 0x30) == 0 && arrival->first_bytes < INITIAL_BYTES_MIN)
		return SMALL_INITIAL;
	return PASS_UNPROVEN;
}

/* GCRA (ITU-T I.371 annex A). An empty bucket lets one packet through whatever it costs. Processors that admit at the
 * same moment try again; who loses ADMIT_TRIES times in a row is in a flood. */
#define ADMIT_TRIES 4
INLINE int admits(u64 *arrival_ns, u64 now_ns, u64 cost_ns, u64 tolerance_ns)
{
#pragma unroll
	for (int i = 0; i < ADMIT_TRIES; i++) {
		u64 seen = *(volatile u64 *)arrival_ns;
		u64 next = (seen > now_ns ? seen : now_ns) + cost_ns;
		if (seen > now_ns && next - now_ns > tolerance_ns)
			return 0;
		if (__sync_val_compare_and_swap(arrival_ns, seen, next) == seen)
			return 1;
	}
	return 0;
}

INLINE u32 judge_peer(const struct config *config, const struct arrival *arrival, u32 id, u64 now_ns)
{
	struct standing *standing = bpf_map_lookup_elem(&quarantine, &id);
	struct buckets *bucket = bpf_map_lookup_elem(&buckets, &id);
	if (!standing || !bucket)
		return UNKNOWN_SOURCE; /* cannot be: the tables have a place for every number of a peer */

	if (now_ns < *(volatile u64 *)&standing->quarantined_until_ns)
		return QUARANTINED;
	u32 verdict = shape(config, arrival);
	u64 weight = *(volatile u32 *)&standing->tightened;
	weight = (weight ? weight : 1) * arrival->datagrams;
	if (verdict == PASS_ESTABLISHED) {
		const struct rate *rate = &config->established;
		if (!admits(&bucket->established_arrival_ns, now_ns, weight * rate->interval_ns, rate->tolerance_ns))
			return FLOOD_ESTABLISHED;
	} else if (verdict == PASS_UNPROVEN) {
		const struct rate *rate = &config->unproven;
		if (!admits(&bucket->unproven_arrival_ns, now_ns, weight * rate->interval_ns, rate->tolerance_ns))
			return FLOOD_UNPROVEN;
	}
	return verdict;
}

INLINE void count_peer(const struct arrival *arrival, u32 id, u32 verdict, u64 now_ns)
{
	struct peer_stats *stats = bpf_map_lookup_elem(&peer_stats, &id);
	if (!stats)
		return;
	__sync_fetch_and_add(&stats->total_messages, arrival->datagrams);
	__sync_fetch_and_add(&stats->bytes, arrival->bytes);
	if (verdict == PASS_ESTABLISHED)
		*(volatile u64 *)&stats->last_activity_ns = now_ns;
	if (verdict > PASS_UNPROVEN)
		__sync_fetch_and_add(&stats->dropped_messages, arrival->datagrams);
}

INLINE void count_unknown(const struct arrival *arrival, u64 now_ns)
{
	struct unknown *seen = bpf_map_lookup_elem(&unknown_stats, arrival->source.address);
	if (!seen) {
		struct unknown fresh = {};
		bpf_map_update_elem(&unknown_stats, arrival->source.address, &fresh, BPF_NOEXIST);
		seen = bpf_map_lookup_elem(&unknown_stats, arrival->source.address);
	}
	if (!seen)
		return;
	__sync_fetch_and_add(&seen->datagrams, arrival->datagrams);
	__sync_fetch_and_add(&seen->bytes, arrival->bytes);
	*(volatile u64 *)&seen->last_ns = now_ns;
}

INLINE void count_verdict(u32 verdict, u32 datagrams, u32 bytes)
{
	struct count *count = bpf_map_lookup_elem(&verdicts, &verdict);
	if (!count)
		return;
	count->datagrams += datagrams; /* one processor, one copy */
	count->bytes += bytes;
}

INLINE struct config *policy(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&config, &zero);
}

/* Judges what arrived and counts it. Returns whether it passes. */
INLINE int judge(const struct config *config, const struct arrival *arrival)
{
	u64 now_ns = injected_clock ? config->clock_ns : bpf_ktime_get_ns();
	u32 verdict = UNKNOWN_SOURCE;

	u32 *id = bpf_map_lookup_elem(&peers, &arrival->source);
	if (!id) {
		struct source any_port = arrival->source;
		any_port.port = 0;
		id = bpf_map_lookup_elem(&peers, &any_port);
	}
	if (id) {
		verdict = judge_peer(config, arrival, *id, now_ns);
		count_peer(arrival, *id, verdict, now_ns);
	} else {
		count_unknown(arrival, now_ns);
	}
	count_verdict(verdict, arrival->datagrams, arrival->bytes);
	return verdict <= PASS_UNPROVEN;
}

/* How many datagrams the kernel joined. Packets from a virtual machine's host may say the size and not the number. */
INLINE void split(struct arrival *arrival, u32 bytes, u32 gso_segs, u32 gso_size)
{
	arrival->bytes = bytes;
	arrival->datagrams = gso_segs ? gso_segs : gso_size ? (bytes + gso_size - 1) / gso_size : 1;
	if (!arrival->datagrams)
		arrival->datagrams = 1;
	arrival->first_bytes = gso_size && gso_size < bytes ? gso_size : bytes;
}
