/* SPDX-License-Identifier: Apache-2.0 */
/* From an Ethernet frame to the datagram in it: for the programs at an interface, which see packets before the kernel
 * has taken them apart. Whatever is not addressed to the peer port passes untouched and uncounted. */
#pragma once
#include "judge.h"

#define VLAN_TAGS_MAX 2         /* QinQ */
#define EXTENSION_HEADERS_MAX 8 /* IPv6; a longer chain to our address is dropped, or it would be a way around */

enum { ETHERTYPE_IPV4 = 0x0800, ETHERTYPE_VLAN = 0x8100, ETHERTYPE_IPV6 = 0x86dd, ETHERTYPE_QINQ = 0x88a8 };
enum { HOP_BY_HOP = 0, UDP = 17, ROUTING = 43, FRAGMENT_HEADER = 44, AUTHENTICATION = 51, DESTINATION_OPTIONS = 60 };

/* The frame, whichever program looks at it. `xdp` is constant in each, so that the other branch is not compiled. */
struct frame {
	void *ctx;
	int xdp;
	u32 bytes;
};

/* Where the datagram lies, once the IP header has been read. */
struct packet {
	u32 source[4], destination[4];
	u32 udp;      /* offset of the UDP header */
	u32 end;      /* where IP says that the packet ends */
	int fragment; /* it is the first fragment of several */
	int ipv6;
};

enum found { ELSEWHERE, DATAGRAM, FIRST_FRAGMENT, CONTRADICTION };

INLINE long load(const struct frame *frame, u32 offset, void *to, u32 bytes)
{
	return frame->xdp ? bpf_xdp_load_bytes(frame->ctx, offset, to, bytes)
			  : bpf_skb_load_bytes(frame->ctx, offset, to, bytes);
}

INLINE void map_ipv4(u32 to[4], u32 address)
{
	to[0] = to[1] = 0;
	to[2] = swap32(0xffff);
	to[3] = address;
}

/* RFC 791 §3.1. */
INLINE int read_ipv4(const struct frame *frame, u32 offset, struct packet *packet)
{
	struct { u8 length, tos; u16 total, id, fragment; u8 ttl, protocol; u16 sum; u32 source, destination; } ip;

	if (load(frame, offset, &ip, sizeof ip) || ip.length >> 4 != 4 || (ip.length & 15) < 5 || ip.protocol != UDP)
		return 0;
	if (swap16(ip.fragment) & 0x1fff)
		return 0; /* not the first: without the first it comes to nothing */
	packet->fragment = (swap16(ip.fragment) & 0x2000) != 0;
	map_ipv4(packet->source, ip.source);
	map_ipv4(packet->destination, ip.destination);
	packet->udp = offset + (ip.length & 15) * 4;
	packet->end = offset + swap16(ip.total);
	packet->ipv6 = 0;
	return 1;
}

/* RFC 8200 §3 and §4. Returns 0 when it holds no UDP. A chain that is too long leaves `udp` at 0. */
INLINE int read_ipv6(const struct frame *frame, u32 offset, struct packet *packet)
{
	struct { u32 flow; u16 payload; u8 next, hops; u32 source[4], destination[4]; } ip;

	if (load(frame, offset, &ip, sizeof ip) || (ip.flow & 0xf0) != 0x60)
		return 0;
	__builtin_memcpy(packet->source, ip.source, 16);
	__builtin_memcpy(packet->destination, ip.destination, 16);
	packet->end = offset + sizeof ip + swap16(ip.payload);
	packet->fragment = 0;
	packet->ipv6 = 1;
	packet->udp = 0;
	u32 next = ip.next;
	offset += sizeof ip;
	for (int i = 0; i <= EXTENSION_HEADERS_MAX; i++) {
		struct { u8 next, length; u16 fragment; } extension;
		if (next == UDP) {
			packet->udp = offset;
			return 1;
		}
		if (next != HOP_BY_HOP && next != ROUTING && next != DESTINATION_OPTIONS && next != FRAGMENT_HEADER &&
		    next != AUTHENTICATION)
			return 0;
		if (load(frame, offset, &extension, sizeof extension))
			return 0;
		if (next == FRAGMENT_HEADER) {
			if (swap16(extension.fragment) & 0xfff8)
				return 0;
			packet->fragment |= swap16(extension.fragment) & 1;
			offset += 8;
		} else if (next == AUTHENTICATION) {
			offset += (extension.length + 2) * 4;
		} else {
			offset += (extension.length + 1) * 8;
		}
		next = extension.next;
	}
	return 1;
}

INLINE int is_local(const struct config *config, const struct packet *packet)
{
	if (config->any & (packet->ipv6 ? ANY_IPV6 : ANY_IPV4))
		return 1;
	return packet->destination[0] == config->local[0] && packet->destination[1] == config->local[1] &&
	       packet->destination[2] == config->local[2] && packet->destination[3] == config->local[3];
}

INLINE int read_packet(const struct frame *frame, struct packet *packet)
{
	u32 offset = 12;
	u16 type;

	if (load(frame, offset, &type, sizeof type))
		return 0;
	for (int i = 0; i < VLAN_TAGS_MAX; i++) {
		if (type != swap16(ETHERTYPE_VLAN) && type != swap16(ETHERTYPE_QINQ))
			break;
		offset += 4;
		if (load(frame, offset, &type, sizeof type))
			return 0;
	}
	offset += 2;
	if (type == swap16(ETHERTYPE_IPV4))
		return read_ipv4(frame, offset, packet);
	if (type == swap16(ETHERTYPE_IPV6))
		return read_ipv6(frame, offset, packet);
	return 0;
}

/* Finds the datagram for the peer port in the frame. `arrival->bytes` is set for everything but ELSEWHERE. */
INLINE int find(const struct frame *frame, const struct config *config, struct arrival *arrival, u32 segs, u32 size)
{
	struct { u16 source, destination, length, sum; } udp;
	struct packet packet = {};

	if (!read_packet(frame, &packet) || !is_local(config, &packet))
		return ELSEWHERE;
	split(arrival, 0, 0, 0);
	if (!packet.udp)
		return CONTRADICTION; /* a chain of extension headers that nobody sends */
	if (load(frame, packet.udp, &udp, sizeof udp) || swap16(udp.destination) != config->port)
		return ELSEWHERE;

	u32 start = packet.udp + sizeof udp, end = packet.end < frame->bytes ? packet.end : frame->bytes;
	split(arrival, end > start ? end - start : 0, segs, size);
	if (packet.fragment)
		return FIRST_FRAGMENT;
	u32 length = swap16(udp.length);
	/* No host sends from a mapped address; here it would pass for the IPv4 one. */
	if (packet.ipv6 && !packet.source[0] && !packet.source[1] && packet.source[2] == swap32(0xffff))
		return CONTRADICTION;
	if (packet.end > frame->bytes || length < sizeof udp || packet.udp + length > packet.end)
		return CONTRADICTION;
	split(arrival, length - sizeof udp, segs, size);
	if (arrival->first_bytes >= HEADER_BYTES && load(frame, start, arrival->header, HEADER_BYTES))
		return CONTRADICTION; /* cannot be: the lengths were checked */
	__builtin_memcpy(arrival->source.address, packet.source, 16);
	arrival->source.port = swap16(udp.source);
	return DATAGRAM;
}

/* Returns whether the frame passes. */
INLINE int judge_frame(const struct frame *frame, u32 segs, u32 size)
{
	struct arrival arrival = {};
	const struct config *config = policy();
	if (!config)
		return 1;
	switch (find(frame, config, &arrival, segs, size)) {
	case DATAGRAM:
		return judge(config, &arrival);
	case FIRST_FRAGMENT:
		count_verdict(FRAGMENT, arrival.datagrams, arrival.bytes);
		return 0;
	case CONTRADICTION:
		count_verdict(MALFORMED, arrival.datagrams, arrival.bytes);
		return 0;
	default:
		return 1;
	}
}
