//! Sends junk to a UDP port of loopback at a steady pace, from addresses of its own or from that of somebody else.

use std::io;
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Sockets that strangers send from.
const STRANGERS: usize = 64;
/// Bytes of a datagram that looks like the beginning of a connection: RFC 9000 §14.1.
const INITIAL_BYTES: usize = 1200;
/// Bytes of one that looks like its middle.
const SHORT_BYTES: usize = 64;
/// Datagrams that are prepared; each is sent again and again.
const PREPARED: usize = 1024;
/// How often some are sent.
const TICK: Duration = Duration::from_millis(1);
/// Bytes of the headers before the datagram's own: IPv4 without options, UDP.
const HEADERS_BYTES: usize = 20 + 8;

/// Where junk says that it comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Source {
    /// Ports that are no peer's.
    Strangers,
    /// The address and port of a peer.
    Peer,
}

impl Source {
    /// The word for the table.
    pub fn name(self) -> &'static str {
        match self {
            Source::Strangers => "strangers",
            Source::Peer => "spoofed",
        }
    }
}

/// Whether datagrams with another source can be sent from here.
///
/// Errors: what the operating system says.
pub fn can_spoof() -> io::Result<()> {
    raw_socket().map(drop)
}

/// Junk under way.
pub struct Junk {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<f64>,
}

impl Junk {
    /// Sends to `victim`, as a stranger or as `peer`, so many datagrams a second.
    ///
    /// Panics: when the sockets cannot be had.
    pub fn send(source: Source, victim: SocketAddrV4, peer: SocketAddrV4, rate: u32) -> Junk {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::spawn(move || match source {
            Source::Strangers => {
                let bind = |_| UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
                let sockets: Vec<UdpSocket> = (0..STRANGERS).map(bind).collect();
                let fds: Vec<RawFd> = sockets.iter().map(AsRawFd::as_raw_fd).collect();
                let prepared: Vec<Vec<u8>> = (0..PREPARED).map(junk).collect();
                pace((&fds, &prepared), victim, rate, &told)
            }
            Source::Peer => {
                let socket = raw_socket().expect("asked before");
                let prepared: Vec<Vec<u8>> =
                    (0..PREPARED).map(|number| spoofed(&junk(number), peer, victim)).collect();
                pace((&[socket.as_raw_fd()], &prepared), victim, rate, &told)
            }
        });
        Junk { stop, thread }
    }

    /// Ends it; says how many datagrams a second were sent.
    ///
    /// Panics: when the sender did.
    pub fn stop(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the sender does not panic")
    }
}

fn pace(
    (sockets, prepared): (&[RawFd], &[Vec<u8>]),
    victim: SocketAddrV4,
    rate: u32,
    stop: &AtomicBool,
) -> f64 {
    let began = Instant::now();
    let (mut sent, mut next) = (0_u64, 0_usize);
    while !stop.load(Ordering::Relaxed) {
        let due = (began.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        if sent < due {
            let some = (due - sent).min(PREPARED as u64) as usize;
            let batch = (0..some).map(|more| prepared[(next + more) % prepared.len()].as_slice());
            // What does not fit into a buffer was sent all the same.
            send_many(sockets[next % sockets.len()], victim, &batch.collect::<Vec<_>>());
            sent += some as u64;
            next += some + 1;
        }
        std::thread::park_timeout(TICK);
    }
    sent as f64 / began.elapsed().as_secs_f64()
}

/// Datagram `number`: the beginning of a connection (RFC 9000 §17.2.2) or its middle (§17.3.1), with noise in the place of everything secret.
fn junk(number: usize) -> Vec<u8> {
    let noise = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut datagram = if number.is_multiple_of(2) {
        let mut initial = vec![0xc3, 0, 0, 0, 1, 8];
        initial.extend(noise.to_be_bytes());
        initial.extend([0, 0, 0x44, 0x9e]);
        initial
    } else {
        let mut short = vec![0x43];
        short.extend(noise.to_be_bytes());
        short
    };
    datagram.resize(if number.is_multiple_of(2) { INITIAL_BYTES } else { SHORT_BYTES }, noise as u8);
    datagram
}

/// The packet that carries `datagram` from `source` to `target`. RFC 791 §3.1, RFC 768; the kernel fills in the header's checksum, and a UDP checksum
/// of 0 is none.
fn spoofed(datagram: &[u8], source: SocketAddrV4, target: SocketAddrV4) -> Vec<u8> {
    let length = (HEADERS_BYTES + datagram.len()) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend(source.ip().octets());
    packet.extend(target.ip().octets());
    packet.extend(source.port().to_be_bytes());
    packet.extend(target.port().to_be_bytes());
    packet.extend((8 + datagram.len() as u16).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(datagram);
    packet
}

fn raw_socket() -> io::Result<OwnedFd> {
    // SAFETY: a plain system call; the descriptor is owned by nobody else.
    unsafe {
        match libc::socket(libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_RAW) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// Hands `datagrams` to the kernel at once.
fn send_many(socket: RawFd, target: SocketAddrV4, datagrams: &[&[u8]]) {
    let mut address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: target.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(target.ip().octets()) },
        sin_zero: [0; 8],
    };
    let mut parts: Vec<libc::iovec> = datagrams
        .iter()
        .map(|datagram| libc::iovec {
            iov_base: datagram.as_ptr().cast_mut().cast(),
            iov_len: datagram.len(),
        })
        .collect();
    let mut messages: Vec<libc::mmsghdr> = parts
        .iter_mut()
        .map(|part| {
            // SAFETY: all zeros are a message header without anything.
            let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
            message.msg_hdr.msg_name = (&raw mut address).cast();
            message.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            message
        })
        .collect();
    // SAFETY: the headers point to `address` and `parts`, these to `datagrams`; all of them live until the call returns.
    unsafe { libc::sendmmsg(socket, messages.as_mut_ptr(), messages.len() as libc::c_uint, 0) };
}
