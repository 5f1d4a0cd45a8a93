//! The network interfaces of this machine and their addresses.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

/// The addresses of each interface, by its name. Link-local IPv6 addresses are left out: they mean nothing without a scope.
pub fn addresses() -> io::Result<BTreeMap<String, Vec<IpAddr>>> {
    let mut first: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: on success the call stores a list in `first` that stays valid until `freeifaddrs`.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    let mut next = first;
    // SAFETY: `next` is null or an element of the list, which was not freed yet.
    while let Some(interface) = unsafe { next.as_ref() } {
        // SAFETY: the name of an element is a string that ends in zero.
        let name = unsafe { CStr::from_ptr(interface.ifa_name) }.to_string_lossy().into_owned();
        let addresses = found.entry(name).or_default();
        // SAFETY: the address of an element is null or as long as its family says.
        if let Some(address) = unsafe { address_of(interface.ifa_addr) } {
            addresses.push(address);
        }
        next = interface.ifa_next;
    }
    // SAFETY: `first` came from `getifaddrs` and nothing refers to the list any more.
    unsafe { libc::freeifaddrs(first) };
    Ok(found)
}

/// The IP address at `address`, if it is one that can be bound.
///
/// # Safety
///
/// `address` is null or points to a socket address that is as long as its family says.
unsafe fn address_of(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: not null, and every socket address begins with its family.
    let family = i32::from(unsafe { address.as_ref() }?.sa_family);
    match family {
        libc::AF_INET => {
            // SAFETY: the family says so.
            let address = unsafe { address.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr))))
        }
        libc::AF_INET6 => {
            // SAFETY: the family says so.
            let address = unsafe { address.cast::<libc::sockaddr_in6>().read_unaligned() };
            let address = Ipv6Addr::from(address.sin6_addr.s6_addr);
            (!address.is_unicast_link_local()).then_some(IpAddr::V6(address))
        }
        _ => None,
    }
}
