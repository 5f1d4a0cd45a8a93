//! One table of cases against the twin and the kernel's programs, and frames that try to get around them.

mod cases;
mod datagrams;
mod frames;
mod judges;
#[path = "../../tests/namespace/mod.rs"]
mod namespace;
mod stories;
mod wire;

use std::net::SocketAddr;

use self::{
    judges::{AtInterface, InUserspace, Judge, OnSocket},
    namespace::{Namespace, privileged},
};
use crate::{Kind, Limits, Peer, Policy, Rate, Verdict};

/// A policy with small rates: established four at once and then ten a second, unproven two at once and two a second.
fn policy() -> Policy {
    let peer = |id, address: &str| Peer { id, address: address.parse().unwrap() };
    Policy {
        local: "[::]:7000".parse().unwrap(),
        peers: vec![
            peer(1, "192.0.2.1:7001"),
            peer(2, "[2001:db8::2]:7002"),
            peer(3, "192.0.2.3:0"),
            peer(4, "192.0.2.4:7004"),
            peer(4, "[2001:db8::4]:7004"),
        ],
        connection_id_key: *b"a key of sixteen",
        limits: Limits {
            established: Rate { per_second: 10, burst: 4 },
            unproven: Rate { per_second: 2, burst: 2 },
        },
    }
}

/// What a judge is shown: datagrams from a source.
#[derive(Debug, Clone)]
struct Packet {
    from: SocketAddr,
    datagrams: Vec<u8>,
    /// As in [`crate::PeerFilter::judge`].
    stride: usize,
}

/// A thing that happens in a case.
#[derive(Debug, Clone)]
enum Step {
    /// It is now so many milliseconds after the start.
    At(u64),
    /// The peer is shut out until so many milliseconds after the start.
    Quarantine(u8, u64),
    Release(u8),
    Tighten(u8, u32),
    /// The packet arrives, and this is the verdict.
    Arrives(Packet, Verdict),
}

/// A story with a name that says what it proves.
struct Case {
    name: &'static str,
    steps: Vec<Step>,
}

/// Tells `judge` the story of `case` and compares the verdicts.
fn run(case: &Case, judge: &mut dyn Judge, who: &str) {
    judge.reset();
    judge.at(START_NS);
    for (number, step) in case.steps.iter().enumerate() {
        match step {
            Step::Arrives(packet, expected) => {
                let verdict = judge.judge(packet);
                assert_eq!(verdict, *expected, "{who}: {}: step {number}", case.name);
            }
            step => tell(step, judge),
        }
    }
}

/// Tells `judge` of a step that is no packet.
fn tell(step: &Step, judge: &mut dyn Judge) {
    match step {
        Step::At(milliseconds) => judge.at(START_NS + milliseconds * 1_000_000),
        Step::Quarantine(peer, until) => judge.quarantine(*peer, START_NS + until * 1_000_000),
        Step::Release(peer) => judge.quarantine(*peer, 0),
        Step::Tighten(peer, factor) => judge.tighten(*peer, *factor),
        Step::Arrives(..) => panic!("packets are judged"),
    }
}

/// Tells `judge` and the twin the story of `case`: the same verdicts, whatever they are, and the same counters. Returns them.
fn compare_with_twin(case: &Case, judge: &mut dyn Judge, who: &str) -> Vec<Verdict> {
    let mut twin = InUserspace::new();
    let mut given = Vec::new();
    judge.reset();
    judge.at(START_NS);
    twin.at(START_NS);
    for (number, step) in case.steps.iter().enumerate() {
        if let Step::Arrives(packet, _) = step {
            let (expected, verdict) = (twin.judge(packet), judge.judge(packet));
            assert_eq!(verdict, expected, "{who}: step {number}: {packet:02x?}");
            given.push(verdict);
        } else {
            tell(step, judge);
            tell(step, &mut twin);
        }
    }
    same_counters(judge, &twin, who, case.name);
    given
}

fn same_counters(judge: &dyn Judge, twin: &InUserspace, who: &str, name: &str) {
    let (expected, counted) = (twin.statistics(), judge.statistics());
    assert_eq!(counted.verdicts, expected.verdicts, "{who}: {name}");
    assert_eq!(counted.peers, expected.peers, "{who}: {name}");
    assert_eq!(counted.unknown, expected.unknown, "{who}: {name}");
}

/// Runs `case` with `judge` and then with the twin: verdicts as in the table, and every counter the same.
fn compare(case: &Case, judge: &mut dyn Judge, who: &str) {
    let mut twin = InUserspace::new();
    run(case, &mut twin, "userspace");
    run(case, judge, who);
    same_counters(judge, &twin, who, case.name);
}

#[test]
fn twin_judges_as_the_table_says() {
    for case in cases::table() {
        run(&case, &mut InUserspace::new(), "userspace");
    }
}

#[test]
fn table_has_every_verdict_that_a_datagram_can_get() {
    let cases = cases::table();
    let steps = cases.iter().flat_map(|case| &case.steps);
    let given: std::collections::BTreeSet<_> = steps
        .filter_map(|step| match step {
            Step::Arrives(_, verdict) => Some(*verdict),
            _ => None,
        })
        .collect();
    let missing: Vec<_> = Verdict::ALL.into_iter().filter(|verdict| !given.contains(verdict)).collect();
    assert_eq!(missing, [Verdict::Fragment], "fragments are seen at an interface alone");
}

#[test]
fn program_at_ingress_judges_as_the_table_says() {
    if privileged() {
        let mut judge = AtInterface::new(Kind::Tc);
        for case in cases::table() {
            compare(&case, &mut judge, "tc");
        }
    }
}

#[test]
fn program_at_driver_judges_as_the_table_says() {
    if privileged() {
        let mut judge = AtInterface::new(Kind::Xdp);
        for case in cases::table().iter().filter(|case| !cases::is_batch(case)) {
            compare(case, &mut judge, "xdp");
        }
    }
}

#[test]
fn program_on_socket_judges_real_packets_as_the_table_says() {
    if !privileged() {
        return;
    }
    with_addresses().run(|| {
        let mut judge = OnSocket::new();
        for case in cases::table() {
            compare(&case, &mut judge, "socket");
        }
    });
}

#[test]
fn processors_at_once_admit_no_more_than_the_rate_and_lose_no_count() {
    if !privileged() {
        return;
    }
    let (threads, times, burst) = (4, 400_000, 800_000);
    let mut policy = policy();
    policy.limits.established = Rate { per_second: 1, burst };
    let mut judge = AtInterface::with_policy(Kind::Tc, policy);
    judge.at(START_NS);
    let packet = datagrams::one("192.0.2.1:7001", datagrams::short(datagrams::our_id(), 100));
    let frame = wire::frame(&packet, "192.0.2.100:7000".parse().unwrap(), &wire::Wrapping::default());
    judge.judge_at_once(&frame, threads, times);
    let statistics = judge.statistics();
    let peer = &statistics.peers[0];
    let sent = peer.total_messages;
    assert!(sent > u64::from(burst), "most of them ran: {sent}");
    assert_eq!(statistics.datagrams(Verdict::PassEstablished), u64::from(burst));
    assert_eq!(statistics.datagrams(Verdict::FloodEstablished), sent - u64::from(burst));
    assert_eq!((peer.dropped_messages, peer.bytes), (sent - u64::from(burst), sent * 100));
}

/// Kernels before 6.6 have no tcx: there the program hangs on a qdisc, where its answers mean the same.
#[test]
fn program_at_ingress_works_on_the_qdisc_of_older_kernels() {
    if privileged() {
        with_addresses().run(|| {
            let mut judge = AtInterface::new(Kind::Tc);
            judge.attach_to_qdisc("lo");
            let node = std::net::UdpSocket::bind("192.0.2.100:7000").unwrap();
            node.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
            let stranger = std::net::UdpSocket::bind("192.0.2.9:7001").unwrap();
            let friend = std::net::UdpSocket::bind("192.0.2.1:7001").unwrap();
            stranger.send_to(&[0x40; 60], "192.0.2.100:7000").unwrap();
            friend.send_to(&[0x41; 60], "192.0.2.100:7000").unwrap();
            let mut buffer = [0; 100];
            assert_eq!(node.recv(&mut buffer).unwrap(), 60);
            assert_eq!(buffer[0], 0x41, "the stranger's came first and did not pass");
            let statistics = judge.statistics();
            assert_eq!(statistics.datagrams(Verdict::UnknownSource), 1);
            assert_eq!(statistics.datagrams(Verdict::PassUnproven), 1);
        });
    }
}

/// A namespace whose loopback has every address of the table.
fn with_addresses() -> Namespace {
    let namespace = Namespace::new();
    for address in ["1", "3", "4", "9", "100"] {
        namespace.address("lo", &format!("192.0.2.{address}/32"));
        namespace.address("lo", &format!("2001:db8::{address}/128"));
    }
    namespace.address("lo", "2001:db8::2/128");
    namespace
}

/// When the stories begin; the clock of a machine that has been up for a while.
const START_NS: u64 = 1_000_000_000_000;
