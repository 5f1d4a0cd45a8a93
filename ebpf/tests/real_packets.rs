//! Real packets against every kind of filter, on loopback and over a cable between two network namespaces.
//!
//! Needs root (CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF). Without it each test says so and passes; under `CI=true` it fails.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod namespace;

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use namespace::{Namespace, privileged};
use peer_filter::{
    Behaviour, FilterStatistics, Kind, Limits, Mode, Peer, PeerFilter, PeerStatistics, Policy, Rate, Verdict,
};
use socket2::{Domain, SockAddr, Socket, Type};

/// Where the node listens, and where its peer and a stranger send from, in one protocol.
#[derive(Debug, Clone, Copy)]
struct Addresses {
    node: &'static str,
    peer: &'static str,
    stranger: &'static str,
}

const V4: Addresses = Addresses { node: "192.0.2.100", peer: "192.0.2.1", stranger: "192.0.2.9" };
const V6: Addresses = Addresses { node: "2001:db8::100", peer: "2001:db8::1", stranger: "2001:db8::9" };
const NODE_PORT: u16 = 7000;
const PEER_PORT: u16 = 7001;
const PEER: u8 = 3;

fn policy() -> Policy {
    let address = |text: &str| SocketAddr::new(text.parse().unwrap(), PEER_PORT);
    Policy {
        local: "[::]:7000".parse().unwrap(),
        peers: [V4, V6].map(|family| Peer { id: PEER, address: address(family.peer) }).to_vec(),
        connection_id_key: [9; 16],
        limits: Limits {
            established: Rate { per_second: 1_000_000, burst: 1_000_000 },
            unproven: Rate { per_second: 1, burst: 5 },
        },
    }
}

/// Where the sender lives, and which interface of the node its packets come in through.
struct Field {
    node: Namespace,
    sender: Option<Namespace>,
    interface: &'static str,
}

impl Field {
    fn loopback() -> Field {
        let node = Namespace::new();
        for family in [V4, V6] {
            for address in [family.node, family.peer, family.stranger] {
                node.address("lo", address);
            }
        }
        Field { node, sender: None, interface: "lo" }
    }

    fn cable() -> Field {
        let (node, sender) = (Namespace::new(), Namespace::new());
        node.cable("near", &sender, "far");
        for (family, prefix) in [(V4, 24), (V6, 64)] {
            node.address("near", &format!("{}/{prefix}", family.node));
            for address in [family.peer, family.stranger] {
                sender.address("far", &format!("{address}/{prefix}"));
            }
        }
        Field { node, sender: Some(sender), interface: "near" }
    }

    fn load(&self, mode: &str) -> PeerFilter {
        let mode: Mode = mode.replace("IFACE", self.interface).parse().unwrap();
        self.node.run(move || PeerFilter::load(&mode, policy())).expect("the filter loads")
    }

    fn receiver(&self, filter: &PeerFilter) -> Socket {
        let filter = filter.clone();
        self.node.run(move || {
            let socket = Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
            socket.set_only_v6(false).unwrap();
            socket.set_recv_buffer_size(4 << 20).unwrap();
            filter.attach(&socket).expect("the filter attaches");
            socket.bind(&SockAddr::from(policy().local)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        })
    }

    fn sender(&self, address: &'static str) -> UdpSocket {
        let port = if address == V4.stranger || address == V6.stranger { 0 } else { PEER_PORT };
        let from = SocketAddr::new(address.parse().unwrap(), port);
        self.sender.as_ref().unwrap_or(&self.node).run(move || UdpSocket::bind(from).unwrap())
    }
}

fn to(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), NODE_PORT)
}

fn established(filter: &PeerFilter, number: u32, bytes: usize) -> Vec<u8> {
    let mut datagram = vec![0x40];
    datagram.extend(filter.connection_ids().id(number));
    datagram.extend(number.to_be_bytes());
    datagram.resize(bytes, 0);
    datagram
}

fn initial() -> Vec<u8> {
    let mut datagram = vec![0xc0, 0, 0, 0, 1, 8];
    datagram.resize(1200, 1);
    datagram
}

/// Waits until the filter has judged so many datagrams in all, and returns what it counted.
fn judged(filter: &PeerFilter, datagrams: u64) -> FilterStatistics {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let statistics = filter.statistics().expect("the counters can be read");
        let total: u64 = statistics.verdicts.iter().map(|count| count.datagrams).sum();
        if total >= datagrams {
            assert_eq!(total, datagrams, "{statistics:?}");
            return statistics;
        }
        assert!(Instant::now() < deadline, "{datagrams} datagrams were sent: {statistics:?}");
        std::thread::yield_now();
    }
}

/// Returns everything that came through.
fn received(socket: &Socket, datagrams: u64) -> Vec<Vec<u8>> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut all = Vec::new();
    loop {
        let mut buffer = Vec::with_capacity(65_536);
        match socket.recv_from(buffer.spare_capacity_mut()) {
            Ok((bytes, _)) => {
                // SAFETY: the kernel wrote that many bytes.
                unsafe { buffer.set_len(bytes) };
                all.push(buffer);
            }
            Err(_) if all.len() as u64 >= datagrams => break,
            Err(_) => assert!(Instant::now() < deadline, "{} of {datagrams} came", all.len()),
        }
    }
    assert_eq!(all.len() as u64, datagrams);
    all
}

fn peer(statistics: &FilterStatistics) -> &PeerStatistics {
    assert_eq!(statistics.peers.len(), 1);
    &statistics.peers[0]
}

/// The whole story: peer, stranger, flood, quarantine, lift; every counter exact.
fn story(field: &Field, mode: &str, kind: Kind, family: Addresses) {
    let filter = field.load(mode);
    assert_eq!((filter.kind(), filter.fallback()), (kind, None));
    let node = field.receiver(&filter);
    let (friend, stranger) = (field.sender(family.peer), field.sender(family.stranger));
    let to = to(family.node);

    // The peer passes.
    for number in 0..10 {
        friend.send_to(&established(&filter, number, 100), to).unwrap();
    }
    let statistics = judged(&filter, 10);
    assert_eq!(statistics.datagrams(Verdict::PassEstablished), 10);
    let came = received(&node, 10);
    assert_eq!(came[9], established(&filter, 9, 100));

    // A stranger does not, whatever it sends.
    for _ in 0..10 {
        stranger.send_to(&established(&filter, 0, 100), to).unwrap();
        stranger.send_to(&initial(), to).unwrap();
    }
    let statistics = judged(&filter, 30);
    assert_eq!(statistics.datagrams(Verdict::UnknownSource), 20);
    assert_eq!(statistics.unknown.len(), 1);
    assert_eq!(statistics.unknown[0].address, family.stranger.parse::<IpAddr>().unwrap());
    assert_eq!((statistics.unknown[0].datagrams, statistics.unknown[0].bytes), (20, 10 * 100 + 10 * 1200));

    // A flood of first flights does not, beyond its rate; the established connection does not feel it.
    let start = Instant::now();
    for number in 0..100 {
        friend.send_to(&initial(), to).unwrap();
        friend.send_to(&established(&filter, number, 100), to).unwrap();
    }
    let statistics = judged(&filter, 230);
    let (passed, dropped) =
        (statistics.datagrams(Verdict::PassUnproven), statistics.datagrams(Verdict::FloodUnproven));
    assert_eq!(statistics.datagrams(Verdict::PassEstablished), 110);
    assert_eq!(passed + dropped, 100);
    assert!((5..=6 + start.elapsed().as_secs()).contains(&passed), "{passed} passed");
    received(&node, 100 + passed);

    // Quarantine shuts the peer out, lifting lets the same connection go on.
    filter.quarantine(PEER, Duration::from_secs(3600), 42);
    for number in 0..10 {
        friend.send_to(&established(&filter, number, 100), to).unwrap();
    }
    let statistics = judged(&filter, 240);
    assert_eq!(statistics.datagrams(Verdict::Quarantined), 10);
    let quarantine = peer(&statistics).quarantine.expect("it is in force");
    assert_eq!(quarantine.reason, 42);
    assert!(quarantine.remaining > Duration::from_secs(3500));
    filter.release(PEER);
    friend.send_to(&established(&filter, 77, 100), to).unwrap();
    let statistics = judged(&filter, 241);
    assert_eq!(received(&node, 1), [established(&filter, 77, 100)]);

    let peer = peer(&statistics);
    assert_eq!(peer.quarantine, None);
    assert_eq!((peer.id, peer.total_messages, peer.dropped_messages), (PEER, 221, dropped + 10));
    assert_eq!(peer.bytes, 121 * 100 + 100 * 1200);
    assert!(peer.last_activity.expect("it was seen") < Duration::from_secs(60));
    let bytes: u64 = statistics.verdicts.iter().map(|count| count.bytes).sum();
    assert_eq!(bytes, 131 * 100 + 110 * 1200);
    let datagrams = |verdict| statistics.datagrams(verdict);
    let [malformed, version] = [Verdict::Malformed, Verdict::Version].map(datagrams);
    assert_eq!((malformed, version, datagrams(Verdict::Fragment)), (0, 0, 0));
}

/// A test for each place and field, so that a list of tests says which one fails.
macro_rules! stories {
    ($($name:ident: $field:ident, $mode:literal, $kind:ident, $family:ident;)*) => {$(
        #[test]
        fn $name() {
            if privileged() {
                story(&Field::$field(), $mode, Kind::$kind, $family);
            }
        }
    )*};
}

stories! {
    socket_on_loopback_v4: loopback, "socket", Socket, V4;
    socket_on_loopback_v6: loopback, "socket", Socket, V6;
    socket_over_a_cable_v4: cable, "socket", Socket, V4;
    socket_over_a_cable_v6: cable, "socket", Socket, V6;
    auto_takes_the_socket: cable, "auto", Socket, V4;
    tc_on_loopback_v4: loopback, "tc IFACE", Tc, V4;
    tc_on_loopback_v6: loopback, "tc IFACE", Tc, V6;
    tc_over_a_cable_v4: cable, "tc IFACE", Tc, V4;
    tc_over_a_cable_v6: cable, "tc IFACE", Tc, V6;
    xdp_on_loopback_v4: loopback, "xdp IFACE", Xdp, V4;
    xdp_on_loopback_v6: loopback, "xdp IFACE", Xdp, V6;
    xdp_over_a_cable_v4: cable, "xdp IFACE", Xdp, V4;
    xdp_over_a_cable_v6: cable, "xdp IFACE", Xdp, V6;
}

#[test]
fn xdp_is_native_on_a_cable_and_generic_on_loopback() {
    if privileged() {
        assert!(!Field::cable().load("xdp IFACE").is_generic_xdp());
        assert!(Field::loopback().load("xdp IFACE").is_generic_xdp());
    }
}

#[test]
fn filter_at_an_interface_is_gone_when_it_is_dropped() {
    if !privileged() {
        return;
    }
    for mode in ["tc IFACE", "xdp IFACE"] {
        let field = Field::cable();
        let filter = field.load(mode);
        let node = field.receiver(&filter);
        let stranger = field.sender(V4.stranger);
        stranger.send_to(&initial(), to(V4.node)).unwrap();
        judged(&filter, 1);
        let clone = filter.clone();
        drop(filter);
        stranger.send_to(&initial(), to(V4.node)).unwrap();
        judged(&clone, 2);
        drop(clone);
        stranger.send_to(b"now it comes", to(V4.node)).unwrap();
        assert_eq!(received(&node, 1), [b"now it comes"], "{mode}");
    }
}

#[test]
fn quarantine_ends_by_itself() {
    if !privileged() {
        return;
    }
    let field = Field::loopback();
    let filter = field.load("socket");
    let node = field.receiver(&filter);
    let friend = field.sender(V4.peer);
    let span = Duration::from_millis(200);
    let start = Instant::now();
    filter.quarantine(PEER, span, 1);
    let mut sent = 0;
    loop {
        let before = start.elapsed();
        friend.send_to(&established(&filter, 1, 100), to(V4.node)).unwrap();
        sent += 1;
        let passed = judged(&filter, sent).datagrams(Verdict::PassEstablished);
        if passed == 1 {
            assert!(start.elapsed() >= span, "it ended early");
            break;
        }
        assert!(before < span + Duration::from_secs(5), "it did not end");
    }
    received(&node, 1);
}

#[test]
fn joined_datagrams_are_counted_one_by_one() {
    if !privileged() {
        return;
    }
    for (field, mode) in [
        (Field::loopback(), "socket"),
        (Field::cable(), "socket"),
        (Field::loopback(), "tc IFACE"),
        (Field::cable(), "tc IFACE"),
    ] {
        let filter = field.load(mode);
        let node = field.receiver(&filter);
        let friend = field.sender(V6.peer);
        set_option(&friend, libc::SOL_UDP, UDP_SEGMENT, 500);
        // Ten of 500 bytes and one of 100, in one call.
        let mut batch: Vec<u8> = (0..10).flat_map(|number| established(&filter, number, 500)).collect();
        batch.extend(established(&filter, 10, 100));
        friend.send_to(&batch, to(V6.node)).unwrap();
        let statistics = judged(&filter, 11);
        assert_eq!(statistics.datagrams(Verdict::PassEstablished), 11);
        assert_eq!(peer(&statistics).total_messages, 11);
        assert_eq!(peer(&statistics).bytes, 5100, "{mode}");
        let came = received(&node, 11);
        assert_eq!(came.concat(), batch, "{mode}");
    }
}

#[test]
fn socket_judges_reassembled_packets_and_interfaces_drop_fragments() {
    if !privileged() {
        return;
    }
    for family in [V4, V6] {
        for mode in ["socket", "tc IFACE", "xdp IFACE"] {
            let field = Field::cable();
            let filter = field.load(mode);
            let node = field.receiver(&filter);
            let friend = field.sender(family.peer);
            // Longer than the cable's packets of 1500 bytes: three fragments.
            let long = established(&filter, 5, 4000);
            friend.send_to(&long, to(family.node)).unwrap();
            let statistics = judged(&filter, 1);
            if mode == "socket" {
                assert_eq!(statistics.datagrams(Verdict::PassEstablished), 1);
                assert_eq!(received(&node, 1), [long]);
            } else {
                assert_eq!(statistics.datagrams(Verdict::Fragment), 1, "{mode}");
                assert_eq!(peer(&statistics).total_messages, 0);
            }
        }
    }
}

#[test]
fn userspace_judges_the_same_packets() {
    let filter = PeerFilter::load(&Mode::Userspace, policy()).expect("it needs nothing");
    let (friend, stranger) = (SocketAddr::new(V4.peer.parse().unwrap(), PEER_PORT), to(V4.stranger));
    assert_eq!(filter.judge(friend, &established(&filter, 1, 100), 0), Verdict::PassEstablished);
    assert_eq!(filter.judge(stranger, &established(&filter, 1, 100), 0), Verdict::UnknownSource);
    filter.quarantine(PEER, Duration::from_secs(3600), 42);
    assert_eq!(filter.judge(friend, &established(&filter, 1, 100), 50), Verdict::Quarantined);
    filter.release(PEER);
    assert_eq!(filter.judge(friend, &established(&filter, 1, 100), 100), Verdict::PassEstablished);
    let statistics = filter.statistics().expect("there is no kernel to refuse");
    assert_eq!((peer(&statistics).total_messages, peer(&statistics).dropped_messages), (4, 2));
    assert_eq!((peer(&statistics).bytes, statistics.unknown[0].bytes), (300, 100));
}

#[test]
fn behaviour_told_by_userspace_is_kept_beside_the_kernels_counters() {
    let userspace = PeerFilter::load(&Mode::Userspace, policy()).expect("it needs nothing");
    let kernel = privileged().then(|| PeerFilter::load(&Mode::Socket, policy()).expect("the filter loads"));
    for filter in [Some(userspace), kernel].into_iter().flatten() {
        for change in [
            Behaviour::ContradictoryResponse,
            Behaviour::Faultless,
            Behaviour::InvalidSignature,
            Behaviour::TimingViolation,
            Behaviour::TimingViolation,
            Behaviour::Reputation(0.7214),
        ] {
            filter.behaviour(PEER, change);
        }
        filter.tighten(PEER, 1_000_000);
        let statistics = filter.statistics().expect("the counters can be read");
        let peer = peer(&statistics);
        let faults = (peer.invalid_signatures, peer.timing_violations, peer.contradictory_responses);
        assert_eq!(faults, (1, 2, 1), "{:?}", filter.kind());
        assert_eq!((peer.consecutive_faults, peer.reputation_score), (3, 721));
        assert_eq!((peer.total_messages, peer.tightened), (0, peer_filter::TIGHTEN_FACTOR_MAX));
    }
}

fn set_option(socket: &UdpSocket, level: libc::c_int, option: libc::c_int, value: libc::c_int) {
    let size = size_of_val(&value) as libc::socklen_t;
    let fd = std::os::fd::AsRawFd::as_raw_fd(socket);
    // SAFETY: the descriptor is open and the value an int that lives through the call.
    let result = unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), size) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

const UDP_SEGMENT: libc::c_int = 103;
