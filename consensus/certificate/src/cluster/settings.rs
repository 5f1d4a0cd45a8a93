//! What an operator chooses for a new cluster: the keys of a cluster file that are neither made nor counted.
//!
//! A file of settings is a part of a cluster file and is read by the same rules. A whole cluster file can stand in its place: then the
//! new cluster is like that one, but for its keys.

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::error::{ClusterError, ClusterErrorKind};
use super::fields::{Fields, Section};
use super::parameters::{Parameters, Purpose, new_zone, policy_of, read_parameters};
use super::parse::{KEYS, REPLICA_KEYS, Row, parse_document, read_rows, refuse_duplicates};
use super::{Cluster, Member, POLICIES_MAX, number_groups};
use crate::{ReplicaId, name};

/// Keys of a cluster file that are no settings, and where they come from.
const MADE: [(&str, &str); 3] = [
    ("name", "`--name` gives it; a whole cluster file also has `epoch`"),
    ("faults", "`--faults` gives it; a whole cluster file also has `epoch`"),
    ("cluster-id", "a new cluster has an id of its own"),
];

/// The same under `[[replica]]`.
const MADE_FOR_REPLICAS: [(&str, &str); 3] = [
    ("address", "`--host` and `--base-port` give it"),
    ("public-key", "every replica of a new cluster gets keys of its own"),
    ("transport-key", "every replica of a new cluster gets keys of its own"),
];

/// What a new cluster shall have instead of the defaults.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    parameters: Parameters,
    replicas: BTreeMap<ReplicaId, Chosen>,
}

/// The name of a replica that is given none.
pub fn default_name(id: ReplicaId) -> String {
    format!("replica-{id}")
}

/// What is chosen for one replica.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Chosen {
    name: Option<String>,
    upstream_group: Option<String>,
}

/// What a new cluster can be made like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Template {
    /// A file of settings.
    Settings(Settings),
    /// A whole cluster file.
    Cluster(Box<Cluster>),
}

impl Template {
    /// Reads settings for a cluster of `replicas`, or a whole cluster file, which is told by its key `epoch`; `file_name` stands in front of
    /// every error.
    ///
    /// Errors: all that are found, in the order of the file; also a policy that no replica of this version can follow.
    pub fn parse(text: &str, file_name: &str, replicas: usize) -> Result<Template, Vec<ClusterError>> {
        let (document, _) = DeTable::parse_recoverable(text);
        if document.get_ref().contains_key("epoch") {
            let cluster = Cluster::parse_to_run(text, file_name)?;
            return Ok(Template::Cluster(Box::new(cluster)));
        }
        parse_document(text, file_name, |fields, top| Some(read(fields, top, replicas)))
            .map(Template::Settings)
    }
}

impl Settings {
    /// Those that make a new cluster like this one.
    pub fn of(cluster: &Cluster) -> Settings {
        let chosen = |member: &Member| Chosen {
            name: Some(member.name.clone()),
            upstream_group: Some(member.upstream_group.clone()),
        };
        Settings {
            parameters: Parameters::of(cluster),
            replicas: cluster.members.iter().map(|member| (member.id, chosen(member))).collect(),
        }
    }

    /// Sets the policy of one zone, both in the words of the cluster file.
    ///
    /// Errors: as in the file; above all, the zone has one already.
    pub fn set_policy(&mut self, zone: &str, policy: &str) -> Result<(), ClusterErrorKind> {
        let policies = &mut self.parameters.policies;
        let policy = policy_of(policy, Purpose::Run)?;
        let wire = new_zone(zone, policies)?;
        // The root takes its place whether or not it is named.
        let names_root = wire == name::ROOT || policies.contains_key(name::ROOT);
        let found = policies.len() + 1 + usize::from(!names_root);
        if found > POLICIES_MAX {
            return Err(ClusterErrorKind::TooManyZones { found });
        }
        policies.insert(wire, policy);
        Ok(())
    }

    /// Gives a cluster what was chosen; groups are numbered anew.
    pub fn apply(&self, cluster: &mut Cluster) {
        self.parameters.clone().set(cluster);
        for member in &mut cluster.members {
            let Some(chosen) = self.replicas.get(&member.id) else { continue };
            if let Some(name) = &chosen.name {
                member.name.clone_from(name);
            }
            if let Some(group) = &chosen.upstream_group {
                member.upstream_group.clone_from(group);
            }
        }
        number_groups(&mut cluster.members);
    }
}

fn read(fields: &mut Fields<'_>, top: Section<'_, '_>, count: usize) -> Settings {
    refuse_others(fields, top, &KEYS, &MADE);
    let parameters = read_parameters(fields, top, count, Purpose::Run);
    if let Some(value) = top.table.get("min-groups").filter(|_| parameters.min_groups as usize > count) {
        let (most, found) = (count as u64, parameters.min_groups.to_string());
        let kind = ClusterErrorKind::Range { key: "min-groups", least: 1, most, found };
        fields.refuse(value.span().start, kind);
    }
    let Some(value) = top.table.get("replica") else {
        return Settings { parameters, replicas: BTreeMap::new() };
    };
    let (rows, _) = read_rows(fields, value, read_row);
    refuse_duplicates(fields, &rows);
    refuse_names_of_others(fields, &rows, count);
    let mut replicas = BTreeMap::new();
    for Row { id, name, upstream_group, .. } in rows {
        let Some(id) = id else { continue };
        if id.value >= count as u64 {
            fields.refuse(id.offset, ClusterErrorKind::NoSuchReplica { count, found: id.value });
            continue;
        }
        let chosen = Chosen {
            name: name.map(|name| name.value),
            upstream_group: upstream_group.map(|group| group.value),
        };
        replicas.insert(ReplicaId(id.value as u8), chosen);
    }
    Settings { parameters, replicas }
}

/// Refuses a name that a replica without one gets.
fn refuse_names_of_others(fields: &mut Fields<'_>, rows: &[Row], count: usize) {
    let id_of = |row: &Row| row.id.as_ref().map(|id| id.value);
    for (row, chosen) in rows.iter().filter_map(|row| Some((row, row.name.as_ref()?))) {
        let is_named = |id: u64| rows.iter().any(|row| id_of(row) == Some(id) && row.name.is_some());
        let other = (0..count as u8).map(ReplicaId).find(|&id| {
            chosen.value.eq_ignore_ascii_case(&default_name(id))
                && id_of(row) != Some(id.0.into())
                && !is_named(id.0.into())
        });
        if let Some(other) = other {
            fields
                .refuse(chosen.offset, ClusterErrorKind::NameOfAnother { name: chosen.value.clone(), other });
        }
    }
}

fn read_row(fields: &mut Fields<'_>, section: Section<'_, '_>) -> Row {
    refuse_others(fields, section, &REPLICA_KEYS, &MADE_FOR_REPLICAS);
    Row {
        id: fields.required_number(section, "id", 0, u64::MAX),
        name: fields.optional_name(section, "name"),
        upstream_group: fields.optional_name(section, "upstream-group"),
        ..Row::default()
    }
}

/// Refuses keys that no cluster file has, and those that are made: each says where it comes from.
fn refuse_others(
    fields: &mut Fields<'_>,
    section: Section<'_, '_>,
    known: &[&'static str],
    made: &[(&'static str, &'static str)],
) {
    for &(key, instead) in made {
        if let Some((found, _)) = section.table.iter().find(|(found, _)| found.get_ref() == key) {
            fields.refuse(found.span().start, ClusterErrorKind::NoSetting { key, instead });
        }
    }
    fields.refuse_unknown(section, known);
}
