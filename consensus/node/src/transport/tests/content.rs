//! Content by its digest: who gives it, what is not believed, and what a peer may ask for.

use std::time::{Duration, Instant};

use certificate::codec::Encode;
use certificate::{Digest, ReplicaId};
use quinn::{Connection, RecvStream, SendStream};

use super::super::content::{CONTENT_PIECE_BYTES, PIECE_TIMEOUT, Question};
use super::super::raw::{close_of, dial, greeted};
use super::super::{
    ANSWER_BYTES_PER_WINDOW_MAX, ANSWER_WINDOW, CONTENT_BYTES_MAX, CloseCode, FETCH_STREAMS_MAX,
    FETCH_WINDOW, FETCHES_PER_WINDOW_MAX,
};
use super::{End, HELLO_RULES, end, settled};
use crate::testing::{PANIC, PATIENCE, Setting, noise, until};

/// Content for which replica 0 asks replica 1 first, then 2, then 3.
fn asked_of_one_first(length: usize) -> (Digest, Vec<u8>) {
    let numbered = |number: u8| [noise(length), vec![number]].concat();
    let contents = (0..=u8::MAX).map(|number| (Digest::of(&numbered(number)), numbered(number)));
    contents.into_iter().find(|(digest, _)| digest.0[0].is_multiple_of(3)).unwrap()
}

async fn fetch(end: &End, digest: Digest) -> Option<Vec<u8>> {
    end.peers.fetch(&digest, CONTENT_BYTES_MAX, PATIENCE).await.map(Vec::from)
}

/// Asks as a peer that may break the rules.
async fn ask(connection: &Connection, digest: Digest, bytes_max: u32) -> (SendStream, RecvStream) {
    let (mut send, receive) = connection.open_bi().await.unwrap();
    let question = Question { digest, bytes_max };
    send.write_chunk(HELLO_RULES.encode(&question.to_bytes()).unwrap()).await.unwrap();
    (send, receive)
}

/// Answers the next question with this beginning, as a peer that may break the rules.
async fn begin(connection: &Connection, beginning: &[u8]) -> (SendStream, RecvStream) {
    let (mut send, receive) = connection.accept_bi().await.unwrap();
    send.write_chunk(HELLO_RULES.encode(beginning).unwrap()).await.unwrap();
    (send, receive)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_comes_whole_from_the_one_peer_that_has_it() {
    let setting = Setting::new();
    let ends = settled(&setting).await;
    for holder in 1..4 {
        let content = noise(2 * CONTENT_PIECE_BYTES + holder);
        let digest = ends[holder].shelf.keep(content.clone());
        assert!(fetch(&ends[0], digest).await == Some(content), "from {holder}");
    }
    assert_eq!(ends[0].counters.content_in.value(), 3);
    until("each gave one", || (1..4).all(|holder| ends[holder].counters.content_out.value() == 1)).await;
    let empty = ends[1].shelf.keep(Vec::new());
    assert_eq!(fetch(&ends[0], empty).await, Some(Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_has_is_none_as_soon_as_all_have_said_so() {
    let setting = Setting::new();
    let ends = settled(&setting).await;
    let fetched = tokio::time::timeout(PIECE_TIMEOUT, fetch(&ends[0], Digest::of(b"nothing"))).await;
    assert_eq!(fetched, Ok(None));
    assert!((1..4).all(|peer| ends[peer].shelf.asked_count() == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_of_another_digest_is_refused_and_the_next_peer_asked() {
    let setting = Setting::new();
    let ends = settled(&setting).await;
    let (digest, content) = asked_of_one_first(1000);
    let mut flipped = content.clone();
    flipped[500] ^= 1;
    ends[1].shelf.put(digest, flipped);
    ends[2].shelf.put(digest, Vec::new());
    ends[3].shelf.put(digest, content.clone());
    assert!(fetch(&ends[0], digest).await == Some(content));
    assert_eq!(ends[0].counters.content_refused.value(), 2);
    assert!(ends[0].is_connected(1), "who said wrong things may still vote");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_that_is_longer_than_wanted_is_not_given() {
    let setting = Setting::new();
    let (zero, one) = (end(&setting, 0), end(&setting, 1));
    until("both are connected", || zero.is_connected(1) && one.is_connected(0)).await;
    let digest = one.shelf.keep(noise(1000));
    assert_eq!(zero.peers.fetch(&digest, 999, PATIENCE).await, None);
    assert_eq!(zero.counters.content_refused.value(), 0, "the other end keeps it back");
    assert!(zero.peers.fetch(&digest, 1000, PATIENCE).await.is_some());
    let longest = one.shelf.keep(vec![7; CONTENT_BYTES_MAX + 1]);
    assert_eq!(zero.peers.fetch(&longest, usize::MAX, PATIENCE).await, None);
    assert_eq!(one.counters.content_out.value(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_that_is_longer_than_wanted_is_refused_at_its_beginning() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let (_endpoint, peer) = greeted(&setting, 0, 1, 1).await;
    until("the peer is connected", || zero.is_connected(1)).await;
    let wanted = Digest::of(b"wanted");
    let (_streams, fetched) = tokio::join!(
        begin(&peer.connection, &[1, 0, 0, 3, 232 + 1]),
        zero.peers.fetch(&wanted, 1000, PIECE_TIMEOUT / 2)
    );
    assert_eq!((fetched, zero.counters.content_refused.value()), (None, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_that_never_answers_does_not_hold_a_fetch_up() {
    let setting = Setting::new();
    let (zero, two) = (end(&setting, 0), end(&setting, 2));
    let (_endpoint, silent) = greeted(&setting, 0, 1, 1).await;
    until("both are connected", || zero.is_connected(1) && zero.is_connected(2)).await;
    let (digest, content) = asked_of_one_first(1000);
    two.shelf.put(digest, content.clone());
    // Less than what gives up the silent one.
    let fetched = zero.peers.fetch(&digest, content.len(), PIECE_TIMEOUT - Duration::from_secs(1)).await;
    assert!(fetched.is_some_and(|fetched| fetched == content));
    assert!(silent.connection.accept_bi().await.is_ok(), "it was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_f_plus_one_are_asked_at_once() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let mut peers = Vec::new();
    for id in 1..4 {
        peers.push(greeted(&setting, 0, id, 1).await);
    }
    until("all are connected", || (1..4).all(|id| zero.is_connected(id))).await;
    let (digest, _) = asked_of_one_first(10);
    let fetched = zero.peers.fetch(&digest, 1000, Duration::from_secs(2)).await;
    assert_eq!(fetched, None);
    for (_, peer) in &peers[..2] {
        assert!(peer.connection.accept_bi().await.is_ok());
    }
    let third = tokio::time::timeout(Duration::from_millis(100), peers[2].1.connection.accept_bi()).await;
    assert!(third.is_err(), "a third one was asked while two still had time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_piece_is_under_way_at_a_time() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let digest = zero.shelf.keep(noise(2 * CONTENT_PIECE_BYTES));
    let (_endpoint, peer) = greeted(&setting, 0, 1, 1).await;
    let (mut send, mut receive) = ask(&peer.connection, digest, u32::MAX).await;
    send.write_all(&[1]).await.unwrap();
    let mut piece = vec![0; 4 + 1 + 5 + CONTENT_PIECE_BYTES];
    receive.read_exact(&mut piece).await.unwrap();
    assert_eq!(piece[4..10], [0, 1, 0, 8, 0, 0], "there is content of 512 KiB");
    let more = tokio::time::timeout(Duration::from_millis(200), receive.read_chunk(1, true)).await;
    assert!(more.is_err(), "the next piece was not asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn question_or_wish_that_cannot_be_read_costs_a_peer_the_connection() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let digest = zero.shelf.keep(noise(10));
    for rubbish in [&[0, 0, 0, 3, 0, 1, 2][..], &[0, 0, 0, 38, 0], &[0, 0, 0, 1, 9]] {
        let (_endpoint, peer) = greeted(&setting, 0, 1, 1).await;
        let (mut send, _receive) = peer.connection.open_bi().await.unwrap();
        send.write_all(rubbish).await.unwrap();
        let closed = close_of(&peer.connection).await;
        assert!(CloseCode::Unreadable.is_of(&closed), "{closed}");
    }
    assert_eq!(zero.shelf.asked_count(), 0);
    let (_endpoint, peer) = greeted(&setting, 0, 1, 1).await;
    let (mut send, _receive) = ask(&peer.connection, digest, 10).await;
    send.write_all(&[2]).await.unwrap();
    let closed = close_of(&peer.connection).await;
    assert!(CloseCode::Unreadable.is_of(&closed), "{closed}");
    assert_eq!(zero.counters.refused_frames.value(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_that_cannot_be_read_costs_a_peer_the_connection() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let (_endpoint, peer) = greeted(&setting, 0, 1, 1).await;
    until("the peer is connected", || zero.is_connected(1)).await;
    let wanted = Digest::of(b"wanted");
    let (_streams, fetched) =
        tokio::join!(begin(&peer.connection, &[2]), zero.peers.fetch(&wanted, 1000, PATIENCE));
    assert_eq!(fetched, None);
    let closed = close_of(&peer.connection).await;
    assert!(CloseCode::Unreadable.is_of(&closed), "{closed}");
    assert_eq!(zero.counters.refused_frames.value(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_that_asks_for_content_too_often_is_not_answered_and_stays_connected() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let (_endpoint, peer) = greeted(&setting, 0, 1, 1).await;
    let begun = Instant::now();
    let mut answered = 0;
    for _ in 0..4 * FETCHES_PER_WINDOW_MAX {
        let (_send, mut receive) = ask(&peer.connection, Digest::ZERO, 1).await;
        answered += usize::from(receive.read_exact(&mut [0; 6]).await.is_ok());
    }
    let windows = 1 + begun.elapsed().div_duration_f64(FETCH_WINDOW) as usize;
    let refused = zero.counters.fetches_refused.value() as usize;
    assert_eq!((answered, answered + refused), (zero.shelf.asked_count(), 4 * FETCHES_PER_WINDOW_MAX));
    assert!((FETCHES_PER_WINDOW_MAX..=windows * FETCHES_PER_WINDOW_MAX).contains(&answered), "{answered}");
    assert!(zero.is_connected(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_ask_nothing_are_bounded_and_given_up() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let (_endpoint, peer) = greeted(&setting, 0, 1, 1).await;
    let mut streams = Vec::new();
    for _ in 0..FETCH_STREAMS_MAX {
        let mut stream = peer.connection.open_bi().await.unwrap();
        stream.0.write_all(&[0]).await.unwrap();
        streams.push(stream);
    }
    let one_more = tokio::time::timeout(PIECE_TIMEOUT / 4, peer.connection.open_bi()).await;
    assert!(one_more.is_err(), "a stream beyond the bound was opened");
    for (_, receive) in &mut streams {
        // It ends: with a reset, or as it is.
        let ended = tokio::time::timeout(PATIENCE, receive.read_to_end(0)).await;
        assert!(ended.is_ok(), "a stream that asks nothing is kept");
    }
    drop(streams);
    assert!(tokio::time::timeout(PATIENCE, peer.connection.open_bi()).await.is_ok());
    assert!(zero.is_connected(1) && zero.shelf.asked_count() == 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_that_is_shut_out_is_neither_answered_nor_asked() {
    let setting = Setting::new();
    let (zero, one) = (end(&setting, 0), end(&setting, 1));
    until("both are connected", || zero.is_connected(1) && one.is_connected(0)).await;
    let link = zero.peers.shared().link(ReplicaId(1));
    let connection = link.connection().unwrap();
    assert!(link.takes_fetch(&connection, Instant::now()));
    zero.peers.shut_out(ReplicaId(1), "shut out");
    assert!(!link.takes_fetch(&connection, Instant::now()), "what came before the connection ended");
    let digest = one.shelf.keep(noise(10));
    assert_eq!(fetch(&zero, digest).await, None);
    assert_eq!(one.shelf.asked_count(), 0);
    let held = zero.shelf.keep(noise(11));
    assert_eq!(one.peers.fetch(&held, 11, Duration::from_millis(500)).await, None);
    let (_endpoint, connection) = dial(&setting, 0, &setting.seeds[1], 1).await.unwrap();
    assert!(connection.open_bi().await.is_err(), "it may prove its key and gets no stream");
    assert_eq!(zero.shelf.asked_count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_can_be_fetched_before_the_hello() {
    let setting = Setting::new();
    let _zero = end(&setting, 0);
    let (_endpoint, connection) = dial(&setting, 0, &setting.seeds[1], 1).await.unwrap();
    let opened = tokio::time::timeout(Duration::from_millis(500), connection.open_bi()).await;
    assert!(opened.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_leaves_half_of_the_allowance_to_slots_and_states() {
    let setting = Setting::new();
    let (zero, one) = (end(&setting, 0), end(&setting, 1));
    until("both are connected", || zero.is_connected(1) && one.is_connected(0)).await;
    let link = zero.peers.shared().link(ReplicaId(1));
    let now = Instant::now();
    let pieces = (0..100).filter(|_| link.takes_content(now, CONTENT_PIECE_BYTES)).count();
    assert_eq!(pieces, (ANSWER_BYTES_PER_WINDOW_MAX / 2).div_ceil(CONTENT_PIECE_BYTES));
    assert!(link.takes_answer(now, &zero.counters));
    assert!(link.takes_content(now + ANSWER_WINDOW, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_that_panics_over_a_question_has_nothing_and_answers_the_next() {
    let setting = Setting::new();
    let (zero, one) = (end(&setting, 0), end(&setting, 1));
    until("both are connected", || zero.is_connected(1) && one.is_connected(0)).await;
    assert_eq!(fetch(&zero, Digest::of(PANIC)).await, None);
    let digest = one.shelf.keep(noise(10));
    assert!(fetch(&zero, digest).await.is_some());
    assert!(zero.is_connected(1));
}
