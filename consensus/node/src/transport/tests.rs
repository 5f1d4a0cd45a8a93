//! Peers over real QUIC on loopback: who gets in, which connection stays, what ends one.

mod content;
mod news;
mod packets;

use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use certificate::{Cluster, OperationKind, ReplicaId, SeedKey, Sequence};
use pbft::{Event, Item, Message, Observation, Recipients, SignedObservations, StateChunk};
use peer_filter::{Mode, PeerFilter};
use quinn::{ConnectionError, Endpoint};
use tokio::runtime::Handle;

use super::class::Class;
use super::connection::{self, HELLO_RULES};
use super::hello::Hello;
use super::link_error::LinkError;
use super::raw::{close_of, dial, greeted};
use super::tls::Identities;
use super::*;
use crate::counters::LiveCounters;
use crate::inbox::Inbox;
use crate::testing::{Setting, Shelf, noise, until};

pub(super) struct End {
    pub peers: Peers,
    pub shelf: Arc<Shelf>,
    inbox: Arc<Inbox>,
    pub counters: Arc<LiveCounters>,
}

fn end_of(setting: &Setting, cluster: &Arc<Cluster>, id: u8) -> End {
    end_behind(setting, cluster, id, setting.filter(id, &Mode::Off))
}

fn end_behind(setting: &Setting, cluster: &Arc<Cluster>, id: u8, filter: PeerFilter) -> End {
    let inbox = Arc::new(Inbox::new(4));
    let counters = Arc::new(LiveCounters::default());
    let shelf = Arc::new(Shelf::default());
    let peers = Peers::start(PeersConfig {
        cluster: cluster.clone(),
        me: ReplicaId(id),
        key: setting.seeds[usize::from(id)].transport_key(),
        socket: setting.socket(id),
        filter,
        compression: true,
        shut_out: Vec::new(),
        log_began: 0,
        host: Arc::new(RwLock::new(shelf.clone())),
        inbox: inbox.clone(),
        counters: counters.clone(),
        runtime: Handle::current(),
    });
    End { peers: peers.unwrap(), shelf, inbox, counters }
}

pub(super) fn end(setting: &Setting, id: u8) -> End {
    end_of(setting, &setting.cluster, id)
}

/// All four, each with one connection to every other.
async fn settled(setting: &Setting) -> Vec<End> {
    settle((0..4).map(|id| end(setting, id)).collect()).await
}

async fn settle(ends: Vec<End>) -> Vec<End> {
    until("every pair is connected", || {
        (0..4).all(|me| (0..4).all(|peer| me == peer || ends[usize::from(me)].is_connected(peer)))
    })
    .await;
    until("no second connection is left", || ends.iter().all(|end| end.peers.open_connections() == 3)).await;
    ends
}

impl End {
    pub(super) fn is_connected(&self, peer: u8) -> bool {
        self.peers.states().iter().any(|state| state.id.0 == peer && state.connected)
    }

    fn problem(&self, peer: u8) -> String {
        let states = self.peers.states();
        states.into_iter().find(|state| state.id.0 == peer).unwrap().problem.unwrap_or_default()
    }

    async fn message(&self) -> (ReplicaId, Message) {
        let mut found = None;
        until("a message comes", || {
            found = match self.inbox.poll() {
                Some(Event::Message { from, message }) => Some((from, message)),
                _ => None,
            };
            found.is_some()
        })
        .await;
        found.unwrap()
    }
}

fn fetch(from: u64) -> Message {
    Message::Fetch { from: Sequence(from) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_replicas_that_dial_at_once_end_with_one_connection_for_each_pair() {
    let setting = Setting::new();
    let ends = settled(&setting).await;
    for (id, end) in ends.iter().enumerate() {
        end.peers.send(Instant::now(), Recipients::All, &fetch(id as u64));
    }
    for (id, end) in ends.iter().enumerate() {
        let mut from = vec![end.message().await, end.message().await, end.message().await];
        from.sort_by_key(|(from, _)| *from);
        let others = (0..4).filter(|other| *other != id as u64);
        let expected: Vec<_> = others.map(|other| (ReplicaId(other as u8), fetch(other))).collect();
        assert_eq!(from, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_messages_take_the_bulk_stream_and_arrive_whole() {
    let setting = Setting::new();
    let ends = settled(&setting).await;
    let chunk = |byte: u8| {
        let certificate = pbft::CheckpointCertificate {
            sequence: Sequence(100),
            digest: certificate::Digest::ZERO,
            signers: Default::default(),
            signatures: Vec::new(),
        };
        Message::StableCheckpoint(StateChunk {
            certificate,
            total: 48 * 1024,
            offset: 0,
            bytes: (0..48 * 1024).map(|index| (index as u8).wrapping_mul(byte)).collect(),
        })
    };
    assert_eq!(Class::of(&chunk(7)), Class::Bulk);
    ends[0].peers.send(Instant::now(), Recipients::One(ReplicaId(1)), &chunk(7));
    assert_eq!(ends[1].message().await, (ReplicaId(0), chunk(7)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stranger_gets_no_byte_and_is_counted() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    for (count, stranger) in [(1, SeedKey::new([99; 32])), (2, SeedKey::new([98; 32]))] {
        // The client believes in its handshake until the server has judged its key.
        if let Ok((_endpoint, connection)) = dial(&setting, 0, &stranger, 1).await {
            let refused = connection.accept_uni().await.err();
            assert!(matches!(refused, Some(ConnectionError::ConnectionClosed(_))), "{refused:?}");
        }
        until("the stranger is counted", || zero.counters.strangers.value() == count).await;
    }
    assert_eq!(zero.peers.states().iter().filter(|state| state.connected).count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_that_is_not_who_was_dialled_gets_no_hello() {
    let setting = Setting::new();
    // At the address of replica 0 sits somebody with the key of replica 2.
    let two = Identities::new(&setting.cluster, ReplicaId(2), &setting.seeds[2].transport_key()).unwrap();
    let server = quinn::ServerConfig::with_crypto(two.server().unwrap());
    let runtime = Arc::new(quinn::TokioRuntime);
    let endpoint =
        Endpoint::new(quinn::EndpointConfig::default(), Some(server), setting.socket(0), runtime).unwrap();
    let one = end(&setting, 1);
    let incoming = endpoint.accept().await.unwrap();
    let refused = incoming.await.err();
    assert!(matches!(refused, Some(ConnectionError::ConnectionClosed(_))), "{refused:?}");
    assert!(!one.is_connected(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_counts_as_connected_only_after_its_hello() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let (_endpoint, connection) = dial(&setting, 0, &setting.seeds[1], 1).await.unwrap();
    // Its Hello shows that the handshake is complete there, too.
    let mut receive = connection::accept(&connection, Class::Consensus).await.unwrap();
    connection::read_frame(&mut receive, HELLO_RULES).await.unwrap();
    assert!(!zero.is_connected(1));
    let hello = Hello::new(&setting.cluster, ReplicaId(1), 0, 1);
    let mut send = connection::open(&connection, Class::Consensus).await.unwrap();
    let frame = HELLO_RULES.encode(&certificate::codec::Encode::to_bytes(&hello)).unwrap();
    send.write_chunk(frame).await.unwrap();
    until("the Hello counts", || zero.is_connected(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hello_of_another_version_is_refused_by_its_number() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let (_endpoint, connection) = dial(&setting, 0, &setting.seeds[1], 1).await.unwrap();
    let mut old = certificate::codec::Encode::to_bytes(&Hello::new(&setting.cluster, ReplicaId(1), 0, 1));
    old[7] = 2;
    let mut send = connection::open(&connection, Class::Consensus).await.unwrap();
    send.write_chunk(HELLO_RULES.encode(&old).unwrap()).await.unwrap();
    let closed = close_of(&connection).await;
    assert!(CloseCode::Refused.is_of(&closed), "{closed}");
    assert!(closed.to_string().contains("ours greets with version 3, the peer's with version 2"), "{closed}");
    until("it is said here too", || zero.problem(1).contains("versions differ")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_that_is_shut_out_hears_why_and_comes_back_when_it_is_let_in() {
    let setting = Setting::new();
    let (zero, one) = (end(&setting, 0), end(&setting, 1));
    until("both are connected", || zero.is_connected(1) && one.is_connected(0)).await;
    let notice = "shut out until 2026-11-22T21:00:00.000Z: proven equivocation";
    zero.peers.shut_out(ReplicaId(1), notice);
    assert!(!zero.is_connected(1) && zero.peers.states()[0].quarantined);
    assert_eq!(zero.problem(1), notice);
    until("the other end says why", || one.problem(0).contains(notice)).await;
    // The other end dials again and again.
    let (_endpoint, connection) = dial(&setting, 0, &setting.seeds[1], 1).await.unwrap();
    assert!(connection.accept_uni().await.is_err(), "it gets no Hello");
    let closed = close_of(&connection).await;
    assert!(CloseCode::Quarantined.is_of(&closed) && closed.to_string().contains(notice), "{closed}");
    assert!(!zero.is_connected(1) && !one.is_connected(0));
    assert!(one.problem(0).contains(notice), "{}", one.problem(0));
    zero.peers.admit(ReplicaId(1));
    until("both are connected again", || zero.is_connected(1) && one.is_connected(0)).await;
    assert!(!zero.peers.states()[0].quarantined);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_that_is_shut_out_is_not_dialled_until_it_is_let_in() {
    let setting = Setting::new();
    let one = Identities::new(&setting.cluster, ReplicaId(1), &setting.seeds[1].transport_key()).unwrap();
    let server = quinn::ServerConfig::with_crypto(one.server().unwrap());
    let runtime = Arc::new(quinn::TokioRuntime);
    let endpoint =
        Endpoint::new(quinn::EndpointConfig::default(), Some(server), setting.socket(1), runtime).unwrap();
    let zero = end(&setting, 0);
    let dialled = endpoint.accept().await.unwrap();
    zero.peers.shut_out(ReplicaId(1), "shut out");
    dialled.refuse();
    // One dial may be under way; after that there is none.
    let quiet = |wait| tokio::time::timeout(wait, endpoint.accept());
    if let Ok(Some(late)) = quiet(Duration::from_millis(200)).await {
        late.refuse();
    }
    assert!(quiet(2 * dial::BACK_OFF_MOST).await.is_err(), "it is dialled although it is shut out");
    zero.peers.admit(ReplicaId(1));
    assert!(quiet(crate::testing::PATIENCE).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hello_that_was_under_way_does_not_get_past_a_quarantine() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let (_endpoint, connection) = dial(&setting, 0, &setting.seeds[1], 1).await.unwrap();
    let mut receive = connection::accept(&connection, Class::Consensus).await.unwrap();
    connection::read_frame(&mut receive, HELLO_RULES).await.unwrap();
    zero.peers.shut_out(ReplicaId(1), "shut out");
    let hello = Hello::new(&setting.cluster, ReplicaId(1), 0, 1);
    let mut send = connection::open(&connection, Class::Consensus).await.unwrap();
    let frame = HELLO_RULES.encode(&certificate::codec::Encode::to_bytes(&hello)).unwrap();
    send.write_chunk(frame).await.unwrap();
    let closed = close_of(&connection).await;
    assert!(CloseCode::Quarantined.is_of(&closed), "{closed}");
    assert!(!zero.is_connected(1));
}

async fn refusals(change: impl FnOnce(&mut Cluster)) -> (String, String) {
    let setting = Setting::new();
    let mut other = Cluster::clone(&setting.cluster);
    change(&mut other);
    let (zero, one) = (end(&setting, 0), end_of(&setting, &Arc::new(other), 1));
    let refused = |problem: String| problem.contains("differ");
    until("both ends say why", || refused(zero.problem(1)) && refused(one.problem(0))).await;
    assert!(!zero.is_connected(1) && !one.is_connected(0));
    (zero.problem(1), one.problem(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_cluster_file_is_reported_on_both_sides() {
    let (zero, one) = refusals(|cluster| cluster.pipeline = 2).await;
    for problem in [zero, one] {
        assert!(problem.contains("cluster files differ at epoch 1"), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_cluster_is_reported_on_both_sides() {
    let (zero, one) = refusals(|cluster| cluster.name = "other".to_owned()).await;
    for problem in [zero, one] {
        assert!(problem.contains("clusters differ"), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_frame_closes_the_connection_with_its_reason() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let (_endpoint, mut peer) = greeted(&setting, 0, 1, 1).await;
    until("the peer is connected", || zero.is_connected(1)).await;
    peer.send.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    let closed = close_of(&peer.connection).await;
    assert!(CloseCode::Unreadable.is_of(&closed), "{closed}");
    assert!(closed.to_string().contains("at most 65537 bytes"), "{closed}");
    until("it is seen", || zero.counters.refused_frames.value() == 1 && !zero.is_connected(1)).await;
    // What follows in the same name is judged anew.
    let (_endpoint, _peer) = greeted(&setting, 0, 1, 2).await;
    until("the peer is back", || zero.is_connected(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_that_cannot_be_read_closes_the_connection() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let (_endpoint, mut peer) = greeted(&setting, 0, 1, 1).await;
    let frame = HELLO_RULES.encode(&[255, 1, 2, 3]).unwrap();
    peer.send.write_chunk(frame).await.unwrap();
    let closed = close_of(&peer.connection).await;
    assert!(CloseCode::Unreadable.is_of(&closed), "{closed}");
    until("it is seen", || zero.counters.refused_frames.value() == 1).await;
}

/// A consensus message of `length` bytes and a few that does not compress.
fn observations(length: usize) -> Message {
    let seen = |payload: &[u8]| Observation {
        operation: pbft::Operation { kind: OperationKind::Resolve, subject: b"www.example.org".to_vec() },
        after: Sequence(0),
        time_ms: 1,
        payload: payload.to_vec(),
    };
    let items =
        noise(length).chunks(pbft::OBSERVATION_BYTES_MAX).map(|part| Item::Full(seen(part))).collect();
    let signature = certificate::Signature([7; 64]);
    Message::Observe(SignedObservations { replica: ReplicaId(0), items, signature })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_that_does_not_read_is_reset_and_the_queue_stays_bounded() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let (_endpoint, peer) = greeted(&setting, 0, 1, 1).await;
    until("the peer is connected", || zero.is_connected(1)).await;
    let message = observations(60_000);
    let mut queued = 0;
    while zero.counters.queue_drops.value() == 0 {
        zero.peers.send(Instant::now(), Recipients::One(ReplicaId(1)), &message);
        queued = queued.max(zero.peers.states()[0].queued_bytes);
    }
    assert!(queued <= QUEUE_BYTES_MAX);
    // The flood may swallow the packet that says why: then the peer finds out by silence.
    let closed = close_of(&peer.connection).await;
    assert!(CloseCode::QueueFull.is_of(&closed) || closed == ConnectionError::TimedOut, "{closed}");
    until("the connection is gone", || !zero.is_connected(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_to_a_peer_that_does_not_read_are_dropped_before_they_are_encoded() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let (_endpoint, _peer) = greeted(&setting, 0, 1, 1).await;
    until("the peer is connected", || zero.is_connected(1)).await;
    let answer = |length| Message::Answer { operation: certificate::Digest::ZERO, bytes: noise(length) };
    let send = |at, message: &Message| zero.peers.send(at, Recipients::One(ReplicaId(1)), message);
    let mut now = Instant::now();
    let mut dropped_in_a_row = 0;
    until("nothing moves any more", || {
        let before = zero.counters.answers_dropped.value();
        send(now, &answer(60_000));
        now += ANSWER_WINDOW;
        dropped_in_a_row = (dropped_in_a_row + 1) * (zero.counters.answers_dropped.value() - before);
        dropped_in_a_row == 50
    })
    .await;
    let dropped = zero.counters.answers_dropped.value();
    assert!(zero.peers.states()[0].queued_bytes <= QUEUED_ANSWER_BYTES_MAX + 65_536);
    let frames = zero.counters.messages_out.value();
    // Encoding this one would be noticed: it is too long for a frame.
    send(now, &answer(70_000));
    assert_eq!((zero.counters.answers_dropped.value(), zero.counters.queue_drops.value()), (dropped + 1, 0));
    assert_eq!(zero.counters.messages_out.value(), frames);
    // Whatever is not an answer still has room.
    send(now, &fetch(1));
    assert_eq!(zero.counters.messages_out.value(), frames + 1);
    assert!(zero.is_connected(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_that_asks_for_ever_more_gets_its_allowance() {
    let setting = Setting::new();
    let (zero, one) = (end(&setting, 0), end(&setting, 1));
    until("both are connected", || zero.is_connected(1) && one.is_connected(0)).await;
    let answer = Message::Answer { operation: certificate::Digest::ZERO, bytes: noise(60_000) };
    let now = Instant::now();
    for _ in 0..100 {
        zero.peers.send(now, Recipients::One(ReplicaId(1)), &answer);
    }
    let fit = ANSWER_BYTES_PER_WINDOW_MAX.div_ceil(60_033) as u64;
    assert_eq!(zero.counters.answers_dropped.value(), 100 - fit);
    zero.peers.send(now + ANSWER_WINDOW, Recipients::One(ReplicaId(1)), &answer);
    assert_eq!(zero.counters.answers_dropped.value(), 100 - fit, "a new window, a new allowance");
    until("all that was sent has come", || one.counters.messages_in.value() == fit + 1).await;
}

#[test]
fn batches_count_as_answers_and_view_changes_never_do() {
    let header = certificate::SlotHeader::null(Sequence(1), certificate::Digest::ZERO);
    assert!(allowance::is_answer(&Message::Batch { header, batch: Default::default() }));
    let message = pbft::ViewChange {
        view: certificate::View(1),
        replica: ReplicaId(1),
        stable: None,
        decided: None,
        slots: Vec::new(),
        signature: certificate::Signature([0; 64]),
    };
    assert!(
        !allowance::is_answer(&Message::ViewChange(Arc::new(message))),
        "ours would be held back with it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_peer_replaces_its_dead_connection_at_once() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let (_first_endpoint, first) = greeted(&setting, 0, 1, 1).await;
    until("the peer is connected", || zero.is_connected(1)).await;
    // The first is still open: to replica 0 it looks alive.
    let (_second_endpoint, mut second) = greeted(&setting, 0, 1, 2).await;
    let closed = close_of(&first.connection).await;
    assert!(CloseCode::Duplicate.is_of(&closed), "{closed}");
    zero.peers.send(Instant::now(), Recipients::One(ReplicaId(1)), &fetch(5));
    let frame = connection::read_frame(&mut second.receive, HELLO_RULES).await.unwrap();
    assert_eq!(frame, certificate::codec::Encode::to_bytes(&fetch(5)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hello_of_another_replica_than_the_key_is_refused() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let (_endpoint, connection) = dial(&setting, 0, &setting.seeds[1], 1).await.unwrap();
    let hello = Hello::new(&setting.cluster, ReplicaId(2), 0, 1);
    // Our end judges the answer well; only replica 0 sees the difference.
    let ours = connection::greet(&connection, ReplicaId(0), &hello).await;
    assert!(!matches!(ours, Err(LinkError::Hello(_))));
    let closed = close_of(&connection).await;
    assert!(CloseCode::Refused.is_of(&closed), "{closed}");
    assert!(!zero.is_connected(1) && !zero.is_connected(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_peer_is_dialled_until_it_is_back() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let one = end(&setting, 1);
    until("both are connected", || zero.is_connected(1) && one.is_connected(0)).await;
    one.peers.close(CloseCode::ShuttingDown, "shut down");
    until("the loss is seen", || !zero.is_connected(1)).await;
    assert_ne!(zero.problem(1), "");
    one.peers.closed(crate::testing::PATIENCE).await;
    drop(one);
    let one = end(&setting, 1);
    until("it is back", || zero.is_connected(1) && one.is_connected(0)).await;
}
