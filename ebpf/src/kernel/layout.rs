//! The structures of `bpf/maps.h`, as userspace sees them.

use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicU32, AtomicU64},
};

use aya::Pod;

use crate::{
    Policy, Rate,
    address::{Source, octets},
};

/// `struct rate`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct RawRate {
    pub(crate) interval_ns: u64,
    pub(crate) tolerance_ns: u64,
}

/// `struct config`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Config {
    pub(crate) clock_ns: u64,
    pub(crate) key: [u64; 2],
    pub(crate) established: RawRate,
    pub(crate) unproven: RawRate,
    pub(crate) local: [u8; 16],
    pub(crate) port: u16,
    pub(crate) any: u8,
    pub(crate) pad: [u8; 5],
}

/// `struct source`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct RawSource {
    address: [u8; 16],
    port: u16,
    zero: u16,
}

/// `struct unknown`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Unknown {
    pub(crate) datagrams: u64,
    pub(crate) bytes: u64,
    pub(crate) last_ns: u64,
}

/// `struct count`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Count {
    pub(crate) datagrams: u64,
    pub(crate) bytes: u64,
}

/// `struct standing`, in memory that the kernel reads at the same time.
#[repr(C)]
pub(crate) struct Standing {
    pub(crate) quarantined_until_ns: AtomicU64,
    pub(crate) reason: AtomicU32,
    pub(crate) tightened: AtomicU32,
}

/// `struct peer_stats`, in memory that the kernel writes at the same time.
#[repr(C)]
pub(crate) struct PeerStats {
    pub(crate) total_messages: AtomicU64,
    pub(crate) invalid_signatures: AtomicU64,
    pub(crate) timing_violations: AtomicU64,
    pub(crate) contradictory_responses: AtomicU64,
    pub(crate) last_activity_ns: AtomicU64,
    pub(crate) reputation_score: AtomicU32,
    pub(crate) consecutive_faults: AtomicU32,
    pub(crate) dropped_messages: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

// SAFETY: the following are plain integers without padding, for which every pattern of bits is a value.
unsafe impl Pod for Config {}
// SAFETY: as above.
unsafe impl Pod for RawSource {}
// SAFETY: as above.
unsafe impl Pod for Unknown {}
// SAFETY: as above.
unsafe impl Pod for Count {}

impl Config {
    pub(crate) fn of(policy: &Policy) -> Config {
        let [first, second] = halves(policy.connection_id_key);
        Config {
            clock_ns: 0,
            key: [first, second],
            established: policy.limits.established.into(),
            unproven: policy.limits.unproven.into(),
            local: octets(policy.local.ip()),
            port: policy.local.port(),
            any: any(policy.local),
            pad: [0; 5],
        }
    }
}

impl From<Rate> for RawRate {
    fn from(rate: Rate) -> RawRate {
        RawRate { interval_ns: rate.interval_ns(), tolerance_ns: rate.tolerance_ns() }
    }
}

impl From<Source> for RawSource {
    fn from(source: Source) -> RawSource {
        RawSource { address: source.address, port: source.port, zero: 0 }
    }
}

/// The key of SipHash is two numbers, least byte first.
fn halves(key: [u8; 16]) -> [u64; 2] {
    let whole = u128::from_le_bytes(key);
    [whole as u64, (whole >> 64) as u64]
}

/// For which families `local` stands for every address: a socket on `::` receives IPv4 too.
fn any(local: SocketAddr) -> u8 {
    match local.ip() {
        IpAddr::V4(address) if address.is_unspecified() => ANY_IPV4,
        IpAddr::V6(address) if address.is_unspecified() => ANY_IPV4 | ANY_IPV6,
        _ => 0,
    }
}

const ANY_IPV4: u8 = 1;
const ANY_IPV6: u8 = 2;

const _: () = {
    assert!(size_of::<Config>() == 80 && size_of::<RawSource>() == 20);
    assert!(size_of::<Standing>() == 16 && size_of::<PeerStats>() == 64);
    assert!(size_of::<Unknown>() == 24 && size_of::<Count>() == 16);
};
