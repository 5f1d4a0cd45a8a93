/* SPDX-License-Identifier: Apache-2.0 */
/* The filter on the peer port, three programs with one policy: on the UDP socket, at the ingress of an interface (tc), at
 * its driver (XDP). Which one is loaded is up to userspace (`src/kernel/`). */
#include "frame.h"

/* On the socket the packet is reassembled and decapsulated: its data begin at the UDP header, and the IP header is
 * reached through the network offset. Returns how many bytes to keep: all or none. */
SEC("socket")
int on_socket(struct __sk_buff *skb)
{
	struct { u16 source, destination, length, sum; } udp;
	struct arrival arrival = {};
	u32 protocol = skb->protocol, bytes = skb->len, segs = skb->gso_segs, size = skb->gso_size;
	const struct config *config = policy();

	if (!config || bytes < sizeof udp || bpf_skb_load_bytes(skb, 0, &udp, sizeof udp))
		return 0;
	if (protocol == swap16(ETHERTYPE_IPV4)) {
		u32 address;
		if (bpf_skb_load_bytes_relative(skb, 12, &address, sizeof address, BPF_HDR_START_NET))
			return 0;
		map_ipv4(arrival.source.address, address);
	} else if (bpf_skb_load_bytes_relative(skb, 8, arrival.source.address, 16, BPF_HDR_START_NET)) {
		return 0;
	}
	arrival.source.port = swap16(udp.source);
	split(&arrival, bytes - sizeof udp, segs, size);
	if (arrival.first_bytes >= HEADER_BYTES && bpf_skb_load_bytes(skb, sizeof udp, arrival.header, HEADER_BYTES))
		return 0;
	return judge(config, &arrival) ? -1 : 0;
}

SEC("classifier")
int at_ingress(struct __sk_buff *skb)
{
	u32 segs = skb->gso_segs, size = skb->gso_size;
	struct frame frame = { .ctx = skb, .xdp = 0, .bytes = skb->len };
	return judge_frame(&frame, segs, size) ? TCX_NEXT : TCX_DROP;
}

/* A driver that joined datagrams, or a sender that left them joined, counts as one here: XDP has no word for it. */
SEC("xdp.frags")
int at_driver(struct xdp_md *xdp)
{
	struct frame frame = { .ctx = xdp, .xdp = 1, .bytes = bpf_xdp_get_buff_len(xdp) };
	return judge_frame(&frame, 0, 0) ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "Apache-2.0";
