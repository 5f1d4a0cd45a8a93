//! News: who hears it, and how much of it.

use std::time::Instant;

use bytes::Bytes;
use certificate::ReplicaId;
use pbft::Recipients;
use quinn::SendStream;

use super::super::class::{Class, NEWS_RULES};
use super::super::connection;
use super::super::raw::{close_of, greeted};
use super::super::{
    CloseCode, NEWS_BYTES_MAX, NEWS_HEARD_PER_WINDOW_MAX, NEWS_TOLD_PER_WINDOW_MAX, NEWS_WINDOW,
};
use super::{HELLO_RULES, end, fetch, settled};
use crate::testing::{PANIC, Setting, noise, until};

/// The stream on which a peer that breaks rules tells its news.
async fn news_stream(connection: &quinn::Connection) -> (SendStream, SendStream) {
    let bulk = connection::open(connection, Class::Bulk).await.unwrap();
    (bulk, connection::open(connection, Class::News).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_reaches_every_peer_and_says_who_told_it() {
    let setting = Setting::new();
    let ends = settled(&setting).await;
    let longest = noise(NEWS_BYTES_MAX);
    ends[2].peers.tell(Instant::now(), b"short");
    ends[2].peers.tell(Instant::now(), &longest);
    let expected = [(ReplicaId(2), Bytes::from_static(b"short")), (ReplicaId(2), longest.into())];
    for other in [0, 1, 3] {
        until("both have come", || ends[other].shelf.news_count() == 2).await;
        assert_eq!(*ends[other].shelf.news.lock().unwrap(), expected);
    }
    assert_eq!(ends[2].shelf.news_count(), 0, "nobody tells itself");
    assert_eq!((ends[2].counters.news_out.value(), ends[2].counters.news_dropped.value()), (6, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_news_that_is_too_long_or_too_much_is_dropped_and_counted() {
    let setting = Setting::new();
    let (zero, one) = (end(&setting, 0), end(&setting, 1));
    until("both are connected", || zero.is_connected(1) && one.is_connected(0)).await;
    let now = Instant::now();
    zero.peers.tell(now, &noise(NEWS_BYTES_MAX + 1));
    assert_eq!(zero.counters.news_dropped.value(), 1);
    for _ in 0..NEWS_TOLD_PER_WINDOW_MAX + 10 {
        zero.peers.tell(now, b"news");
    }
    assert_eq!(zero.counters.news_dropped.value(), 11);
    zero.peers.tell(now + NEWS_WINDOW, b"later");
    assert_eq!(zero.counters.news_dropped.value(), 11, "a new window, a new allowance");
    until("the rest has come", || one.shelf.news_count() == NEWS_TOLD_PER_WINDOW_MAX + 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_that_floods_news_is_heard_at_its_rate_and_stays_connected() {
    const PIECES: u64 = 3000;
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let (_endpoint, peer) = greeted(&setting, 0, 1, 1).await;
    until("the peer is connected", || zero.is_connected(1)).await;
    let (_bulk, mut news) = news_stream(&peer.connection).await;
    let begun = Instant::now();
    for _ in 0..PIECES {
        news.write_chunk(NEWS_RULES.encode(&[7; 64]).unwrap()).await.unwrap();
    }
    let counters = &zero.counters;
    until("all is judged", || counters.news_in.value() + counters.news_refused.value() == PIECES).await;
    let windows = 1 + begun.elapsed().div_duration_f64(NEWS_WINDOW) as usize;
    let heard = zero.shelf.news_count();
    assert!(
        (NEWS_HEARD_PER_WINDOW_MAX..=windows * NEWS_HEARD_PER_WINDOW_MAX).contains(&heard),
        "{heard} pieces in {windows} windows"
    );
    assert!(zero.is_connected(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_that_is_too_long_costs_a_peer_the_connection() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let (_endpoint, peer) = greeted(&setting, 0, 1, 1).await;
    let (_bulk, mut news) = news_stream(&peer.connection).await;
    news.write_all(&(2 + NEWS_BYTES_MAX as u32).to_be_bytes()).await.unwrap();
    let closed = close_of(&peer.connection).await;
    assert!(CloseCode::Unreadable.is_of(&closed), "{closed}");
    assert_eq!((zero.counters.refused_frames.value(), zero.shelf.news_count()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_that_takes_news_too_slowly_does_without_and_stays_connected() {
    let setting = Setting::new();
    let zero = end(&setting, 0);
    let (_endpoint, mut peer) = greeted(&setting, 0, 1, 1).await;
    until("the peer is connected", || zero.is_connected(1)).await;
    let (mut now, piece) = (Instant::now(), noise(NEWS_BYTES_MAX));
    until("its queue is full", || {
        zero.peers.tell(now, &piece);
        now += NEWS_WINDOW;
        zero.counters.news_dropped.value() > 0
    })
    .await;
    zero.peers.send(now, Recipients::One(ReplicaId(1)), &fetch(5));
    assert_eq!(peer.message(HELLO_RULES).await, fetch(5), "what is no news passes it");
    assert_eq!(zero.counters.queue_drops.value(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_peer_told_before_it_was_shut_out_is_not_heard_after() {
    let setting = Setting::new();
    let (zero, one) = (end(&setting, 0), end(&setting, 1));
    until("both are connected", || zero.is_connected(1) && one.is_connected(0)).await;
    let shared = zero.peers.shared();
    let connection = shared.link(ReplicaId(1)).connection().unwrap();
    let take = || shared.take_news(Instant::now(), &connection, ReplicaId(1), Bytes::from_static(b"news"));
    take();
    zero.peers.shut_out(ReplicaId(1), "shut out");
    take();
    assert_eq!((zero.shelf.news_count(), zero.counters.news_refused.value()), (1, 1));
    zero.peers.tell(Instant::now(), b"news");
    assert_eq!(zero.counters.news_out.value(), 0, "nor is it told anything");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_that_panics_over_news_hears_the_next() {
    let setting = Setting::new();
    let (zero, one) = (end(&setting, 0), end(&setting, 1));
    until("both are connected", || zero.is_connected(1) && one.is_connected(0)).await;
    zero.peers.tell(Instant::now(), PANIC);
    zero.peers.tell(Instant::now(), b"news");
    until("the next is heard", || one.shelf.news_count() == 1).await;
    assert!(zero.is_connected(1) && one.is_connected(0));
}
