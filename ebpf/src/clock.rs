//! The one clock of the filter: CLOCK_MONOTONIC in nanoseconds, which is what `bpf_ktime_get_ns` reads in the kernel.

use std::time::Duration;

/// Returns the nanoseconds of CLOCK_MONOTONIC. Time in which the machine was suspended does not count.
pub(crate) fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, writable timespec for the length of the call, and the clock id is a constant.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    assert_eq!(result, 0, "every Linux has CLOCK_MONOTONIC");
    let seconds = u64::try_from(time.tv_sec).expect("CLOCK_MONOTONIC counts from boot");
    let nanoseconds = u64::try_from(time.tv_nsec).expect("nanoseconds are never negative");
    seconds * NANOSECONDS + nanoseconds
}

/// Returns `span` in nanoseconds; what does not fit (584 years) is the longest there is.
pub(crate) fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds in a second.
pub(crate) const NANOSECONDS: u64 = 1_000_000_000;
