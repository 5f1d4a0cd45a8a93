//! Options of the peer port's socket that no library sets for us.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Lets datagrams arrive one by one. Joined ones are judged by the first of them: a forger who gets his own to be joined to a peer's, which
/// needs no more than its address and length, would have the peer's dropped with them.
///
/// To be called after QUIC has taken the socket over, since it asks for joined ones. Source: udp(7), UDP_GRO.
///
/// Errors: those of setsockopt(2).
pub fn arrive_one_by_one(socket: impl AsFd) -> io::Result<()> {
    set(socket, libc::SOL_UDP, libc::UDP_GRO, 0)
}

/// Nobody can take the filter off the socket from now on. Source: socket(7), SO_LOCK_FILTER.
pub(crate) fn lock_filter(socket: impl AsFd) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_LOCK_FILTER, 1)
}

fn set(socket: impl AsFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let (socket, length) = (socket.as_fd(), size_of_val(&value) as libc::socklen_t);
    // SAFETY: the descriptor is open, and the option's value is an int that lives through the call.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
