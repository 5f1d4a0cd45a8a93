/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-2-4 of a message of four bytes: the tag of a connection id (Aumasson & Bernstein 2012 §2). */
#pragma once
#include "bpf_min.h"

#define ROTATE(x, bits) (((x) << (bits)) | ((x) >> (64 - (bits))))
#define SIP_ROUND                                                                                                      \
	do {                                                                                                           \
		v0 += v1; v1 = ROTATE(v1, 13); v1 ^= v0; v0 = ROTATE(v0, 32);                                          \
		v2 += v3; v3 = ROTATE(v3, 16); v3 ^= v2;                                                               \
		v0 += v3; v3 = ROTATE(v3, 21); v3 ^= v0;                                                               \
		v2 += v1; v1 = ROTATE(v1, 17); v1 ^= v2; v2 = ROTATE(v2, 32);                                          \
	} while (0)

INLINE u64 siphash(const u64 key[2], u32 nonce)
{
	u64 v0 = 0x736f6d6570736575ULL ^ key[0], v1 = 0x646f72616e646f6dULL ^ key[1];
	u64 v2 = 0x6c7967656e657261ULL ^ key[0], v3 = 0x7465646279746573ULL ^ key[1];
	u64 block = (4ULL << 56) | nonce; /* the length, then the bytes */

	v3 ^= block;
	SIP_ROUND;
	SIP_ROUND;
	v0 ^= block;
	v2 ^= 0xff;
	SIP_ROUND;
	SIP_ROUND;
	SIP_ROUND;
	SIP_ROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}
