//! What a whole node does about a peer that breaks the rules under its own key: evidence, quarantine, filter, and all of it across a restart.

use std::io::Write as _;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use certificate::{Cluster, Digest, MessageType, ReplicaId, Sequence, View};
use detector::{Offence, Pattern, VIOLATIONS_MIN};
use pbft::{Keyring as _, Message, Vote};
use peer_filter::{Kind, Mode, Verdict};

use super::cluster::{Four, Running};
use crate::evidence::{EvidenceFile, EvidenceKind};
use crate::frame::FrameRules;
use crate::keyring::ClusterKeys;
use crate::testing::until;
use crate::transport::CloseCode;
use crate::transport::raw::{close_of, dial, greeted, greeted_from_home};
use crate::{FilterMode, NodeConfig, Port, StartError};

const RULES: FrameRules = FrameRules { message_bytes_max: 65_536, compression: false };

/// A slot within the water marks that nobody has decided.
const SLOT: Sequence = Sequence(20);

/// A PREPARE of a replica for it in view 0.
fn prepare(four: &Four, of: u8, digest: u8) -> Message {
    let (view, sequence, digest) = (View(0), SLOT, Digest([digest; 32]));
    let preimage = four.setting.cluster.domain().vote_preimage(MessageType::Prepare, view, sequence, digest);
    let keys = ClusterKeys::new(&four.setting.cluster, &four.setting.seeds[usize::from(of)]);
    let signature = keys.sign(&preimage);
    Message::Prepare(Vote { view, sequence, digest, replica: ReplicaId(of), signature })
}

fn is_quarantined(running: &Running, peer: u8) -> bool {
    running.node.status().peers.iter().any(|state| state.id.0 == peer && state.quarantined)
}

fn is_connected(running: &Running, peer: u8) -> bool {
    running.node.status().peers.iter().any(|state| state.id.0 == peer && state.connected)
}

fn start(four: &mut Four, id: u8, filter: FilterMode) {
    let config = NodeConfig { filter, ..four.config(id) };
    four.running[usize::from(id)] = Some(four.try_start(id, config).unwrap());
}

fn judged(running: &Running, verdict: Verdict) -> u64 {
    running.node.filter().unwrap().datagrams(verdict)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equivocator_is_convicted_shut_out_and_let_in_again_when_an_operator_says_so() {
    let mut four = Four::new(|_| {});
    start(&mut four, 0, Mode::Off);
    let (_endpoint, mut three) = greeted(&four.setting, 0, 3, 1).await;
    for digest in [1, 2] {
        three.say(RULES, &prepare(&four, 3, digest)).await;
    }
    let closed = close_of(&three.connection).await;
    assert!(CloseCode::Quarantined.is_of(&closed), "{closed}");
    assert!(closed.to_string().contains("proven equivocation"), "{closed}");
    let zero = four.node(0);
    until("it is shown", || is_quarantined(zero, 3) && !is_connected(zero, 3)).await;
    let quarantined = zero.node.assessments()[2].quarantined.expect("the detector holds it");
    assert_eq!(quarantined.strike, 1);
    assert!(!zero.node.trusted(0.0).contains(ReplicaId(3)));
    until("the evidence is on disk", || zero.node.evidence().is_ok_and(|found| found.len() == 1)).await;
    let listed = zero.node.evidence().unwrap().remove(0);
    assert_eq!((listed.kind, listed.replica), (EvidenceKind::Equivocation, ReplicaId(3)));
    let proven = EvidenceFile::read(&listed.path).unwrap().verify(&four.setting.cluster).unwrap();
    assert_eq!((proven.view, proven.sequence), (Some(View(0)), Some(SLOT)));
    // It may prove its key as often as it likes.
    let (_again, connection) = dial(&four.setting, 0, &four.setting.seeds[3], 3).await.unwrap();
    let closed = close_of(&connection).await;
    assert!(CloseCode::Quarantined.is_of(&closed), "{closed}");
    assert!(zero.node.lift(ReplicaId(3)), "it was shut out");
    assert!(!zero.node.lift(ReplicaId(3)), "and is no more");
    let (_back, _three) = greeted(&four.setting, 0, 3, 2).await;
    until("it is back", || is_connected(zero, 3) && !is_quarantined(zero, 3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quarantine_outlives_a_restart_and_the_filter_drops_what_the_peer_sends() {
    let mut four = Four::new(|_| {});
    start(&mut four, 0, Mode::Userspace);
    let (endpoint, mut three) = greeted_from_home(&four.setting, 0, 3).await;
    until("the peer is connected", || is_connected(four.node(0), 3)).await;
    assert!(judged(four.node(0), Verdict::PassEstablished) > 0, "its packets carry our connection ids");
    for digest in [1, 2] {
        three.say(RULES, &prepare(&four, 3, digest)).await;
    }
    let closed = close_of(&three.connection).await;
    assert!(CloseCode::Quarantined.is_of(&closed), "{closed}");
    drop((endpoint, three));
    four.stop(0).await;
    start(&mut four, 0, Mode::Userspace);
    let zero = four.node(0);
    assert!(is_quarantined(zero, 3), "from the first moment");
    assert_eq!(judged(zero, Verdict::Quarantined), 0);
    let statistics = zero.node.filter().unwrap();
    let three = statistics.peers.iter().find(|peer| peer.id == 3).unwrap();
    let left = three.quarantine.unwrap().remaining;
    assert!(left > Duration::from_secs(23 * 3600) && left <= Duration::from_secs(24 * 3600), "{left:?}");
    start(&mut four, 3, Mode::Userspace);
    until("what it sends is dropped", || judged(four.node(0), Verdict::Quarantined) > 2).await;
    assert!(!is_connected(four.node(0), 3));
    assert!(four.node(0).node.lift(ReplicaId(3)));
    four.node(3).status("it is let in", |status| status.present == 2).await;
    until("on both sides", || is_connected(four.node(0), 3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_that_is_refused_forgets_no_quarantine() {
    let mut four = Four::new(|_| {});
    start(&mut four, 0, Mode::Off);
    let (_endpoint, mut three) = greeted(&four.setting, 0, 3, 1).await;
    for digest in [1, 2] {
        three.say(RULES, &prepare(&four, 3, digest)).await;
    }
    close_of(&three.connection).await;
    four.stop(0).await;
    let other = Arc::new(Cluster { ttl_max_s: 1, ..Cluster::clone(&four.setting.cluster) });
    let of_zero = four.folders[0].path().to_owned();
    for mut config in
        [NodeConfig { cluster: other, ..four.config(0) }, NodeConfig { state: of_zero, ..four.config(1) }]
    {
        // As the program does it: the port is open before the log is looked at.
        config.port = Some(Port::open(&mut config).unwrap());
        let refused = four.try_start(config.me.0, config).err().unwrap();
        assert!(matches!(refused, StartError::Restore { .. }), "{refused}");
    }
    start(&mut four, 0, Mode::Off);
    assert!(is_quarantined(four.node(0), 3), "from the first moment");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_that_sends_what_cannot_be_read_is_called_unruly_and_not_shut_out() {
    let mut four = Four::new(|_| {});
    start(&mut four, 0, Mode::Off);
    for instance in 1..=u64::from(VIOLATIONS_MIN) {
        let (_endpoint, mut three) = greeted(&four.setting, 0, 3, instance).await;
        until("the peer is connected", || is_connected(four.node(0), 3)).await;
        three.send.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
        let closed = close_of(&three.connection).await;
        assert!(CloseCode::Unreadable.is_of(&closed), "{closed}");
    }
    let zero = four.node(0);
    let assessed = || zero.node.assessments().swap_remove(2);
    until("the detector has heard of it", || assessed().is_byzantine).await;
    let three = assessed();
    assert_eq!(three.statistics.offences, [(Offence::Unreadable, VIOLATIONS_MIN.into())]);
    assert_eq!((three.pattern, three.quarantined), (Pattern::Unruly, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_replicas_are_shut_out_than_may_be_faulty() {
    let mut four = Four::new(|_| {});
    start(&mut four, 0, Mode::Off);
    let mut ends = Vec::new();
    for id in [2, 3] {
        let (endpoint, mut peer) = greeted(&four.setting, 0, id, 1).await;
        for digest in [1, 2] {
            peer.say(RULES, &prepare(&four, id, digest)).await;
        }
        let zero = four.node(0);
        let listed = || zero.node.evidence().is_ok_and(|found| found.iter().any(|it| it.replica.0 == id));
        until("the evidence is on disk", listed).await;
        ends.push((endpoint, peer));
    }
    let zero = four.node(0);
    let proven = |place: usize| zero.node.assessments()[place].statistics.offences.clone();
    assert_eq!(proven(1), proven(2), "both are convicted");
    assert!(is_quarantined(zero, 2) && !is_quarantined(zero, 3));
    assert!(is_connected(zero, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_of_a_stranger_is_dropped_before_quic_and_counted() {
    let mut four = Four::new(|_| {});
    for id in 0..4 {
        start(&mut four, id, Mode::Userspace);
    }
    for id in 0..4 {
        four.node(id).status("all are present", |status| status.present == 4).await;
    }
    let zero = four.node(0);
    assert_eq!((zero.node.filter_kind(), zero.node.filter_fallback()), (Kind::Userspace, None));
    assert_eq!(judged(zero, Verdict::UnknownSource), 0);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    // To a version that it does not speak QUIC would answer.
    let mut unknown = vec![0xc0, 0x0a, 0x0a, 0x0a, 0x0a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0xb0];
    unknown.resize(1200, 0);
    for _ in 0..20 {
        for _ in 0..5 {
            stranger.send_to(&unknown, zero.node.address()).unwrap();
        }
        four.node(1).request("meanwhile.example.org");
    }
    until("all of it is counted", || judged(zero, Verdict::UnknownSource) == 100).await;
    let statistics = zero.node.filter().unwrap();
    assert_eq!((statistics.unknown.len(), statistics.unknown[0].datagrams), (1, 100));
    four.node(1).decide("afterwards", 3).await;
    stranger.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(stranger.recv_from(&mut [0; 1500]).is_err(), "QUIC saw none of it");
    let dropped = |verdict: &Verdict| !verdict.passes() && *verdict != Verdict::UnknownSource;
    for verdict in Verdict::ALL.into_iter().filter(dropped) {
        assert_eq!(judged(zero, verdict), 0, "{verdict}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn detector_looks_at_the_clock_also_when_nothing_happens() {
    let mut four = Four::new(|_| {});
    start(&mut four, 0, Mode::Off);
    let zero = four.node(0);
    let away = || zero.node.assessments().iter().all(|it| it.statistics.uptime < 0.5);
    until("nobody was ever there", away).await;
}

/// Starts a replica on a socket that the node makes itself, with the filter in the kernel; `None` where this process may not load it.
fn start_in_kernel(four: &mut Four, id: u8) -> Option<()> {
    // The address is free from here on; that of another test is another one.
    drop(std::mem::replace(
        &mut four.setting.sockets[usize::from(id)],
        UdpSocket::bind("127.0.0.1:0").unwrap(),
    ));
    let config = NodeConfig { filter: Mode::Socket, socket: None, ..four.config(id) };
    match four.try_start(id, config) {
        Ok(running) => four.running[usize::from(id)] = Some(running),
        Err(StartError::Filter { source: crate::FilterError::NoPrivilege { .. }, .. }) => {
            assert!(std::env::var_os("CI").is_none(), "here the filter must be loaded");
            // What a test that passes prints with `println` is caught by the harness.
            let word = b"SKIPPED: the filter in the kernel needs CAP_BPF, run the tests as root\n";
            let _ = std::io::stderr().write_all(word);
            return None;
        }
        Err(reason) => panic!("{reason}"),
    }
    Some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filter_in_the_kernel_lets_peers_in_and_drops_strangers_and_the_quarantined() {
    let mut four = Four::new(|_| {});
    for id in 0..3 {
        if start_in_kernel(&mut four, id).is_none() {
            return;
        }
    }
    assert_eq!(four.node(0).node.filter_kind(), Kind::Socket);
    for id in 0..3 {
        four.node(id).status("three are present", |status| status.present == 3).await;
    }
    four.node(1).decide("in-kernel", 3).await;
    let (_endpoint, mut three) = greeted_from_home(&four.setting, 0, 3).await;
    for digest in [1, 2] {
        three.say(RULES, &prepare(&four, 3, digest)).await;
    }
    let zero = four.node(0);
    until("it is shut out", || is_quarantined(zero, 3)).await;
    let closed = close_of(&three.connection).await;
    assert!(CloseCode::Quarantined.is_of(&closed), "{closed}");
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let before = judged(zero, Verdict::UnknownSource);
    for _ in 0..10 {
        stranger.send_to(&[0xc0; 1200], zero.node.address()).unwrap();
    }
    until("strangers are counted", || judged(zero, Verdict::UnknownSource) == before + 10).await;
    three.connection.close(0_u8.into(), b"");
    let home = four.setting.socket(3);
    home.send_to(&[0xc0; 1200], zero.node.address()).unwrap();
    until("so is the quarantined", || judged(zero, Verdict::Quarantined) > 0).await;
    assert_eq!(zero.node.status().counters.strangers, 0);
    four.node(1).decide("afterwards", 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_that_somebody_else_has_bound_is_filtered_in_the_process_or_refused() {
    let four = Four::new(|_| {});
    let config = |filter| NodeConfig { filter, ..four.config(0) };
    let refused = four.try_start(0, config(Mode::Socket)).err().unwrap();
    assert!(matches!(refused, StartError::Filter { .. }), "{refused}");
    let running = four.try_start(0, config(Mode::Auto)).unwrap();
    assert_eq!(running.node.filter_kind(), Kind::Userspace);
    assert!(running.node.filter_fallback().is_some(), "and it says why");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filter_that_cannot_be_had_is_an_error_with_its_reason() {
    let four = Four::new(|_| {});
    let config = NodeConfig { filter: Mode::Tc("no-such-dev0".to_owned()), ..four.config(0) };
    let refused = four.try_start(0, config).err().unwrap();
    assert!(matches!(refused, StartError::Filter { .. }), "{refused}");
    assert!(refused.to_string().starts_with("filter tc no-such-dev0: "), "{refused}");
}

/// Whether the kernel joins datagrams that arrive.
fn joins(socket: &UdpSocket) -> bool {
    let (mut value, mut length) = (0 as libc::c_int, size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: the descriptor is open, and both pointers are to locals of the right size.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_GRO,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    value != 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_datagrams_are_judged_they_arrive_one_by_one() {
    let four = Four::new(|_| {});
    for (filter, joined) in [(Mode::Userspace, false), (Mode::Off, true)] {
        let config = NodeConfig { filter, ..four.config(0) };
        let running = four.try_start(0, config).unwrap();
        assert_eq!(joins(&four.setting.socket(0)), joined, "{:?}", running.node.filter_kind());
        running.node.shutdown();
        running.node.stopped().await;
    }
}
