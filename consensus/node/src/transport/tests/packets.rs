//! What is known of the packets to a peer.

use super::*;
use crate::status::PeerState;

/// All four; the filter of replica 1 comes with them.
async fn four(setting: &Setting) -> (Vec<End>, PeerFilter) {
    let filter = setting.filter(1, &Mode::Userspace);
    let behind = |id| if id == 1 { filter.clone() } else { setting.filter(id, &Mode::Off) };
    let ends = (0..4).map(|id| end_behind(setting, &setting.cluster, id, behind(id))).collect();
    (settle(ends).await, filter)
}

fn state(end: &End, peer: u8) -> PeerState {
    end.peers.states().into_iter().find(|state| state.id.0 == peer).expect("a peer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_that_never_arrive_are_counted_as_lost() {
    let setting = Setting::new();
    let (ends, filter) = four(&setting).await;
    let (zero, one) = (&ends[0], &ends[1]);
    let before = state(zero, 1).packets;
    assert!(before.sent > 0, "{before:?}");

    // Nothing of replica 0 gets through until all of this is on its way.
    filter.quarantine(0, Duration::from_secs(60), 0);
    for number in 0..8 {
        let sent = state(zero, 1).packets.sent;
        zero.peers.send(Instant::now(), Recipients::All, &fetch(number));
        until("a packet goes", || state(zero, 1).packets.sent > sent).await;
    }
    filter.release(0);

    for number in 0..8 {
        assert_eq!(one.message().await, (ReplicaId(0), fetch(number)), "what was lost is sent again");
    }
    until("they count as lost", || state(zero, 1).packets.lost > before.lost).await;
    let now = state(zero, 1);
    assert!(now.packets.sent > now.packets.lost && now.round_trip.is_some(), "{now:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_of_connections_that_have_ended_still_count() {
    let setting = Setting::new();
    let (ends, _filter) = four(&setting).await;
    let (zero, one) = (&ends[0], &ends[1]);
    let before = state(zero, 1).packets;
    one.peers.close(CloseCode::ShuttingDown, "shut down");
    until("the connection is gone", || !zero.is_connected(1)).await;
    let after = state(zero, 1);
    assert!(after.packets.sent >= before.sent && before.sent > 0, "{before:?} {after:?}");
    assert_eq!(after.round_trip, None);
}
