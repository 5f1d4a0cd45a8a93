//! From the text of a cluster file to a `Cluster`, or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use toml::de::{DeTable, DeValue};

use super::error::{ClusterError, ClusterErrorKind};
use super::fields::{Fields, Located, Section};
use super::parameters::{Purpose, read_parameters};
use super::{Cluster, Member, number_groups};
use crate::{Digest, Epoch, PublicKey, ReplicaId, Replicas};

pub(super) const KEYS: [&str; 15] = [
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

pub(super) const REPLICA_KEYS: [&str; 6] =
    ["id", "name", "address", "public-key", "transport-key", "upstream-group"];

pub(super) fn parse(text: &str, file_name: &str, purpose: Purpose) -> Result<Cluster, Vec<ClusterError>> {
    parse_document(text, file_name, |fields, top| read(fields, top, purpose))
}

/// Reads a text as TOML and gives it to `read`, which notes in the fields what is wrong.
pub(super) fn parse_document<T>(
    text: &str,
    file_name: &str,
    read: impl FnOnce(&mut Fields<'_>, Section<'_, '_>) -> Option<T>,
) -> Result<T, Vec<ClusterError>> {
    let mut fields = Fields::new(text, file_name);
    let (document, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        for error in syntax {
            let offset = error.span().map_or(0, |span| span.start);
            fields.refuse(offset, ClusterErrorKind::Syntax(error.message().replace('\n', ", ")));
        }
        return Err(fields.into_errors());
    }
    let value = read(&mut fields, Section { table: document.get_ref(), offset: 0 });
    let errors = fields.into_errors();
    match value {
        Some(value) if errors.is_empty() => Ok(value),
        _ => Err(errors),
    }
}

/// Reads all of the file; what is wrong goes into `fields`, so that one mistake does not hide the next.
fn read(fields: &mut Fields<'_>, top: Section<'_, '_>, purpose: Purpose) -> Option<Cluster> {
    fields.refuse_unknown(top, &KEYS);
    let name = fields.name(top, "name");
    let epoch = fields.required_number(top, "epoch", 1, u64::MAX);
    let cluster_id = epoch.as_ref().and_then(|epoch| read_cluster_id(fields, top, epoch));
    let faults = fields.required_number(top, "faults", 1, 10);
    let (members, count) = read_members(fields, top);
    let replicas = read_replicas(fields, faults, count);
    let parameters = read_parameters(fields, top, count, purpose);
    let mut cluster = Cluster {
        name: name?.value,
        epoch: Epoch(epoch?.value),
        cluster_id,
        members,
        ..Cluster::without_members(replicas?)
    };
    parameters.set(&mut cluster);
    Some(cluster)
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

fn read_replicas(fields: &mut Fields<'_>, faults: Option<Located<u64>>, count: usize) -> Option<Replicas> {
    let faults = faults?;
    let numbers = Replicas::new(u32::try_from(count).unwrap_or(u32::MAX), faults.value as u32);
    numbers.map_err(|error| fields.refuse(faults.offset, error.into())).ok()
}

/// What a `[[replica]]` says; `None` where it is wrong or missing.
#[derive(Default)]
pub(super) struct Row {
    pub id: Option<Located<u64>>,
    pub name: Option<Located<String>>,
    pub address: Option<Located<SocketAddr>>,
    pub public_key: Option<Located<PublicKey>>,
    pub transport_key: Option<Located<PublicKey>>,
    pub upstream_group: Option<Located<String>>,
}

/// The members by id, and how many replicas the file has. Fewer members than replicas only when errors were noted.
fn read_members(fields: &mut Fields<'_>, top: Section<'_, '_>) -> (Vec<Member>, usize) {
    let Some(value) = fields.required(top, "replica") else { return (Vec::new(), 0) };
    let (rows, count) = read_rows(fields, value, read_row);
    refuse_duplicates(fields, &rows);
    for id in rows.iter().filter_map(|row| row.id.as_ref()) {
        if id.value >= rows.len() as u64 {
            fields.refuse(id.offset, ClusterErrorKind::Gap { count: rows.len(), found: id.value });
        }
    }
    let mut members: Vec<Member> = rows.into_iter().filter_map(member).collect();
    members.sort_by_key(|member| member.id);
    number_groups(&mut members);
    (members, count)
}

/// The tables under `[[replica]]` as `read` reads them, and how many there are, those that are no tables among them.
pub(super) fn read_rows(
    fields: &mut Fields<'_>,
    value: &toml::Spanned<DeValue<'_>>,
    read: impl Fn(&mut Fields<'_>, Section<'_, '_>) -> Row,
) -> (Vec<Row>, usize) {
    let DeValue::Array(array) = value.get_ref() else {
        fields.refuse_type("replica", value, "tables under `[[replica]]`");
        return (Vec::new(), 0);
    };
    let mut rows = Vec::new();
    for value in array.iter() {
        match value.get_ref() {
            DeValue::Table(table) => rows.push(read(fields, Section { table, offset: value.span().start })),
            _ => fields.refuse_type("replica", value, "a table under `[[replica]]`"),
        }
    }
    (rows, array.len())
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
pub(super) fn refuse_duplicates(fields: &mut Fields<'_>, rows: &[Row]) {
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
