//! Datagrams in batches, with the local address of each: `recvmmsg`, `sendmmsg`, `IP_PKTINFO`. The only unsafe code of the listeners.
//!
//! A socket that is bound to all addresses must answer from the one that was asked, or the client drops the reply.

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;

use libc::{
    c_int, c_void, cmsghdr, in_pktinfo, in6_pktinfo, iovec, mmsghdr, msghdr, sockaddr_storage, socklen_t,
};

/// Room for a batch of datagrams that are received together.
pub struct Batch {
    buffers: Vec<[u8; DATAGRAM_BYTES_MAX]>,
    datagrams: Vec<Datagram>,
}

/// What is known of a received datagram beside its bytes.
#[derive(Clone, Copy)]
struct Datagram {
    length: usize,
    /// Longer than the buffer, or of an unknown family.
    unusable: bool,
    path: Path,
}

/// Where a datagram came from and which local address it came to: enough to send a reply the same way back.
#[derive(Clone, Copy)]
pub struct Path {
    /// As the kernel gave it: on a socket for both families an IPv4 client stands here mapped into IPv6.
    peer: sockaddr_storage,
    peer_length: socklen_t,
    local: Option<Local>,
}

#[derive(Clone, Copy)]
enum Local {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

impl Batch {
    /// Room for `BATCH` datagrams.
    pub fn new() -> Batch {
        Batch { buffers: vec![[0; DATAGRAM_BYTES_MAX]; BATCH], datagrams: Vec::with_capacity(BATCH) }
    }

    /// Receives what is there, at most a batch, without waiting.
    ///
    /// Errors: `WouldBlock` when nothing is there; what the socket reports.
    pub fn receive(&mut self, socket: RawFd) -> io::Result<()> {
        self.datagrams.clear();
        // SAFETY: all-zero is a valid value of these plain C structs.
        let mut peers: [sockaddr_storage; BATCH] = unsafe { zeroed() };
        let mut controls = [Control::EMPTY; BATCH];
        // SAFETY: as above; null pointers with length zero.
        let mut vectors: [iovec; BATCH] = unsafe { zeroed() };
        let mut headers: [mmsghdr; BATCH] = unsafe { zeroed() };
        for (at, header) in headers.iter_mut().enumerate() {
            vectors[at] =
                iovec { iov_base: self.buffers[at].as_mut_ptr().cast(), iov_len: DATAGRAM_BYTES_MAX };
            header.msg_hdr.msg_name = (&raw mut peers[at]).cast();
            header.msg_hdr.msg_namelen = size_of::<sockaddr_storage>() as socklen_t;
            header.msg_hdr.msg_iov = &raw mut vectors[at];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = controls[at].0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_BYTES;
        }
        // SAFETY: every header points to a buffer, a vector, a name and a control block that outlive the call.
        let received = unsafe {
            libc::recvmmsg(
                socket,
                headers.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        self.datagrams.extend(headers.iter().zip(peers).take(count).map(|(header, peer)| {
            let known = matches!(c_int::from(peer.ss_family), libc::AF_INET | libc::AF_INET6);
            Datagram {
                length: header.msg_len as usize,
                unusable: !known || header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
                // SAFETY: the kernel has filled the control block that this header points to, which is still alive.
                path: Path {
                    peer,
                    peer_length: header.msg_hdr.msg_namelen,
                    local: unsafe { local_of(&header.msg_hdr) },
                },
            }
        }));
        Ok(())
    }

    /// The datagrams that were received and can be answered.
    pub fn datagrams(&self) -> impl Iterator<Item = (&[u8], Path)> {
        self.datagrams
            .iter()
            .zip(&self.buffers)
            .filter(|(datagram, _)| !datagram.unusable)
            .filter_map(|(datagram, buffer)| Some((buffer.get(..datagram.length)?, datagram.path)))
    }

    /// How many of the datagrams received cannot be answered.
    pub fn unusable(&self) -> u64 {
        self.datagrams.iter().filter(|datagram| datagram.unusable).count() as u64
    }
}

impl Path {
    /// The client's address; one that is mapped into IPv6 is given as IPv4.
    pub fn peer(&self) -> SocketAddr {
        let peer = (&raw const self.peer).cast::<c_void>();
        match c_int::from(self.peer.ss_family) {
            libc::AF_INET => {
                // SAFETY: the family says that the storage holds this struct, for which it is large enough and aligned.
                let v4 = unsafe { &*peer.cast::<libc::sockaddr_in>() };
                SocketAddr::from((v4.sin_addr.s_addr.to_ne_bytes(), u16::from_be(v4.sin_port)))
            }
            _ => {
                // SAFETY: as above; datagrams of other families than these two are dropped on receipt.
                let v6 = unsafe { &*peer.cast::<libc::sockaddr_in6>() };
                SocketAddr::new(IpAddr::from(v6.sin6_addr.s6_addr).to_canonical(), u16::from_be(v6.sin6_port))
            }
        }
    }

    /// The local address that the datagram was sent to, when the kernel told it.
    pub fn local(&self) -> Option<IpAddr> {
        self.local.map(|local| match local {
            Local::V4(info) => IpAddr::from(info.ipi_addr.s_addr.to_ne_bytes()),
            Local::V6(info) => IpAddr::from(info.ipi6_addr.s6_addr).to_canonical(),
        })
    }
}

/// Sends replies, at most a batch, without waiting, and returns how many were sent.
///
/// Errors: `WouldBlock` when the socket's buffer is full; what the socket reports of the first one.
pub fn send<'a>(socket: RawFd, replies: impl Iterator<Item = (&'a [u8], &'a Path)>) -> io::Result<usize> {
    // SAFETY: all-zero is a valid value of these plain C structs.
    let mut vectors: [iovec; BATCH] = unsafe { zeroed() };
    let mut headers: [mmsghdr; BATCH] = unsafe { zeroed() };
    let mut controls = [Control::EMPTY; BATCH];
    let mut count = 0;
    for (at, (bytes, path)) in replies.take(BATCH).enumerate() {
        // The kernel does not write through these, although their type says so.
        vectors[at] = iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let header = &mut headers[at].msg_hdr;
        header.msg_name = (&raw const path.peer).cast_mut().cast();
        header.msg_namelen = path.peer_length;
        header.msg_iov = &raw mut vectors[at];
        header.msg_iovlen = 1;
        if let Some(local) = path.local {
            header.msg_control = controls[at].0.as_mut_ptr().cast();
            // SAFETY: the header points to a control block with room for either kind of packet info.
            header.msg_controllen = unsafe { write_local(header, local) };
        }
        count = at + 1;
    }
    if count == 0 {
        return Ok(0);
    }
    // SAFETY: the first `count` headers point to vectors, names and control blocks that outlive the call.
    let sent = unsafe { libc::sendmmsg(socket, headers.as_mut_ptr(), count as u32, libc::MSG_DONTWAIT) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// A control block, aligned as its headers must be.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([MaybeUninit<u8>; CONTROL_BYTES]);

impl Control {
    const EMPTY: Control = Control([MaybeUninit::new(0); CONTROL_BYTES]);
}

/// Reads the local address from the control block of a received message.
///
/// Safety: `header` points to a control block that the kernel has filled.
unsafe fn local_of(header: &msghdr) -> Option<Local> {
    // SAFETY: the block is as the kernel left it, and CMSG_NXTHDR stays within `msg_controllen`.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        while let Some(message) = control.as_ref() {
            let data = libc::CMSG_DATA(message);
            match (message.cmsg_level, message.cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    return Some(Local::V4(data.cast::<in_pktinfo>().read_unaligned()));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    return Some(Local::V6(data.cast::<in6_pktinfo>().read_unaligned()));
                }
                _ => control = libc::CMSG_NXTHDR(header, message),
            }
        }
    }
    None
}

/// Writes the address to send from into the control block of a message and returns the block's length.
///
/// Safety: `header.msg_control` points to `CONTROL_BYTES` writable bytes, aligned for a `cmsghdr`.
unsafe fn write_local(header: &mut msghdr, local: Local) -> usize {
    header.msg_controllen = CONTROL_BYTES;
    // SAFETY: both structs fit into the block, as `CONTROL_BYTES` is for the larger of them and a header.
    unsafe {
        let control: *mut cmsghdr = libc::CMSG_FIRSTHDR(header);
        let data = libc::CMSG_DATA(control);
        let size = match local {
            Local::V4(info) => {
                ((*control).cmsg_level, (*control).cmsg_type) = (libc::IPPROTO_IP, libc::IP_PKTINFO);
                // The address asked becomes the source; routing chooses the interface.
                let from =
                    in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: info.ipi_addr, ipi_addr: info.ipi_addr };
                data.cast::<in_pktinfo>().write_unaligned(from);
                size_of::<in_pktinfo>()
            }
            Local::V6(info) => {
                ((*control).cmsg_level, (*control).cmsg_type) = (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO);
                let link_local = info.ipi6_addr.s6_addr[..2] == [0xfe, 0x80];
                let interface = if link_local { info.ipi6_ifindex } else { 0 };
                data.cast::<in6_pktinfo>().write_unaligned(in6_pktinfo { ipi6_ifindex: interface, ..info });
                size_of::<in6_pktinfo>()
            }
        };
        (*control).cmsg_len = libc::CMSG_LEN(size as u32) as usize;
        libc::CMSG_SPACE(size as u32) as usize
    }
}

/// Datagrams in a batch.
pub const BATCH: usize = 32;
/// Longest datagram that can be a query. We tell clients 1232, and no query comes near it.
const DATAGRAM_BYTES_MAX: usize = 4096;
/// Room for one packet info of either family: header 16, struct 20, padding.
const CONTROL_BYTES: usize = 64;
