//! Who reaches whom, as each replica tells it: every few seconds each sends its row of the matrix to the others, as news.
//!
//! Nothing vouches for a row but that its replica sent it, and nothing is decided by it: it is for people who look for the cable that is out. A row that is not
//! told again is forgotten, so what is shown was so a moment ago. What is no row, or one of a later version, is passed over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use certificate::codec::{Reader, Writer};
use certificate::{ReplicaId, Replicas};
use node::{NodeStatus, PeerState};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::{MissedTickBehavior, interval};

use super::consensus::Consensus;
use crate::metrics::Metrics;

/// How often a replica looks whom it reaches; what has changed is told at once.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Every so many looks a row is told although nothing has changed.
const TELL_LOOKS: u32 = 5;

/// A row that was not told again for so long is forgotten: three tellings may be lost.
pub const ROW_AGE_MAX: Duration = Duration::from_secs(17);

/// With what a row begins; other news, which `ct-verify` reads, is JSON. The version follows.
const MAGIC: &[u8; 3] = b"QRW";
const VERSION: u8 = 1;

/// How a replica stands with another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// There is a connection, with its round-trip time in microseconds.
    Up(u32),
    /// There is none.
    Down,
    /// It has shut the other out.
    Shut,
}

impl Reach {
    /// The word for JSON.
    pub fn name(self) -> &'static str {
        match self {
            Reach::Up(_) => "up",
            Reach::Down => "down",
            Reach::Shut => "shut",
        }
    }

    fn of(peer: &PeerState) -> Reach {
        match peer.round_trip {
            _ if peer.quarantined => Reach::Shut,
            Some(time) if peer.connected => Reach::Up(u32::try_from(time.as_micros()).unwrap_or(u32::MAX)),
            Some(_) | None => Reach::Down,
        }
    }
}

/// Whom one replica reaches: every other replica of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row(pub BTreeMap<ReplicaId, Reach>);

impl Row {
    /// The row of the replica that stands like this.
    pub fn of(status: &NodeStatus) -> Row {
        Row(status.peers.iter().map(|peer| (peer.id, Reach::of(peer))).collect())
    }

    /// `"QRW" || version (1) || count (1) || id (1) || 0 down, 1 up, 2 shut out (1) || round-trip time in microseconds (4) ...`, by ascending id.
    pub fn to_bytes(&self) -> Bytes {
        let mut writer = Writer::new();
        writer.raw(MAGIC);
        writer.u8(VERSION);
        writer.u8(self.0.len() as u8);
        for (replica, reach) in &self.0 {
            let (state, round_trip) = match reach {
                Reach::Down => (0, 0),
                Reach::Up(round_trip) => (1, *round_trip),
                Reach::Shut => (2, 0),
            };
            writer.u8(replica.0);
            writer.u8(state);
            writer.u32(round_trip);
        }
        writer.finish().into()
    }

    /// Whether news is a row, of whatever version.
    pub fn is_one(news: &[u8]) -> bool {
        news.starts_with(MAGIC)
    }

    /// Reads the row of `from`. `None` for another version, and for what does not speak of every other replica once.
    pub fn read(news: &[u8], from: ReplicaId, replicas: Replicas) -> Option<Row> {
        let mut reader = Reader::new(news.strip_prefix(MAGIC)?);
        if reader.u8().ok()? != VERSION {
            return None;
        }
        let count = reader.u8().ok()?;
        let mut links = BTreeMap::new();
        for _ in 0..count {
            let replica = ReplicaId(reader.u8().ok()?);
            let (state, round_trip) = (reader.u8().ok()?, reader.u32().ok()?);
            let reach = match state {
                0 => Reach::Down,
                1 => Reach::Up(round_trip),
                2 => Reach::Shut,
                _ => return None,
            };
            links.insert(replica, reach);
        }
        reader.finish().ok()?;
        let others = replicas.ids().filter(|replica| *replica != from);
        (usize::from(count) == links.len() && links.keys().copied().eq(others)).then_some(Row(links))
    }

    /// Whether it tells something else than `told`, round-trip times aside.
    fn differs(&self, told: Option<&Row>) -> bool {
        let words = |row: &Row| row.0.values().map(|reach| reach.name()).collect::<Vec<_>>();
        told.is_none_or(|told| words(told) != words(self))
    }
}

/// The rows of the others, at most one of each.
#[derive(Default)]
pub struct Matrix {
    heard: Mutex<BTreeMap<ReplicaId, (Instant, Row)>>,
}

impl Matrix {
    /// Takes what `from` tells, if it is its row.
    pub fn hear(&self, now: Instant, from: ReplicaId, news: &[u8], replicas: Replicas) {
        if let Some(row) = Row::read(news, from, replicas) {
            self.heard.lock().unwrap_or_else(PoisonError::into_inner).insert(from, (now, row));
        }
    }

    /// The rows that are not too old, each with its age.
    pub fn rows(&self, now: Instant) -> BTreeMap<ReplicaId, (Duration, Row)> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.retain(|_, (told, _)| now.saturating_duration_since(*told) <= ROW_AGE_MAX);
        heard
            .iter()
            .map(|(from, (told, row))| (*from, (now.saturating_duration_since(*told), row.clone())))
            .collect()
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LinkLabel {
    cluster: String,
    from: u8,
    replica: u8,
}

/// What the others tell, as series.
#[derive(Clone)]
pub struct ConnectivityMetrics {
    connected: Family<LinkLabel, Gauge>,
}

impl ConnectivityMetrics {
    /// The series in `metrics`.
    pub fn new(metrics: &Metrics) -> ConnectivityMetrics {
        ConnectivityMetrics {
            connected: metrics.metric(
                "quorate_consensus_told_connected",
                "1 while the replica `from` tells that it has a connection with another, 0 while it tells that it has none",
                Family::default,
            ),
        }
    }

    /// Shows the rows; of who tells nothing any more there is no series.
    pub fn show(&self, cluster: &str, replicas: Replicas, rows: &BTreeMap<ReplicaId, (Duration, Row)>) {
        for from in replicas.ids() {
            for replica in replicas.ids().filter(|replica| *replica != from) {
                let of = LinkLabel { cluster: cluster.to_owned(), from: from.0, replica: replica.0 };
                match rows.get(&from).and_then(|(_, row)| row.0.get(&replica)) {
                    Some(reach) => {
                        let is_up = matches!(reach, Reach::Up(_));
                        self.connected.get_or_create(&of).set(i64::from(is_up));
                    }
                    None => {
                        self.connected.remove(&of);
                    }
                }
            }
        }
    }
}

/// Tells the others whom this replica reaches, and shows what they tell, until nobody uses the replica any more.
pub async fn follow(consensus: Weak<Consensus>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told: Option<Row> = None;
    let mut since = 0;
    let mut shown: Option<ConnectivityMetrics> = None;
    loop {
        ticks.tick().await;
        let Some(consensus) = consensus.upgrade() else { break };
        let row = Row::of(&consensus.node().status());
        since += 1;
        if row.differs(told.as_ref()) || since >= TELL_LOOKS {
            consensus.node().tell(row.to_bytes());
            (told, since) = (Some(row), 0);
        }
        show(&consensus);
        shown.get_or_insert_with(|| consensus.metrics.connectivity.clone());
    }
    // Those of another cluster are back within a second.
    shown.iter().for_each(|metrics| metrics.connected.clear());
}

fn show(consensus: &Arc<Consensus>) {
    let (cluster, rows) = (&consensus.cluster, consensus.connectivity.rows(Instant::now()));
    consensus.metrics.connectivity.show(&cluster.name, cluster.replicas, &rows);
}
