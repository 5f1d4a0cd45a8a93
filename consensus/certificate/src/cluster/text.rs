//! Writes a cluster file for people: every parameter with its meaning.

use std::fmt::Write as _;

use super::fields::duration_text;
use super::{Cluster, Member};
use crate::name::Presentation;

pub(super) fn to_toml(cluster: &Cluster) -> String {
    let mut text = String::new();
    write_all(&mut text, cluster).expect("writing to a string cannot fail");
    text
}

fn write_all(text: &mut String, cluster: &Cluster) -> std::fmt::Result {
    writeln!(
        text,
        "# The cluster file: what all replicas have in common. The same file belongs on every replica, and to everyone"
    )?;
    writeln!(
        text,
        "# who verifies answers. A change of anything but layout and comments makes it another file with another digest.\n"
    )?;
    writeln!(text, "name = \"{}\"", cluster.name)?;
    writeln!(
        text,
        "epoch = {:<24} # version of this file; its keys sign for this epoch only",
        cluster.epoch
    )?;
    if let Some(id) = cluster.cluster_id {
        writeln!(text, "cluster-id = \"{id}\" # digest of epoch 1")?;
    }
    for (key, value, meaning) in parameters(cluster) {
        writeln!(text, "{:<32} # {meaning}", format!("{key} = {value}"))?;
    }
    writeln!(text, "\n# How answers are judged, by zone; the longest match counts.")?;
    writeln!(text, "#   strong        a quorum of equal answers")?;
    writeln!(text, "#   corroborated  a majority of equal answers, and more than `faults`")?;
    writeln!(
        text,
        "#   records       as corroborated; failing that, each record that so many saw, now or within `history`"
    )?;
    writeln!(
        text,
        "#   dnssec        only what DNSSEC validates: replicas of this version have no validator, and refuse it"
    )?;
    writeln!(text, "#   observe       the replica's own answer at once, consensus behind it")?;
    writeln!(text, "#   bypass        no consensus")?;
    writeln!(text, "[agreement]")?;
    for (zone, policy) in &cluster.policies {
        let zone = Presentation(zone).to_string().replace('\\', "\\\\");
        writeln!(text, "\"{zone}\" = \"{policy}\"")?;
    }
    writeln!(text, "\n# The replicas: ids from 0 without a gap.")?;
    writeln!(text, "#   address         the port for its peers (UDP, QUIC)")?;
    writeln!(text, "#   public-key      signs votes and observations")?;
    writeln!(text, "#   transport-key   proves its identity to its peers")?;
    writeln!(
        text,
        "#   upstream-group  whose paths it looks names up on; an answer that fewer than `min-groups` groups back is marked single-path"
    )?;
    cluster.members.iter().try_for_each(|member| write_member(text, member))
}

fn parameters(cluster: &Cluster) -> [(&'static str, String, &'static str); 10] {
    let duration = |ms| format!("\"{}\"", duration_text(ms));
    [
        (
            "faults",
            cluster.replicas.faults().to_string(),
            "how many replicas may be faulty (f); at least 3f+1 are needed",
        ),
        ("checkpoint-interval", cluster.checkpoint_interval.to_string(), "slots between two checkpoints"),
        ("batch-entries", cluster.batch_entries.to_string(), "most questions decided in one slot"),
        ("batch-bytes", cluster.batch_bytes.to_string(), "most bytes of observations in one slot"),
        ("pipeline", cluster.pipeline.to_string(), "slots in flight"),
        ("message-size", cluster.message_size.to_string(), "most bytes in a message between replicas"),
        ("observation-window", duration(cluster.observation_window_ms), "older observations do not count"),
        ("history", duration(cluster.history_ms), "how long a replica remembers what it saw"),
        ("min-groups", cluster.min_groups.to_string(), "fewer upstream groups behind an answer: single-path"),
        ("ttl-max", duration(u64::from(cluster.ttl_max_s) * 1000), "longest life of an answer"),
    ]
}

fn write_member(text: &mut String, member: &Member) -> std::fmt::Result {
    writeln!(text, "\n[[replica]]")?;
    writeln!(text, "id = {}", member.id)?;
    writeln!(text, "name = \"{}\"", member.name)?;
    writeln!(text, "address = \"{}\"", member.address)?;
    writeln!(text, "public-key = \"{}\"", member.public_key)?;
    writeln!(text, "transport-key = \"{}\"", member.transport_key)?;
    writeln!(text, "upstream-group = \"{}\"", member.upstream_group)
}
