//! Replicas of the demo that misbehave on purpose: the flags, and the line that each puts into its replica's Corefile.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use thiserror::Error;

/// Whether this program knows how to misbehave.
const KNOWN: bool = cfg!(feature = "adversary");
/// How late a late replica may be.
const LATE_MAX: Duration = Duration::from_secs(60);

/// Which replicas misbehave. A build without the feature `adversary` says how to get one that has it.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Replicas that misbehave (needs a build with the feature `adversary`)")]
pub(super) struct AdversaryArgs {
    /// This replica signs two digests for one slot and shows both to some
    #[arg(long = "equivocator", value_name = "ID")]
    equivocators: Vec<u8>,
    /// This replica sends far more than it needs to: questions, messages, datagrams
    #[arg(long = "flooder", value_name = "ID")]
    flooders: Vec<u8>,
    /// This replica signs its votes badly
    #[arg(long = "forger", value_name = "ID")]
    forgers: Vec<u8>,
    /// This replica votes late: `2`, or `2:900ms`
    #[arg(long = "late", value_name = "ID[:TIME]")]
    late: Vec<Late>,
    /// This replica says again and again what it and others said before
    #[arg(long = "replayer", value_name = "ID")]
    replayers: Vec<u8>,
    /// This replica is connected and says nothing
    #[arg(long = "silent", value_name = "ID")]
    silent: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Late {
    id: u8,
    by: Option<Duration>,
}

impl FromStr for Late {
    type Err = String;

    fn from_str(text: &str) -> Result<Late, String> {
        let (id, by) = match text.split_once(':') {
            Some((id, by)) => (id, Some(by)),
            None => (text, None),
        };
        let id = id.parse().map_err(|_| format!("expected the number of a replica, got `{id}`"))?;
        let by = by.map(|by| {
            let time = humantime::parse_duration(by).ok();
            time.filter(|time| (Duration::from_millis(1)..=LATE_MAX).contains(time))
                .ok_or_else(|| format!("expected a time from 1ms to 60s, got `{by}`"))
        });
        Ok(Late { id, by: by.transpose()? })
    }
}

/// A replica that misbehaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Adversary {
    /// Which.
    pub id: u8,
    /// How: the name of the flag and of the vice.
    pub name: &'static str,
    /// How late, in milliseconds.
    late_ms: Option<u128>,
}

/// Why the replicas cannot misbehave as the flags say.
#[derive(PartialEq, Eq, Debug, Error)]
pub enum AdversaryError {
    /// A build for use.
    #[error("this build has no adversaries: cargo run --release --features adversary -- demo {flags}")]
    Unknown {
        /// What was asked for.
        flags: String,
    },
    /// No such replica.
    #[error("expected a replica from 0 to {}, got `--{name} {id}`", replicas - 1)]
    NoReplica {
        /// The flag.
        name: &'static str,
        /// What was given.
        id: u8,
        /// n
        replicas: u32,
    },
    /// Two things at once.
    #[error("replica {id} is given two parts; one replica has one vice, and an honest upstream")]
    Twice {
        /// Which.
        id: u8,
    },
    /// More than f.
    #[error(
        "expected at most {most} faulty of {replicas} replicas, liars included, got {found}; `--replicas {}` tolerates as many",
        3 * found + 1
    )]
    TooMany {
        /// f
        most: u32,
        /// n
        replicas: u32,
        /// What was given.
        found: usize,
    },
}

impl AdversaryArgs {
    /// The replicas that misbehave, beside `liars` whose upstreams lie.
    ///
    /// Errors: this build has no adversaries; no such replica; two parts for one replica; more than `most`.
    pub fn among(&self, replicas: u32, most: u32, liars: &[u8]) -> Result<Vec<Adversary>, AdversaryError> {
        self.judge(KNOWN, (replicas, most), liars)
    }

    fn judge(
        &self,
        known: bool,
        (replicas, most): (u32, u32),
        liars: &[u8],
    ) -> Result<Vec<Adversary>, AdversaryError> {
        let adversaries = self.all();
        if adversaries.is_empty() {
            return Ok(adversaries);
        }
        if !known {
            let flags: Vec<String> = adversaries.iter().map(Adversary::flag).collect();
            return Err(AdversaryError::Unknown { flags: flags.join(" ") });
        }
        if let Some(Adversary { id, name, .. }) = adversaries.iter().find(|it| u32::from(it.id) >= replicas) {
            return Err(AdversaryError::NoReplica { name, id: *id, replicas });
        }
        let mut faulty = BTreeSet::from_iter(liars.iter().copied());
        if let Some(twice) = adversaries.iter().find(|it| !faulty.insert(it.id)) {
            return Err(AdversaryError::Twice { id: twice.id });
        }
        if faulty.len() > most as usize {
            return Err(AdversaryError::TooMany { most, replicas, found: faulty.len() });
        }
        Ok(adversaries)
    }

    fn all(&self) -> Vec<Adversary> {
        let of = |name: &'static str, ids: &[u8]| -> Vec<Adversary> {
            ids.iter().map(|&id| Adversary { id, name, late_ms: None }).collect()
        };
        let late =
            |late: &Late| Adversary { id: late.id, name: "late", late_ms: late.by.map(|by| by.as_millis()) };
        [
            of("equivocator", &self.equivocators),
            of("flooder", &self.flooders),
            of("forger", &self.forgers),
            self.late.iter().map(late).collect(),
            of("replayer", &self.replayers),
            of("silent", &self.silent),
        ]
        .concat()
    }
}

impl Adversary {
    /// What it does, for people.
    pub fn describe(&self) -> &'static str {
        match self.name {
            "equivocator" => "signs two digests for every slot and shows both to some",
            "flooder" => "floods the others with questions, messages and datagrams",
            "forger" => "signs its votes badly",
            "late" => "votes late",
            "replayer" => "says again what it and others said before",
            _ => "is connected and says nothing",
        }
    }

    /// The flag that asks for it.
    fn flag(&self) -> String {
        let by = self.late_ms.map_or_else(String::new, |ms| format!(":{ms}ms"));
        format!("--{} {}{by}", self.name, self.id)
    }

    /// Writes its line into the Corefile of its replica, in `folder`.
    ///
    /// Errors: those of the file; `InvalidData` when it has no block of `byzantine-consensus`.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let path = folder.join("Corefile");
        let text = fs::read_to_string(&path)?;
        fs::write(path, self.corefile(&text).ok_or(io::ErrorKind::InvalidData)?)
    }

    fn corefile(&self, text: &str) -> Option<String> {
        let by = self.late_ms.map_or_else(String::new, |ms| format!(" {ms}ms"));
        let block = text.find("byzantine-consensus ")?;
        let line = block + text[block..].find('\n')? + 1;
        let (before, behind) = text.split_at(line);
        Some(format!("{before}        adversary {}{by}\n{behind}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(equivocators: &[u8], silent: &[u8], late: &[&str]) -> AdversaryArgs {
        AdversaryArgs {
            equivocators: equivocators.to_vec(),
            silent: silent.to_vec(),
            late: late.iter().map(|text| text.parse().unwrap()).collect(),
            ..AdversaryArgs::default()
        }
    }

    #[test]
    fn build_without_adversaries_says_how_to_get_them() {
        let refused = args(&[2], &[], &["3:1s"]).judge(false, (7, 2), &[]).unwrap_err();
        let expected = "this build has no adversaries: cargo run --release --features adversary -- demo --equivocator 2 --late 3:1000ms";
        assert_eq!(refused.to_string(), expected);
        assert_eq!(args(&[], &[], &[]).judge(false, (4, 1), &[2]), Ok(Vec::new()));
    }

    #[test]
    fn more_adversaries_than_the_cluster_tolerates_are_refused_liars_included() {
        assert!(args(&[2], &[], &[]).judge(true, (4, 1), &[]).is_ok());
        let refused = args(&[2], &[], &[]).judge(true, (4, 1), &[1]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "expected at most 1 faulty of 4 replicas, liars included, got 2; `--replicas 7` tolerates as many"
        );
        assert!(args(&[2], &[3], &[]).judge(true, (7, 2), &[]).is_ok());
    }

    #[test]
    fn replica_has_one_part_and_exists() {
        assert_eq!(args(&[2], &[2], &[]).judge(true, (7, 2), &[]), Err(AdversaryError::Twice { id: 2 }));
        assert_eq!(args(&[2], &[], &[]).judge(true, (7, 2), &[2]), Err(AdversaryError::Twice { id: 2 }));
        let refused = args(&[], &[4], &[]).judge(true, (4, 1), &[]).unwrap_err();
        assert_eq!(refused.to_string(), "expected a replica from 0 to 3, got `--silent 4`");
    }

    #[test]
    fn vice_stands_in_the_block_of_the_replica() {
        let text = ".:53 {\n    byzantine-consensus cluster.toml {\n        state state\n    }\n}\n";
        let late = &args(&[], &[], &["1:1s"]).judge(true, (4, 1), &[]).unwrap()[0];
        assert_eq!(
            late.corefile(text).unwrap(),
            ".:53 {\n    byzantine-consensus cluster.toml {\n        adversary late 1000ms\n        state state\n    }\n}\n"
        );
    }

    #[test]
    fn time_of_a_late_replica_is_read_with_its_unit_and_bounded() {
        let read = |text: &str| text.parse::<Late>().map(|late| late.by);
        assert_eq!(read("2"), Ok(None));
        assert_eq!(read("2:250ms"), Ok(Some(Duration::from_millis(250))));
        assert!(read("2:61s").is_err() && read("2:0ms").is_err() && read("x").is_err());
    }
}
