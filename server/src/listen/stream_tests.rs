//! Tests of the stream loop over pipes in memory, in virtual time: order, limits, time-outs, half close.

use std::time::Duration;

use corefile::Scheme;
use plugins::Transport;
use tokio::io::{DuplexStream, duplex};
use tokio::time::Instant;

use super::*;
use crate::testing::{client, decode, entrance, framed, key};

/// A connection to a scripted server, and what the test holds of it.
struct Connection {
    stream: DuplexStream,
    gate: Arc<Semaphore>,
    streams: Streams,
    serving: tokio::task::JoinHandle<()>,
}

/// Opens a connection whose pipe takes `buffer` bytes each way.
fn connect(buffer: usize) -> Connection {
    let (entrance, gate) = entrance(key(Scheme::Dns));
    let streams = Streams::new(entrance, TaskTracker::new(), CancellationToken::new());
    let (stream, theirs) = duplex(buffer);
    let serving = tokio::spawn({
        let streams = streams.clone();
        async move { streams.serve(theirs, client(Transport::Tcp)).await }
    });
    Connection { stream, gate, streams, serving }
}

async fn read_reply(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut reply = vec![0; length.into()];
    stream.read_exact(&mut reply).await?;
    Ok(reply)
}

async fn reply_id(stream: &mut (impl AsyncRead + Unpin)) -> u16 {
    decode(&read_reply(stream).await.unwrap()).id
}

async fn is_closed(stream: &mut DuplexStream) -> bool {
    stream.read_u8().await.is_err()
}

#[tokio::test(start_paused = true)]
async fn answers_come_when_they_are_ready_not_in_the_order_asked() {
    let mut connection = connect(65_536);
    let both = [framed(1, "slow.example.org."), framed(2, "www.example.org.")].concat();
    connection.stream.write_all(&both).await.unwrap();
    assert_eq!(reply_id(&mut connection.stream).await, 2);
    connection.gate.add_permits(1);
    assert_eq!(reply_id(&mut connection.stream).await, 1);
}

#[tokio::test(start_paused = true)]
async fn message_in_single_bytes_is_read() {
    let mut connection = connect(1);
    for byte in framed(7, "www.example.org.") {
        connection.stream.write_u8(byte).await.unwrap();
    }
    assert_eq!(reply_id(&mut connection.stream).await, 7);
}

#[tokio::test(start_paused = true)]
async fn message_that_takes_too_long_ends_the_connection() {
    let mut connection = connect(65_536);
    let started = Instant::now();
    let message = framed(1, "www.example.org.");
    // A byte every two seconds: never idle, never done.
    let mut sent = 0;
    while !connection.serving.is_finished() && sent < message.len() {
        let _ = connection.stream.write_u8(message[sent]).await;
        sent += 1;
        tokio::time::advance(Duration::from_secs(2)).await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    assert!(is_closed(&mut connection.stream).await);
    let elapsed = started.elapsed();
    assert!(elapsed >= MESSAGE_TIMEOUT && elapsed <= MESSAGE_TIMEOUT + Duration::from_secs(4), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn query_that_is_dropped_ends_the_connection_when_the_others_are_answered() {
    let mut connection = connect(65_536);
    let started = Instant::now();
    connection.stream.write_all(&framed(1, "slow.example.org.")).await.unwrap();
    connection.stream.write_all(&framed(2, "drop.example.org.")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    connection.gate.add_permits(1);
    assert_eq!(reply_id(&mut connection.stream).await, 1);
    assert!(is_closed(&mut connection.stream).await);
    assert!(started.elapsed() < Duration::from_secs(1), "and not for being idle");
}

#[tokio::test(start_paused = true)]
async fn idle_connection_is_closed() {
    let mut connection = connect(65_536);
    let started = Instant::now();
    assert!(is_closed(&mut connection.stream).await);
    assert_eq!(started.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_before_a_half_close_is_answered() {
    let mut connection = connect(65_536);
    connection.stream.write_all(&framed(1, "slow.example.org.")).await.unwrap();
    connection.stream.shutdown().await.unwrap();
    tokio::task::yield_now().await;
    connection.gate.add_permits(1);
    assert_eq!(reply_id(&mut connection.stream).await, 1);
    assert!(is_closed(&mut connection.stream).await);
}

#[tokio::test(start_paused = true)]
async fn stopped_listener_answers_what_is_under_way() {
    let mut connection = connect(65_536);
    connection.stream.write_all(&framed(1, "slow.example.org.")).await.unwrap();
    while connection.streams.tasks.is_empty() {
        tokio::task::yield_now().await;
    }
    connection.streams.stop.cancel();
    connection.gate.add_permits(1);
    assert_eq!(reply_id(&mut connection.stream).await, 1);
    assert!(is_closed(&mut connection.stream).await);
}

#[tokio::test(start_paused = true)]
async fn queries_under_way_are_bounded() {
    let Connection { stream, gate, streams, .. } = connect(1 << 20);
    let (mut reader, mut writer) = tokio::io::split(stream);
    let count = CONNECTION_QUERIES_MAX + 50;
    for id in 0..count {
        writer.write_all(&framed(id as u16, "slow.example.org.")).await.unwrap();
    }
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(streams.tasks.len(), CONNECTION_QUERIES_MAX);
    gate.add_permits(count);
    for _ in 0..count {
        assert!(read_reply(&mut reader).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn client_that_does_not_read_is_cut_off() {
    let mut connection = connect(4096);
    let started = Instant::now();
    for id in 0..20 {
        connection.stream.write_all(&framed(id, "big.example.org.")).await.unwrap();
    }
    connection.serving.await.unwrap();
    assert!(started.elapsed() <= WRITE_TIMEOUT + Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(connection.streams.room.available_permits(), STREAM_QUERIES_MAX, "nothing is held for it");
}

#[tokio::test(start_paused = true)]
async fn junk_is_passed_over_and_broken_messages_are_answered() {
    let mut connection = connect(65_536);
    let mut broken = framed(9, "www.example.org.");
    broken[7] = 2;
    let junk = [&[0, 0, 0, 3, 1, 2, 3][..], &broken].concat();
    connection.stream.write_all(&junk).await.unwrap();
    let reply = decode(&read_reply(&mut connection.stream).await.unwrap());
    assert_eq!((reply.id, reply.response_code), (9, hickory_proto::op::ResponseCode::FormErr));
}
