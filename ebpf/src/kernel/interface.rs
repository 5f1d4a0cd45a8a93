//! What must hold of an interface before a program is put there.

use std::{io, os::fd::AsRawFd};

use crate::FilterError;

/// Checks that the interface exists in this network namespace and carries Ethernet frames, as the programs expect.
pub(super) fn check(name: &str) -> Result<(), FilterError> {
    let kernel =
        |source: io::Error| FilterError::Kernel { what: "look at the interface", source: source.into() };
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").or_else(|_| std::net::UdpSocket::bind("[::1]:0"));
    let socket = socket.map_err(kernel)?;
    // SAFETY: ifreq is integers and unions of such; all zero is a value of it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(FilterError::UnknownInterface { name: name.to_string() });
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    // SAFETY: the descriptor is open, and SIOCGIFHWADDR reads the name and writes the address of a valid ifreq.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFHWADDR, &raw mut request) };
    if result != 0 {
        let error = io::Error::last_os_error();
        return Err(match error.raw_os_error() {
            Some(libc::ENODEV) => FilterError::UnknownInterface { name: name.to_string() },
            _ => kernel(error),
        });
    }
    // SAFETY: SIOCGIFHWADDR succeeded, so that the union holds the hardware address; its family is an integer.
    match unsafe { request.ifr_ifru.ifru_hwaddr.sa_family } {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Ok(()),
        _ => Err(FilterError::NotEthernet { name: name.to_string() }),
    }
}
