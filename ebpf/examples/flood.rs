//! What a flood at the peer port costs the one who receives it: `cargo run --release -p peer-filter --example flood`, as root.
//!
//! Loopback, 1200-byte Initials, 20 000 a second, from a stranger and with a peer's address. The receiver does nothing with
//! what passes, so that what QUIC would spend on it is not in the figures. Kinds take turns; medians of the rounds.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use peer_filter::{Kind, Limits, Mode, Peer, PeerFilter, Policy};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("receiver's CPU for each datagram of a flood, ns (and datagrams that passed)");
    println!("{:<12}{:>24}{:>24}", "filter", "from a stranger", "with a peer's address");
    let modes = [Mode::Off, Mode::Userspace, Mode::Socket];
    let mut samples = vec![[const { Vec::new() }; 2]; modes.len()];
    for _ in 0..ROUNDS {
        for (mode, samples) in modes.iter().zip(&mut samples) {
            for (source, samples) in [STRANGER, PEER].into_iter().zip(samples) {
                samples.push(flood(mode, source.parse()?)?);
            }
        }
    }
    for (mode, samples) in modes.iter().zip(&mut samples) {
        let [stranger, peer] = samples.each_mut().map(|samples| {
            samples.sort_unstable();
            let (ns, passed) = samples[samples.len() / 2];
            format!("{ns} ({passed})")
        });
        println!("{:<12}{stranger:>24}{peer:>24}", mode.to_string());
    }
    Ok(())
}

/// Returns the nanoseconds that the receiver spent for each datagram sent, and how many passed.
fn flood(mode: &Mode, source: SocketAddr) -> Result<(u64, u64), Box<dyn std::error::Error>> {
    let policy = Policy {
        local: NODE.parse()?,
        peers: vec![Peer { id: 1, address: PEER.parse()? }],
        connection_id_key: [7; 16],
        limits: Limits::default(),
    };
    let filter = PeerFilter::load(mode, policy)?;
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    filter.attach(&socket)?;
    socket.bind(&SockAddr::from(NODE.parse::<SocketAddr>()?))?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let (socket, sender) = (UdpSocket::from(socket), UdpSocket::bind(source)?);
    let over = Arc::new(AtomicBool::new(false));
    let receiver = thread::spawn({
        let over = over.clone();
        move || receive(&socket, &filter, &over)
    });
    let mut junk = vec![0xc0, 0, 0, 0, 1, 8];
    junk.resize(1200, 0x55);
    let start = Instant::now();
    for number in 0..DATAGRAMS {
        while start.elapsed() < PACE * number {
            std::hint::spin_loop();
        }
        sender.send_to(&junk, NODE)?;
    }
    over.store(true, Relaxed);
    let (spent, passed) = receiver.join().map_err(|_| "the receiver failed")?;
    Ok((u64::try_from(spent.as_nanos())? / u64::from(DATAGRAMS), passed))
}

fn receive(socket: &UdpSocket, filter: &PeerFilter, over: &AtomicBool) -> (Duration, u64) {
    let (start, mut passed) = (processor_time(), 0);
    let mut buffer = [0; 2048];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((bytes, from)) => {
                let passes =
                    filter.kind() != Kind::Userspace || filter.judge(from, &buffer[..bytes], 0).passes();
                passed += u64::from(passes);
            }
            Err(_) if over.load(Relaxed) => return (processor_time() - start, passed),
            Err(_) => {}
        }
    }
}

/// Time that this thread has spent on a processor, the kernel's part included.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, writable timespec for the length of the call, and the clock id is a constant.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

const NODE: &str = "127.0.0.100:17000";
const PEER: &str = "127.0.0.1:17001";
const STRANGER: &str = "127.0.0.9:17009";
const ROUNDS: usize = 5;
const DATAGRAMS: u32 = 20_000;
const PACE: Duration = Duration::from_micros(50);
