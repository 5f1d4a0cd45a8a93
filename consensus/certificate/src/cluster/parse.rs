//! From the text of a cluster file to a `Cluster`, or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use toml::de::{DeTable, DeValue};

use super::error::{ClusterError, ClusterErrorKind};
use super::fields::{Bounds, Fields, Located, Section, most_like};
use super::{
    Cluster, MESSAGE_OVERHEAD_BYTES, MESSAGE_SIZE_MAX, MESSAGE_SIZE_MIN, Member, POLICIES_MAX, Policy,
    batch_bytes_min, number_groups,
};
use crate::replicas::REPLICAS_MAX;
use crate::{Digest, Epoch, PublicKey, ReplicaId, Replicas, name};

const KEYS: [&str; 15] = [
    "name",
    "epoch",
    "cluster-id",
    "faults",
    "checkpoint-interval",
    "batch-entries",
    "batch-bytes",
    "pipeline",
    "message-size",
    "observation-window",
    "history",
    "min-groups",
    "ttl-max",
    "agreement",
    "replica",
];

const REPLICA_KEYS: [&str; 6] = ["id", "name", "address", "public-key", "transport-key", "upstream-group"];

const OBSERVATION_WINDOW: Bounds = Bounds { least: 1000, most: 600_000, unit: 1, default: 10_000 };
const HISTORY: Bounds = Bounds { least: 0, most: 86_400_000, unit: 1, default: 600_000 };
const TTL_MAX: Bounds = Bounds { least: 1000, most: 604_800_000, unit: 1000, default: 3_600_000 };

pub(super) fn parse(text: &str, file_name: &str) -> Result<Cluster, Vec<ClusterError>> {
    let mut fields = Fields::new(text, file_name);
    let (document, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        for error in syntax {
            let offset = error.span().map_or(0, |span| span.start);
            fields.refuse(offset, ClusterErrorKind::Syntax(error.message().replace('\n', ", ")));
        }
        return Err(fields.into_errors());
    }
    let cluster = read(&mut fields, Section { table: document.get_ref(), offset: 0 });
    let errors = fields.into_errors();
    match cluster {
        Some(cluster) if errors.is_empty() => Ok(cluster),
        _ => Err(errors),
    }
}

/// Reads all of the file; what is wrong goes into `fields`, so that one mistake does not hide the next.
fn read(fields: &mut Fields<'_>, top: Section<'_, '_>) -> Option<Cluster> {
    fields.refuse_unknown(top, &KEYS);
    let name = fields.name(top, "name");
    let epoch = fields.required_number(top, "epoch", 1, u64::MAX);
    let cluster_id = epoch.as_ref().and_then(|epoch| read_cluster_id(fields, top, epoch));
    let faults = fields.required_number(top, "faults", 1, 10);
    let pipeline = fields.number(top, "pipeline", 1, 16, 3) as u32;
    let checkpoint_interval = read_checkpoint_interval(fields, top, pipeline);
    let batch_entries = fields.number(top, "batch-entries", 1, 1024, 50) as u16;
    let observation_window_ms = fields.duration(top, "observation-window", &OBSERVATION_WINDOW);
    let history_ms = fields.duration(top, "history", &HISTORY);
    let min_groups = fields.number(top, "min-groups", 1, 31, 2) as u32;
    let ttl_max_s = (fields.duration(top, "ttl-max", &TTL_MAX) / 1000) as u32;
    let policies = read_policies(fields, top);
    let (members, count) = read_members(fields, top);
    let replicas = read_replicas(fields, faults, count);
    // Too many replicas are a mistake of their own.
    let count = count.min(REPLICAS_MAX as usize);
    let message_size = read_message_size(fields, top, count);
    let batch_bytes = read_batch_bytes(fields, top, message_size, count);
    Some(Cluster {
        name: name?.value,
        epoch: Epoch(epoch?.value),
        cluster_id,
        replicas: replicas?,
        checkpoint_interval,
        batch_entries,
        batch_bytes,
        pipeline,
        message_size,
        observation_window_ms,
        history_ms,
        min_groups,
        ttl_max_s,
        policies,
        members,
    })
}

fn read_cluster_id(fields: &mut Fields<'_>, top: Section<'_, '_>, epoch: &Located<u64>) -> Option<Digest> {
    let Some(value) = top.table.get("cluster-id") else {
        if epoch.value > 1 {
            fields.refuse(epoch.offset, ClusterErrorKind::ClusterId { found: "none".to_owned() });
        }
        return None;
    };
    let text = fields.as_string("cluster-id", value, "64 hexadecimal digits")?;
    if epoch.value == 1 {
        fields.refuse(text.offset, ClusterErrorKind::ClusterIdInFirstEpoch);
        return None;
    }
    let id = Digest::from_hex(&text.value).filter(|id| *id != Digest::ZERO);
    if id.is_none() {
        fields.refuse(text.offset, ClusterErrorKind::ClusterId { found: format!("`{}`", text.value) });
    }
    id
}

fn read_checkpoint_interval(fields: &mut Fields<'_>, top: Section<'_, '_>, pipeline: u32) -> u64 {
    let found = fields.number(top, "checkpoint-interval", 1, 10_000, 100);
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
    let default = 49_152.min(most);
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

fn read_policies(fields: &mut Fields<'_>, top: Section<'_, '_>) -> BTreeMap<Vec<u8>, Policy> {
    let mut policies = BTreeMap::new();
    if let Some(value) = top.table.get("agreement") {
        match value.get_ref() {
            DeValue::Table(table) => {
                let section = Section { table, offset: value.span().start };
                read_zones(fields, section, &mut policies);
            }
            _ => fields.refuse_type("agreement", value, "a table of zones and their policies"),
        }
    }
    policies.entry(name::ROOT.to_vec()).or_insert(Policy::Records);
    policies
}

fn read_zones(fields: &mut Fields<'_>, section: Section<'_, '_>, policies: &mut BTreeMap<Vec<u8>, Policy>) {
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
        let policy = fields
            .as_string(&format!("zone `{zone}`"), value, "a policy")
            .and_then(|word| read_policy(fields, &word));
        match name::parse(&zone) {
            Err(source) => fields.refuse(key.span().start, ClusterErrorKind::Zone { zone, source }),
            Ok(wire) if policies.contains_key(&wire) => {
                fields.refuse(key.span().start, ClusterErrorKind::ZoneTwice { zone });
            }
            Ok(wire) => {
                policies.insert(wire, policy.unwrap_or(Policy::Records));
            }
        }
    }
}

fn read_policy(fields: &mut Fields<'_>, word: &Located<String>) -> Option<Policy> {
    let policy = word.value.parse().ok();
    if policy.is_none() {
        let suggestion = most_like(&word.value, &Policy::ALL.map(Policy::name));
        fields.refuse(word.offset, ClusterErrorKind::Policy { found: word.value.clone(), suggestion });
    }
    policy
}

fn read_replicas(fields: &mut Fields<'_>, faults: Option<Located<u64>>, count: usize) -> Option<Replicas> {
    let faults = faults?;
    let numbers = Replicas::new(u32::try_from(count).unwrap_or(u32::MAX), faults.value as u32);
    numbers.map_err(|error| fields.refuse(faults.offset, error.into())).ok()
}

/// What a `[[replica]]` says; `None` where it is wrong or missing.
struct Row {
    id: Option<Located<u64>>,
    name: Option<Located<String>>,
    address: Option<Located<SocketAddr>>,
    public_key: Option<Located<PublicKey>>,
    transport_key: Option<Located<PublicKey>>,
    upstream_group: Option<Located<String>>,
}

/// The members by id, and how many replicas the file has. Fewer members than replicas only when errors were noted.
fn read_members(fields: &mut Fields<'_>, top: Section<'_, '_>) -> (Vec<Member>, usize) {
    let Some(value) = fields.required(top, "replica") else { return (Vec::new(), 0) };
    let DeValue::Array(array) = value.get_ref() else {
        fields.refuse_type("replica", value, "tables under `[[replica]]`");
        return (Vec::new(), 0);
    };
    let mut rows = Vec::new();
    for value in array.iter() {
        match value.get_ref() {
            DeValue::Table(table) => {
                rows.push(read_row(fields, Section { table, offset: value.span().start }));
            }
            _ => fields.refuse_type("replica", value, "a table under `[[replica]]`"),
        }
    }
    refuse_duplicates(fields, &rows);
    for id in rows.iter().filter_map(|row| row.id.as_ref()) {
        if id.value >= rows.len() as u64 {
            fields.refuse(id.offset, ClusterErrorKind::Gap { count: rows.len(), found: id.value });
        }
    }
    let count = array.len();
    let mut members: Vec<Member> = rows.into_iter().filter_map(member).collect();
    members.sort_by_key(|member| member.id);
    number_groups(&mut members);
    (members, count)
}

fn read_row(fields: &mut Fields<'_>, section: Section<'_, '_>) -> Row {
    fields.refuse_unknown(section, &REPLICA_KEYS);
    Row {
        id: fields.required_number(section, "id", 0, 30),
        name: fields.name(section, "name"),
        address: read_address(fields, section),
        public_key: fields.public_key(section, "public-key"),
        transport_key: fields.public_key(section, "transport-key"),
        upstream_group: fields.name(section, "upstream-group"),
    }
}

fn member(row: Row) -> Option<Member> {
    Some(Member {
        id: ReplicaId(row.id?.value as u8),
        name: row.name?.value,
        address: row.address?.value,
        public_key: row.public_key?.value,
        transport_key: row.transport_key?.value,
        upstream_group: row.upstream_group?.value,
        group: 0,
    })
}

fn read_address(fields: &mut Fields<'_>, section: Section<'_, '_>) -> Option<Located<SocketAddr>> {
    let text = fields.string(section, "address")?;
    let address = text.value.parse::<SocketAddr>().ok().filter(is_reachable);
    match address {
        Some(value) => Some(Located { value, offset: text.offset }),
        None => {
            fields.refuse(text.offset, ClusterErrorKind::Address { found: text.value });
            None
        }
    }
}

/// Whether peers could reach the address, and whether the canonical encoding holds all of it.
fn is_reachable(address: &SocketAddr) -> bool {
    let scoped =
        matches!(address, SocketAddr::V6(address) if address.scope_id() != 0 || address.flowinfo() != 0);
    let ip = address.ip().to_canonical();
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !scoped
}

/// Refuses what two replicas share. Every key must be its own: also a signing key that is another's transport key.
fn refuse_duplicates(fields: &mut Fields<'_>, rows: &[Row]) {
    let mut seen: BTreeMap<(&'static str, String), usize> = BTreeMap::new();
    for row in rows {
        let address = row.address.as_ref().map(|address| {
            let endpoint = SocketAddr::new(address.value.ip().to_canonical(), address.value.port());
            ("address", endpoint.to_string(), address.offset)
        });
        let values = [
            row.id.as_ref().map(|id| ("id", id.value.to_string(), id.offset)),
            row.name.as_ref().map(|name| ("name", name.value.to_ascii_lowercase(), name.offset)),
            address,
            row.public_key.as_ref().map(|key| ("key", key.value.to_string(), key.offset)),
            row.transport_key.as_ref().map(|key| ("key", key.value.to_string(), key.offset)),
        ];
        for (what, value, offset) in values.into_iter().flatten() {
            match seen.get(&(what, value.clone())) {
                Some(first) => {
                    let first_line = fields.line(*first);
                    fields.refuse(offset, ClusterErrorKind::Duplicate { what, value, first_line });
                }
                None => {
                    seen.insert((what, value), offset);
                }
            }
        }
    }
}
