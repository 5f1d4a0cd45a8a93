/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs share with userspace. `src/kernel/layout.rs` holds the same structures. */
#pragma once
#include "bpf_min.h"

/* Numbers of peers are bytes. */
#define PEERS_MAX 256
#define PEER_ADDRESSES_MAX 256
#define UNKNOWN_SOURCES_MAX 1024

/* One rate of the policy: what a datagram costs, and how far a bucket may run ahead of the clock. */
struct rate {
	u64 interval_ns;
	u64 tolerance_ns;
};

struct config {
	u64 clock_ns; /* read only when `injected_clock` is set */
	u64 key[2];   /* of the connection ids' SipHash */
	struct rate established, unproven;
	u32 local[4]; /* as in `struct source`; only the programs at an interface look at it */
	u16 port;     /* in host order */
	u8 any;       /* ANY_IPV4 | ANY_IPV6: `local` is unspecified for that family */
	u8 pad[5];
};
enum { ANY_IPV4 = 1, ANY_IPV6 = 2 };

/* Who sent it: IPv4 as ::ffff:a.b.c.d, the port in host order (0 in `peers`: any). */
struct source {
	u32 address[4];
	u16 port;
	u16 zero;
};

/* What userspace thinks of a peer. Written through shared memory; the quarantine ends by itself. */
struct standing {
	u64 quarantined_until_ns;
	u32 reason;
	u32 tightened; /* rates are divided by it; 0 is 1 */
};

/* Two buckets a peer: theoretical arrival times (GCRA). Only the programs write them. */
struct buckets {
	u64 established_arrival_ns;
	u64 unproven_arrival_ns;
};

/* The behaviour of a peer. The programs write what says so, userspace the rest, each field with atomic operations. */
struct peer_stats {
	u64 total_messages; /* programs */
	u64 invalid_signatures;
	u64 timing_violations;
	u64 contradictory_responses;
	u64 last_activity_ns; /* programs */
	u32 reputation_score;
	u32 consecutive_faults;
	u64 dropped_messages; /* programs */
	u64 bytes;            /* programs */
};

struct unknown {
	u64 datagrams;
	u64 bytes;
	u64 last_ns;
};

struct count {
	u64 datagrams;
	u64 bytes;
};

enum verdict {
	PASS_ESTABLISHED,
	PASS_UNPROVEN,
	UNKNOWN_SOURCE,
	QUARANTINED,
	FLOOD_ESTABLISHED,
	FLOOD_UNPROVEN,
	MALFORMED,
	VERSION,
	SMALL_INITIAL,
	FRAGMENT,
	VERDICTS,
};

/* Set by tests alone, before the program is loaded: time is then what `config` says, and not the kernel's clock.
 * Constant for the verifier, which removes the branch that is not taken. */
const volatile u64 injected_clock = 0;

struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct config);
} config SEC(".maps");

struct {
	MAP_UINT(type, BPF_MAP_TYPE_HASH);
	MAP_UINT(max_entries, PEER_ADDRESSES_MAX);
	MAP_TYPE(key, struct source);
	MAP_TYPE(value, u32);
} peers SEC(".maps");

/* Shared memory with userspace: quarantines need no system call, hence no privilege, on any kernel. */
struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, PEERS_MAX);
	MAP_UINT(map_flags, BPF_F_MMAPABLE);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct standing);
} quarantine SEC(".maps");

struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, PEERS_MAX);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct buckets);
} buckets SEC(".maps");

/* Deviates from an LRU: the peers are known beforehand, and no flood may push one out. */
struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, PEERS_MAX);
	MAP_UINT(map_flags, BPF_F_MMAPABLE);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct peer_stats);
} peer_stats SEC(".maps");

/* Disposable: spoofed sources push each other out, and nothing else. */
struct {
	MAP_UINT(type, BPF_MAP_TYPE_LRU_HASH);
	MAP_UINT(max_entries, UNKNOWN_SOURCES_MAX);
	MAP_TYPE(key, u32[4]);
	MAP_TYPE(value, struct unknown);
} unknown_stats SEC(".maps");

struct {
	MAP_UINT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	MAP_UINT(max_entries, VERDICTS);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct count);
} verdicts SEC(".maps");
