//! What a cluster file says beside who its members are: limits, and policies by zone. A settings file says the same.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::error::ClusterErrorKind;
use super::fields::{Bounds, Fields, Section, most_like};
use super::{
    Cluster, MESSAGE_OVERHEAD_BYTES, MESSAGE_SIZE_MAX, MESSAGE_SIZE_MIN, POLICIES_MAX, Policy,
    batch_bytes_min,
};
use crate::name;
use crate::replicas::REPLICAS_MAX;

/// What a file is read for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// To verify what a cluster has signed: every policy is understood.
    Verify,
    /// To run a replica by it: what replicas of this version cannot do is refused.
    Run,
}

/// What the members have in common beside their names, numbers and keys. The fields are those of `Cluster`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Parameters {
    pub checkpoint_interval: u64,
    pub batch_entries: u16,
    pub batch_bytes: u32,
    pub pipeline: u32,
    pub message_size: u32,
    pub observation_window_ms: u64,
    pub history_ms: u64,
    pub min_groups: u32,
    pub ttl_max_s: u32,
    /// What the file says; the root has `records` where it says nothing of it.
    pub policies: BTreeMap<Vec<u8>, Policy>,
}

impl Default for Parameters {
    fn default() -> Parameters {
        Parameters {
            checkpoint_interval: 100,
            batch_entries: 50,
            batch_bytes: BATCH_BYTES,
            pipeline: 3,
            message_size: MESSAGE_SIZE_MAX,
            observation_window_ms: OBSERVATION_WINDOW.default,
            history_ms: HISTORY.default,
            min_groups: 2,
            ttl_max_s: (TTL_MAX.default / 1000) as u32,
            policies: BTreeMap::new(),
        }
    }
}

impl Parameters {
    /// Those of a cluster.
    pub fn of(cluster: &Cluster) -> Parameters {
        Parameters {
            checkpoint_interval: cluster.checkpoint_interval,
            batch_entries: cluster.batch_entries,
            batch_bytes: cluster.batch_bytes,
            pipeline: cluster.pipeline,
            message_size: cluster.message_size,
            observation_window_ms: cluster.observation_window_ms,
            history_ms: cluster.history_ms,
            min_groups: cluster.min_groups,
            ttl_max_s: cluster.ttl_max_s,
            policies: cluster.policies.clone(),
        }
    }

    /// Writes them into a cluster.
    pub fn set(self, cluster: &mut Cluster) {
        cluster.checkpoint_interval = self.checkpoint_interval;
        cluster.batch_entries = self.batch_entries;
        cluster.batch_bytes = self.batch_bytes;
        cluster.pipeline = self.pipeline;
        cluster.message_size = self.message_size;
        cluster.observation_window_ms = self.observation_window_ms;
        cluster.history_ms = self.history_ms;
        cluster.min_groups = self.min_groups;
        cluster.ttl_max_s = self.ttl_max_s;
        cluster.policies = self.policies;
        cluster.policies.entry(name::ROOT.to_vec()).or_insert(Policy::Records);
    }
}

/// The parameters of a cluster of `count` replicas; the default where one is missing or wrong, which is noted.
pub(super) fn read_parameters(
    fields: &mut Fields<'_>,
    top: Section<'_, '_>,
    count: usize,
    purpose: Purpose,
) -> Parameters {
    let default = Parameters::default();
    let pipeline = fields.number(top, "pipeline", 1, 16, default.pipeline.into()) as u32;
    // Too many replicas are a mistake of their own.
    let count = count.min(REPLICAS_MAX as usize);
    let message_size = read_message_size(fields, top, count);
    Parameters {
        checkpoint_interval: read_checkpoint_interval(fields, top, pipeline, default.checkpoint_interval),
        batch_entries: fields.number(top, "batch-entries", 1, 1024, default.batch_entries.into()) as u16,
        batch_bytes: read_batch_bytes(fields, top, message_size, count),
        pipeline,
        message_size,
        observation_window_ms: fields.duration(top, "observation-window", &OBSERVATION_WINDOW),
        history_ms: fields.duration(top, "history", &HISTORY),
        min_groups: fields.number(top, "min-groups", 1, 31, default.min_groups.into()) as u32,
        ttl_max_s: (fields.duration(top, "ttl-max", &TTL_MAX) / 1000) as u32,
        policies: read_policies(fields, top, purpose),
    }
}

fn read_checkpoint_interval(
    fields: &mut Fields<'_>,
    top: Section<'_, '_>,
    pipeline: u32,
    default: u64,
) -> u64 {
    let found = fields.number(top, "checkpoint-interval", 1, 10_000, default);
    if found < u64::from(pipeline) {
        fields.refuse(
            offset_of(top, "checkpoint-interval"),
            ClusterErrorKind::IntervalTooShort { pipeline, found },
        );
    }
    found
}

/// The size of a message; the default when it is wrong, so that nothing else is blamed.
fn read_message_size(fields: &mut Fields<'_>, top: Section<'_, '_>, replicas: usize) -> u32 {
    let most = MESSAGE_SIZE_MAX;
    let least = MESSAGE_SIZE_MIN.max(batch_bytes_min(replicas) + MESSAGE_OVERHEAD_BYTES);
    let found = fields.number(top, "message-size", 1, u64::MAX, u64::from(most));
    match u32::try_from(found).ok().filter(|size| (least..=most).contains(size)) {
        Some(size) => size,
        None => {
            let kind = ClusterErrorKind::MessageSize { least, most, replicas, found };
            fields.refuse(offset_of(top, "message-size"), kind);
            most
        }
    }
}

fn read_batch_bytes(
    fields: &mut Fields<'_>,
    top: Section<'_, '_>,
    message_size: u32,
    replicas: usize,
) -> u32 {
    let (least, most) = (batch_bytes_min(replicas), message_size - MESSAGE_OVERHEAD_BYTES);
    let default = BATCH_BYTES.min(most);
    let found = fields.number(top, "batch-bytes", 1, 1_048_576, u64::from(default)) as u32;
    let offset = offset_of(top, "batch-bytes");
    if found > most {
        fields.refuse(offset, ClusterErrorKind::BatchTooLarge { most, message_size, found });
    } else if found < least {
        fields.refuse(offset, ClusterErrorKind::BatchTooSmall { least, replicas, found });
    }
    found
}

/// Where the value of a key stands; the start of the file when it has none.
fn offset_of(top: Section<'_, '_>, key: &str) -> usize {
    top.table.get(key).map_or(0, |value| value.span().start)
}

/// What `[agreement]` says, and nothing else: the root may have no policy in it.
fn read_policies(
    fields: &mut Fields<'_>,
    top: Section<'_, '_>,
    purpose: Purpose,
) -> BTreeMap<Vec<u8>, Policy> {
    let mut policies = BTreeMap::new();
    if let Some(value) = top.table.get("agreement") {
        match value.get_ref() {
            DeValue::Table(table) => {
                let section = Section { table, offset: value.span().start };
                read_zones(fields, section, purpose, &mut policies);
            }
            _ => fields.refuse_type("agreement", value, "a table of zones and their policies"),
        }
    }
    policies
}

fn read_zones(
    fields: &mut Fields<'_>,
    section: Section<'_, '_>,
    purpose: Purpose,
    policies: &mut BTreeMap<Vec<u8>, Policy>,
) {
    let found = section.table.len() + usize::from(!section.table.contains_key("."));
    if found > POLICIES_MAX {
        fields.refuse(section.offset, ClusterErrorKind::TooManyZones { found });
        return;
    }
    for (key, value) in section.table {
        let zone = key.get_ref().to_string();
        if matches!(value.get_ref(), DeValue::Table(_)) {
            let expected = "a policy; a zone with dots stands in quotes, as in \"example.org.\" = \"strong\"";
            fields.refuse_type(&format!("zone `{zone}`"), value, expected);
            continue;
        }
        let policy = fields.as_string(&format!("zone `{zone}`"), value, "a policy").and_then(|word| {
            let policy = policy_of(&word.value, purpose);
            policy.map_err(|kind| fields.refuse(word.offset, kind)).ok()
        });
        match new_zone(&zone, policies) {
            Err(kind) => fields.refuse(key.span().start, kind),
            Ok(wire) => {
                policies.insert(wire, policy.unwrap_or(Policy::Records));
            }
        }
    }
}

/// A zone that has no policy yet, in wire format.
pub(super) fn new_zone(
    zone: &str,
    policies: &BTreeMap<Vec<u8>, Policy>,
) -> Result<Vec<u8>, ClusterErrorKind> {
    let zone = zone.to_owned();
    match name::parse(&zone) {
        Err(source) => Err(ClusterErrorKind::Zone { zone, source }),
        Ok(wire) if policies.contains_key(&wire) => Err(ClusterErrorKind::ZoneTwice { zone }),
        Ok(wire) => Ok(wire),
    }
}

/// The policy that a word names, if the file may say it for this purpose.
pub(super) fn policy_of(word: &str, purpose: Purpose) -> Result<Policy, ClusterErrorKind> {
    match (word.parse(), purpose) {
        (Ok(Policy::Dnssec), Purpose::Run) => Err(ClusterErrorKind::NoValidator),
        (Ok(policy), _) => Ok(policy),
        (Err(_), _) => {
            let suggestion = most_like(word, &Policy::ALL.map(Policy::name));
            Err(ClusterErrorKind::Policy { found: word.to_owned(), suggestion })
        }
    }
}

const BATCH_BYTES: u32 = 49_152;
const OBSERVATION_WINDOW: Bounds = Bounds { least: 1000, most: 600_000, unit: 1, default: 10_000 };
const HISTORY: Bounds = Bounds { least: 0, most: 86_400_000, unit: 1, default: 600_000 };
const TTL_MAX: Bounds = Bounds { least: 1000, most: 604_800_000, unit: 1000, default: 3_600_000 };
