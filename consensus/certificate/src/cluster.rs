//! The cluster file: what all replicas must have in common, and what a verifier must know.
//!
//! `parse` reads the TOML that people write and reports every mistake at once; `to_toml` writes it. The canonical encoding and its
//! digest do not depend on layout, comments or the order of keys: `FORMAT.md` says every byte.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::codec::{Encode, Writer};
use crate::replicas::ReplicasError;
use crate::{Digest, Domain, Epoch, PublicKey, ReplicaId, ReplicaSet, Replicas, name};

mod error;
mod fields;
mod parameters;
mod parse;
mod settings;
mod text;

pub use crate::policy::Policy;
pub use error::{ClusterError, ClusterErrorKind};
pub use settings::{Settings, Template, default_name};

use parameters::{Parameters, Purpose};

/// How many slots beyond a checkpoint interval may be open: the window of accepted sequence numbers is the interval and these.
pub const WINDOW_BEYOND_CHECKPOINT: u64 = 32;

/// The most zones that can have a policy of their own.
pub const POLICIES_MAX: usize = 4096;

/// The most bytes that a message between replicas may have, whatever the file says.
pub const MESSAGE_SIZE_MAX: u32 = 65_536;

/// The least `message-size`: a replica signs up to 32 KiB of observations at once, and sends them in one message.
pub const MESSAGE_SIZE_MIN: u32 = 40_960;

/// Room in a message for what stands around a batch.
pub const MESSAGE_OVERHEAD_BYTES: u32 = 4096;

/// What a batch costs besides observations: its counts, and the longest subject of an operation.
const BATCH_OVERHEAD_BYTES: u32 = 4 + 3 + 1024;

/// What an observation costs in a batch: a signed set with 15 neighbours of which only digests stand there, the longest question, times.
const OBSERVATION_OVERHEAD_BYTES: u32 = 1 + 66 + 15 * 33 + 282;

/// A batch has room for at least so many bytes of payload of each replica, for one question.
pub const PAYLOAD_BYTES_MIN: u32 = 512;

/// The least `batch-bytes` for `replicas`: one question, with an observation of each of them.
pub const fn batch_bytes_min(replicas: usize) -> u32 {
    BATCH_OVERHEAD_BYTES + replicas as u32 * (OBSERVATION_OVERHEAD_BYTES + PAYLOAD_BYTES_MIN)
}

/// One replica, as the others know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its number, from 0 without gaps.
    pub id: ReplicaId,
    /// Its name, for people: 1 to 63 letters, digits, `-`, `_` or `.`.
    pub name: String,
    /// Its peer port (UDP, QUIC).
    pub address: SocketAddr,
    /// Signs votes and observations.
    pub public_key: PublicKey,
    /// Proves its identity on QUIC connections.
    pub transport_key: PublicKey,
    /// Whose paths it looks names up on; written like a name.
    pub upstream_group: String,
    /// The index of its upstream group: groups are numbered by first appearance, by ascending id of their members.
    pub group: u8,
}

/// One version of a cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cluster {
    /// Its name, for people: 1 to 63 letters, digits, `-`, `_` or `.`.
    pub name: String,
    /// The version, from 1.
    pub epoch: Epoch,
    /// The digest of the first epoch; `None` exactly in the first epoch, whose own digest it is.
    pub cluster_id: Option<Digest>,
    /// n and f.
    pub replicas: Replicas,
    /// Every how many slots a checkpoint is taken: not fewer than `pipeline`.
    pub checkpoint_interval: u64,
    /// The most entries in a slot.
    pub batch_entries: u16,
    /// The most bytes in a slot's batch: from `batch_bytes_min` to `message_size` less `MESSAGE_OVERHEAD_BYTES`.
    pub batch_bytes: u32,
    /// How many slots may be in flight.
    pub pipeline: u32,
    /// The most bytes in a message of a peer: from `MESSAGE_SIZE_MIN` to `MESSAGE_SIZE_MAX`.
    pub message_size: u32,
    /// How much older than the log an observation may be, in milliseconds.
    pub observation_window_ms: u64,
    /// For how long a replica remembers what it saw, in milliseconds.
    pub history_ms: u64,
    /// Supporters of fewer upstream groups make an answer `single-path`.
    pub min_groups: u32,
    /// The greatest TTL of an answer, in seconds.
    pub ttl_max_s: u32,
    /// Policies by zone (wire format, lower-case). Has one for the root.
    pub policies: BTreeMap<Vec<u8>, Policy>,
    /// The replicas by id.
    pub members: Vec<Member>,
}

impl Cluster {
    /// Reads a cluster file, to verify what the cluster has signed; `file_name` stands in front of every error.
    ///
    /// Errors: all that are found, in the order of the file.
    pub fn parse(text: &str, file_name: &str) -> Result<Cluster, Vec<ClusterError>> {
        parse::parse(text, file_name, Purpose::Verify)
    }

    /// Reads a cluster file, to run a replica by it.
    ///
    /// Errors: as `parse`, and what no replica of this version can do: the policy `dnssec`.
    pub fn parse_to_run(text: &str, file_name: &str) -> Result<Cluster, Vec<ClusterError>> {
        parse::parse(text, file_name, Purpose::Run)
    }

    /// A first epoch with the default parameters. Ids follow the order of `members`; groups are numbered anew.
    ///
    /// Errors: numbers that no cluster can have. What else `parse` checks (names, duplicates) is the caller's duty; the text of
    /// `to_toml` can be parsed to be sure.
    pub fn new(name: &str, faults: u32, mut members: Vec<Member>) -> Result<Cluster, ReplicasError> {
        let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
        let replicas = Replicas::new(count, faults)?;
        for (id, member) in members.iter_mut().enumerate() {
            member.id = ReplicaId(id as u8);
        }
        number_groups(&mut members);
        Ok(Cluster { name: name.to_owned(), members, ..Cluster::without_members(replicas) })
    }

    /// A first epoch with the default parameters and neither a name nor members, which the caller adds.
    fn without_members(replicas: Replicas) -> Cluster {
        let mut cluster = Cluster {
            name: String::new(),
            epoch: Epoch(1),
            cluster_id: None,
            replicas,
            checkpoint_interval: 0,
            batch_entries: 0,
            batch_bytes: 0,
            pipeline: 0,
            message_size: 0,
            observation_window_ms: 0,
            history_ms: 0,
            min_groups: 0,
            ttl_max_s: 0,
            policies: BTreeMap::new(),
            members: Vec::new(),
        };
        Parameters::default().set(&mut cluster);
        cluster
    }

    /// The text of the file, commented for people. `parse(to_toml(c)) == c`.
    pub fn to_toml(&self) -> String {
        text::to_toml(self)
    }

    /// SHA-256 of the canonical encoding: the identity of this very file.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// The identity of the cluster through all epochs: the digest of the first.
    pub fn id(&self) -> Digest {
        self.cluster_id.unwrap_or_else(|| self.digest())
    }

    /// What every signature of this epoch names.
    pub fn domain(&self) -> Domain {
        Domain { cluster_id: self.id(), epoch: self.epoch }
    }

    /// L: how far above the low water mark a sequence number may be. Castro & Liskov 1999 §4.3.
    ///
    /// Deviates: the checkpoint interval plus 32 instead of twice the interval, which bounds the size of a view change.
    pub fn window(&self) -> u64 {
        self.checkpoint_interval + WINDOW_BEYOND_CHECKPOINT
    }

    /// The policy for `name` (wire format, lower-case) and the zone that sets it: the longest that matches.
    pub fn policy_for<'a>(&'a self, name: &'a [u8]) -> (&'a [u8], Policy) {
        name::ancestors(name)
            .find_map(|zone| self.policies.get_key_value(zone))
            .map_or((name::ROOT, Policy::Records), |(zone, policy)| (zone.as_slice(), *policy))
    }

    /// The replica `id`.
    pub fn member(&self, id: ReplicaId) -> Option<&Member> {
        self.members.get(usize::from(id.0))
    }

    /// All replicas.
    pub fn all(&self) -> ReplicaSet {
        self.replicas.ids().collect()
    }

    /// The upstream groups of `replicas` as a bitmap: bit `i` for the group with index `i`.
    pub fn groups_of(&self, replicas: ReplicaSet) -> u32 {
        replicas.iter().filter_map(|id| self.member(id)).fold(0, |groups, member| groups | 1 << member.group)
    }

    /// The names of the upstream groups, by index.
    pub fn group_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for member in &self.members {
            if usize::from(member.group) == names.len() {
                names.push(&member.upstream_group);
            }
        }
        names
    }
}

/// Numbers the upstream groups by first appearance.
fn number_groups(members: &mut [Member]) {
    let mut names: Vec<String> = Vec::new();
    for member in members {
        let index = names.iter().position(|name| *name == member.upstream_group).unwrap_or_else(|| {
            names.push(member.upstream_group.clone());
            names.len() - 1
        });
        member.group = index as u8;
    }
}

/// The canonical encoding, of which `digest` is the SHA-256.
///
/// Panics: on names beyond 255 bytes or more than `POLICIES_MAX` policies, which `parse` refuses.
impl Encode for Cluster {
    fn encode(&self, writer: &mut Writer) {
        writer.raw(b"quorate cluster v1");
        writer.bytes8(self.name.as_bytes());
        writer.u64(self.epoch.0);
        self.cluster_id.unwrap_or(Digest::ZERO).encode(writer);
        writer.u8(self.replicas.faults() as u8);
        writer.u64(self.checkpoint_interval);
        writer.u16(self.batch_entries);
        writer.u32(self.batch_bytes);
        writer.u32(self.pipeline);
        writer.u32(self.message_size);
        writer.u64(self.observation_window_ms);
        writer.u64(self.history_ms);
        writer.u32(self.min_groups);
        writer.u32(self.ttl_max_s);
        writer.u16(u16::try_from(self.policies.len()).expect("parse keeps POLICIES_MAX"));
        for (zone, policy) in &self.policies {
            writer.bytes8(zone);
            policy.encode(writer);
        }
        writer.u8(self.members.len() as u8);
        for member in &self.members {
            writer.bytes8(member.name.as_bytes());
            match member.address.ip() {
                IpAddr::V4(address) => {
                    writer.u8(4);
                    writer.raw(&address.octets());
                }
                IpAddr::V6(address) => {
                    writer.u8(6);
                    writer.raw(&address.octets());
                }
            }
            writer.u16(member.address.port());
            writer.raw(&member.public_key.to_bytes());
            writer.raw(&member.transport_key.to_bytes());
            writer.bytes8(member.upstream_group.as_bytes());
        }
    }
}
