//! What the hosts of whole nodes hand each other beside the protocol, and that it does not hold the protocol up.

use bytes::Bytes;
use certificate::codec::Writer;
use certificate::{Digest, ReplicaId};

use super::cluster::Four;
use crate::frame::FrameRules;
use crate::testing::{PATIENCE, noise, until};
use crate::transport::raw::greeted;
use crate::{CONTENT_BYTES_MAX, FETCH_STREAMS_MAX, NEWS_BYTES_MAX};

const RULES: FrameRules = FrameRules { message_bytes_max: NEWS_BYTES_MAX, compression: false };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_tell_each_other_news_and_fetch_content_while_they_decide() {
    let mut four = Four::new(|_| {});
    four.start_all().await;
    let content = noise(3 << 20);
    let digest = four.node(3).host.shelf.keep(content.clone());
    four.node(1).node.tell(Bytes::from_static(b"news"));
    let fetch = four.node(0).node.fetch(&digest, CONTENT_BYTES_MAX, PATIENCE);
    let (fetched, ()) = tokio::join!(fetch, four.node(2).decide("meanwhile", 10));
    assert!(fetched.is_some_and(|fetched| fetched == content));
    for other in [0, 2, 3] {
        let shelf = &four.node(other).host.shelf;
        until("the news has come", || shelf.news_count() == 1).await;
        assert_eq!(*shelf.news.lock().unwrap(), [(ReplicaId(1), Bytes::from_static(b"news"))]);
    }
    until("it is counted", || four.node(0).node.status().counters.content_in == 1).await;
    four.assert_agreement();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_node_fetches_nothing_and_tells_nobody() {
    let mut four = Four::new(|_| {});
    four.start_all().await;
    let digest = four.node(1).host.shelf.keep(noise(100));
    let zero = four.node(0).node.clone();
    four.stop(0).await;
    zero.tell(Bytes::from_static(b"news"));
    assert_eq!(zero.fetch(&digest, 100, PATIENCE).await, None);
    assert_eq!(four.node(1).host.shelf.news_count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_decides_while_a_peer_floods_every_replica_with_news_and_fetches() {
    let mut four = Four::new(|_| {});
    let mut floods = Vec::new();
    for id in 0..3 {
        four.start(id);
    }
    for id in 0..3 {
        four.node(id).status("three are present", |status| status.present == 3).await;
        let digest = four.node(id).host.shelf.keep(noise(4 << 20));
        let (endpoint, peer) = greeted(&four.setting, id, 3, 1).await;
        floods.push(tokio::spawn(async move {
            // The connection lasts as long as these.
            let _kept = (endpoint, peer.send, peer.receive);
            let mut bulk = peer.connection.open_uni().await.unwrap();
            bulk.write_all(&[1]).await.unwrap();
            let mut news = peer.connection.open_uni().await.unwrap();
            news.write_all(&[2]).await.unwrap();
            let tell = async {
                let piece = RULES.encode(&noise(NEWS_BYTES_MAX)).unwrap();
                while news.write_chunk(piece.clone()).await.is_ok() {}
            };
            let fetch = |digest: Digest| {
                let connection = &peer.connection;
                async move {
                    let mut writer = Writer::new();
                    writer.raw(&digest.0);
                    writer.u32(u32::MAX);
                    let question = RULES.encode(&writer.finish()).unwrap();
                    while let Ok((mut send, mut receive)) = connection.open_bi().await {
                        // All pieces are asked for; some are read.
                        let _ = send.write_all(&[&question[..], &[1; 16]].concat()).await;
                        let _ = receive.read_exact(&mut vec![0; 1 << 20]).await;
                    }
                }
            };
            let much = async { tokio::join!(fetch(digest), fetch(digest), fetch(digest), fetch(digest)) };
            let nothing = Digest::ZERO;
            let often =
                async { tokio::join!(fetch(nothing), fetch(nothing), fetch(nothing), fetch(nothing)) };
            tokio::join!(tell, much, often)
        }));
    }
    assert_eq!(FETCH_STREAMS_MAX, 8, "each flood takes all streams");
    for id in 0..3 {
        four.node(id)
            .status("the flood is on", |status| {
                status.counters.news_refused > 0 && status.counters.bytes_out > 4 << 20
            })
            .await;
    }
    four.node(1).decide("meanwhile", 20).await;
    for id in 0..3 {
        let counters = four.node(id).node.status().counters;
        assert_eq!((counters.queue_drops, counters.inbox_drops, counters.refused_frames), (0, 0, 0));
    }
    assert!(floods.iter().all(|flood| !flood.is_finished()), "the flood was on all the while");
    for flood in floods {
        flood.abort();
    }
    four.assert_agreement();
}
