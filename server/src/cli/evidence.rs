//! `quorate evidence`: what replicas kept of the misbehaviour of others, listed, shown and verified offline.
//!
//! Others are replicas, whose evidence is text by `EVIDENCE.md`, and CT logs, whose evidence is JSON (`split_view.rs`).

mod split_view;

use std::io;
use std::path::{Path, PathBuf};

use certificate::Cluster;
use certificate::timestamp::Timestamp;
use clap::{Args, Subcommand};
use node::evidence::{EVIDENCE_FOLDER, EvidenceError, EvidenceFile, EvidenceReadError, Listed, Proven, list};
use plugins::byzantine_consensus::Judge;
use serde_json::{Value, json};
use split_view::{Files, LogListError, UnprovenSplit};
use thiserror::Error;
use transparency::log_list::LogList;
use transparency::split_view::ProvenSplit;

use super::certificates::{InputError, read_cluster};

/// What to do with evidence.
#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// List the evidence in a state folder
    List(ListArgs),
    /// Show what a piece of evidence says; nothing is verified
    Show(ShowArgs),
    /// Check that evidence proves what it says, by the cluster file alone; against a CT log, by the log's key
    #[command(after_long_help = VERIFY_HELP)]
    Verify(VerifyArgs),
}

const VERIFY_HELP: &str = "\
Examples:
  quorate evidence verify state/evidence/0000000001-equivocation-2.txt --cluster cluster.toml
  quorate evidence verify /var/lib/quorate --cluster cluster.toml --json | jq '.[] | select(.proven)'
  quorate evidence verify ct/evidence/ct-split-view-1f6a….json --log-list log_list.json

What is proven is that the key of a replica signed what the protocol forbids. Nothing else of the file is believed: neither its
name nor its words nor its time. A refused proposal proves nothing and is kept for the operator's eyes.
Of a CT log it is proven that its key signed two tree heads that no one tree can have. Whose key that is, the log list says;
without one it is named by its identity alone.
Exit codes: 0 proven (of a folder: there is proof in it, and all that claims to be proof is), 1 not proven,
64 wrong usage or files.";

/// Where the evidence is.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// A state folder, or its folder `evidence`
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

/// Which file.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A file of evidence
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What to verify, and by what.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// A file of evidence, or a state folder: all that is in it
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// The cluster file that you trust, of the epoch of the evidence; not needed against CT logs
    #[arg(long, value_name = "FILE")]
    cluster: Option<PathBuf>,
    /// The log list that you trust: evidence must be against a log in it
    #[arg(long, value_name = "FILE")]
    log_list: Option<PathBuf>,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

/// Why there is nothing to judge.
#[derive(Debug, Error)]
pub enum EvidenceInputError {
    /// The cluster file.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A file or folder cannot be read.
    #[error("`{}`", path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The file is no evidence.
    #[error("`{}`: no evidence", path.display())]
    NoEvidence {
        /// Its path.
        path: PathBuf,
        /// The reason.
        #[source]
        source: EvidenceReadError,
    },
    /// Evidence against replicas, and nothing to judge it by.
    #[error("evidence against replicas needs `--cluster FILE`")]
    NoCluster,
    /// The log list.
    #[error("`{}`: no log list", path.display())]
    LogList {
        /// Its path.
        path: PathBuf,
        /// The reason.
        #[source]
        source: LogListError,
    },
    /// The folder holds none.
    #[error("no evidence in `{}`; a state folder keeps it in its folder `{EVIDENCE_FOLDER}`", path.display())]
    Empty {
        /// Its path.
        path: PathBuf,
    },
}

impl EvidenceInputError {
    /// The exit code: 1 for what is no evidence, 64 for what cannot be read at all.
    pub fn exit_code(&self) -> u8 {
        match self {
            EvidenceInputError::NoEvidence { .. } | EvidenceInputError::Empty { .. } => 1,
            EvidenceInputError::Input(_)
            | EvidenceInputError::Io { .. }
            | EvidenceInputError::NoCluster
            | EvidenceInputError::LogList { .. } => super::USAGE,
        }
    }
}

/// Runs the command, prints, and returns the exit code.
///
/// Errors: files that cannot be read, or that are no evidence.
pub fn run(command: &EvidenceCommand) -> Result<u8, EvidenceInputError> {
    match command {
        EvidenceCommand::List(args) => {
            let found = find(&args.folder)?;
            print!("{}", if args.json { format!("{}\n", list_json(&found)) } else { list_text(&found) });
            Ok(0)
        }
        EvidenceCommand::Show(args) if split_view::is_one(&args.file) => {
            let (text, json) = split_view::show(&args.file)?;
            print!("{}", if args.json { format!("{json}\n") } else { text });
            Ok(0)
        }
        EvidenceCommand::Show(args) => {
            let file = read(&args.file)?;
            print!("{}", if args.json { format!("{}\n", show_json(&file)) } else { show_text(&file) });
            Ok(0)
        }
        EvidenceCommand::Verify(args) => verify(args),
    }
}

fn verify(args: &VerifyArgs) -> Result<u8, EvidenceInputError> {
    let is_folder = args.path.is_dir();
    let found = if is_folder { find(&args.path)? } else { Files::of(&args.path) };
    let (replicas, logs) = (found.replica_paths(), &found.logs);
    if replicas.is_empty() && logs.is_empty() {
        return Err(EvidenceInputError::Empty { path: args.path.clone() });
    }
    let judges = Judges {
        cluster: args.cluster.as_ref().map(|path| read_cluster(path)).transpose()?,
        log_list: args.log_list.as_ref().map(|path| split_view::read_log_list(path)).transpose()?,
    };
    let mut verdicts = Vec::with_capacity(replicas.len() + logs.len());
    for path in replicas {
        let cluster = judges.cluster.as_ref().ok_or(EvidenceInputError::NoCluster)?;
        verdicts.push((path.clone(), judge(&path, cluster)?));
    }
    for path in logs {
        let verdict = split_view::judge(path, judges.log_list.as_ref())?;
        verdicts.push((path.clone(), verdict.map(Guilt::Log).map_err(Unproven::from)));
    }
    if args.json {
        let each = verdicts.iter().map(|(path, verdict)| verdict_json(path, verdict, &judges));
        println!("{}", each.collect::<Value>());
    } else {
        verdicts.iter().for_each(|(path, verdict)| println!("{}", verdict_line(path, verdict, &judges)));
    }
    let holds = |(_, verdict): &(PathBuf, Verdict)| match verdict {
        Ok(_) => Some(true),
        // Among others it is there for the operator's eyes, and claims no more.
        Err(Unproven::Error(EvidenceError::NoProof)) if is_folder => None,
        Err(_) => Some(false),
    };
    let judged: Vec<bool> = verdicts.iter().filter_map(holds).collect();
    Ok(if judged.contains(&false) || judged.is_empty() { 1 } else { 0 })
}

/// By what evidence is judged.
struct Judges {
    cluster: Option<Cluster>,
    log_list: Option<LogList>,
}

/// What is proven, or why nothing is.
type Verdict = Result<Guilt, Unproven>;

/// What is proven, and against whom.
enum Guilt {
    Replica(Proven),
    Log(ProvenSplit),
}

/// Why a file proves nothing.
#[derive(Debug, Error)]
enum Unproven {
    #[error("no evidence: {0}")]
    Unreadable(#[from] EvidenceReadError),
    #[error(transparent)]
    Error(#[from] EvidenceError),
    #[error(transparent)]
    Split(#[from] UnprovenSplit),
}

/// Judges a file. A file that is no evidence gets a verdict, too; one that cannot be read at all is an error.
fn judge(path: &Path, cluster: &Cluster) -> Result<Verdict, EvidenceInputError> {
    let file = match EvidenceFile::read(path) {
        Ok(file) => file,
        Err(EvidenceReadError::Io(source)) if source.kind() != io::ErrorKind::InvalidData => {
            return Err(EvidenceInputError::Io { path: path.to_owned(), source });
        }
        Err(error) => return Ok(Err(error.into())),
    };
    let judge = Judge { cluster: cluster.clone().into() };
    Ok(file.verify_with(cluster, &judge).map(Guilt::Replica).map_err(Unproven::from))
}

/// The evidence of a state folder, or of the folder `evidence` in it: against replicas, oldest first, then against logs.
fn find(folder: &Path) -> Result<Files, EvidenceInputError> {
    let failed = |source| EvidenceInputError::Io { path: folder.to_owned(), source };
    std::fs::read_dir(folder).map_err(failed)?;
    let inner = folder.join(EVIDENCE_FOLDER);
    let folder = if inner.is_dir() { &inner } else { folder };
    Ok(Files {
        replicas: list(folder).map_err(failed)?,
        alone: None,
        logs: split_view::list(folder).map_err(failed)?,
    })
}

fn read(path: &Path) -> Result<EvidenceFile, EvidenceInputError> {
    EvidenceFile::read(path).map_err(|error| match error {
        EvidenceReadError::Io(source) if source.kind() != io::ErrorKind::InvalidData => {
            EvidenceInputError::Io { path: path.to_owned(), source }
        }
        source => EvidenceInputError::NoEvidence { path: path.to_owned(), source },
    })
}

fn list_text(found: &Files) -> String {
    if found.replicas.is_empty() && found.logs.is_empty() {
        return "no evidence\n".to_owned();
    }
    let line = |one: &Listed| {
        let proof = if one.kind.is_proof() { "" } else { " (no proof)" };
        format!("{}  replica {}: {}{proof}\n", one.path.display(), one.replica, one.kind)
    };
    found.replicas.iter().map(line).chain(found.logs.iter().map(|path| split_view::line(path))).collect()
}

fn list_json(found: &Files) -> Value {
    let each = found.replicas.iter().map(|one| {
        json!({
            "file": one.path, "number": one.number, "kind": one.kind.name(), "replica": one.replica.0,
            "claims_proof": one.kind.is_proof(),
        })
    });
    each.chain(found.logs.iter().map(|path| split_view::listed_json(path))).collect()
}

fn show_text(file: &EvidenceFile) -> String {
    let kind = file.exhibit.kind();
    let mut text = String::new();
    let mut line = |name: &str, value: String| text += &format!("{name:<9} {value}\n");
    line("accused", format!("replica {}", file.replica));
    line("kind", kind.to_string());
    line("found", format!("{} by the finder's clock", Timestamp(file.time_ms)));
    line("in words", file.fault.clone());
    line("cluster", format!("{}, epoch {}", file.domain.cluster_id, file.domain.epoch));
    for (name, bytes) in parts(file) {
        line("signed", format!("{name}, {bytes} bytes"));
    }
    let otherwise =
        if kind.is_proof() { "`quorate evidence verify` does" } else { "what was refused is no proof" };
    line("checked", format!("nothing of this; {otherwise}"));
    text
}

fn show_json(file: &EvidenceFile) -> Value {
    json!({
        "replica": file.replica.0,
        "kind": file.exhibit.kind().name(),
        "claims_proof": file.exhibit.kind().is_proof(),
        "time_ms": file.time_ms,
        "fault": file.fault,
        "cluster": file.domain.cluster_id.to_string(),
        "epoch": file.domain.epoch.0,
        "parts": parts(file).iter().map(|(name, bytes)| json!({ "name": name, "bytes": bytes })).collect::<Value>(),
    })
}

/// The signed parts by name, each with its length in bytes: the lines behind `proof`, in hexadecimal.
fn parts(file: &EvidenceFile) -> Vec<(String, usize)> {
    let text = file.to_text();
    let signed = text.lines().skip_while(|line| !line.starts_with("proof: ")).skip(1);
    let parts = signed.filter_map(|line| line.split_once(": "));
    parts.map(|(name, hexadecimal)| (name.to_owned(), hexadecimal.len() / 2)).collect()
}

fn verdict_line(path: &Path, verdict: &Verdict, judges: &Judges) -> String {
    let shown = path.display();
    match verdict {
        Ok(Guilt::Replica(proven)) => {
            let member = judges.cluster.as_ref().and_then(|cluster| cluster.member(proven.replica));
            let name = member.map_or("", |member| &member.name);
            format!("{shown}: proven against replica {} ({name}): {proven}", proven.replica)
        }
        Ok(Guilt::Log(proven)) => {
            format!("{shown}: proven against {}", split_view::words(proven, judges.log_list.as_ref()))
        }
        Err(Unproven::Error(EvidenceError::NoProof)) => {
            format!("{shown}: no proof: {}", EvidenceError::NoProof)
        }
        Err(why) => format!("{shown}: not proven: {why}"),
    }
}

fn verdict_json(path: &Path, verdict: &Verdict, judges: &Judges) -> Value {
    match verdict {
        Ok(Guilt::Replica(proven)) => json!({
            "file": path, "proven": true, "replica": proven.replica.0, "kind": proven.kind.name(),
            "view": proven.view.map(|view| view.0), "slot": proven.sequence.map(|sequence| sequence.0),
            "text": proven.to_string(), "error": null,
        }),
        Ok(Guilt::Log(proven)) => split_view::verdict_json(path, proven, judges.log_list.as_ref()),
        Err(why) => json!({ "file": path, "proven": false, "error": why.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors that `EVIDENCE.md` comes with.
    fn vectors() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../consensus/node/vectors")
    }

    fn exit_code(path: &Path) -> u8 {
        let cluster = Some(vectors().join("cluster.toml"));
        let args = VerifyArgs { path: path.to_owned(), cluster, log_list: None, json: false };
        run(&EvidenceCommand::Verify(args)).unwrap_or_else(|error| error.exit_code())
    }

    /// A state folder with these vectors as its evidence.
    fn state(files: &[(&str, &str)]) -> tempfile::TempDir {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("evidence");
        std::fs::create_dir(&folder).unwrap();
        for (vector, name) in files {
            std::fs::copy(vectors().join(vector), folder.join(name)).unwrap();
        }
        state
    }

    #[test]
    fn exit_code_says_whether_a_file_is_proof() {
        for (vector, expected) in [
            ("equivocation-prepare.txt", 0),
            ("invalid-new-view-count.txt", 0),
            ("malformed-observation-null.txt", 0),
            ("refused-proposal.txt", 1),
            ("refused-changed.txt", 1),
            ("refused-cut.txt", 1),
            ("cluster.toml", 1),
            ("absent.txt", super::super::USAGE),
        ] {
            assert_eq!(exit_code(&vectors().join(vector)), expected, "{vector}");
        }
    }

    #[test]
    fn content_of_observations_is_judged_by_what_this_program_knows_of_dns() {
        assert_eq!(exit_code(&vectors().join("malformed-observation-content.txt")), 0);
    }

    #[test]
    fn folder_holds_when_all_that_claims_proof_is_proof() {
        const PROOF: (&str, &str) = ("equivocation-prepare.txt", "0000000001-equivocation-2.txt");
        const REFUSED: (&str, &str) = ("refused-proposal.txt", "0000000002-refused-proposal-2.txt");
        const CHANGED: (&str, &str) = ("refused-changed.txt", "0000000003-equivocation-2.txt");
        assert_eq!(exit_code(state(&[PROOF, REFUSED]).path()), 0);
        assert_eq!(exit_code(&state(&[PROOF]).path().join("evidence")), 0);
        assert_eq!(exit_code(state(&[PROOF, CHANGED]).path()), 1);
        assert_eq!(exit_code(state(&[REFUSED]).path()), 1);
        assert_eq!(exit_code(state(&[]).path()), 1);
    }

    #[test]
    fn verdict_names_the_replica_as_the_cluster_file_does() {
        let cluster = read_cluster(&vectors().join("cluster.toml")).unwrap();
        let line = |vector: &str| {
            let verdict = judge(&vectors().join(vector), &cluster).unwrap();
            let judges = Judges { cluster: Some(cluster.clone()), log_list: None };
            verdict_line(Path::new("it"), &verdict, &judges)
        };
        let name = &cluster.member(certificate::ReplicaId(2)).unwrap().name;
        let expected = format!(
            "it: proven against replica 2 ({name}): replica 2 signed two digests for slot 9 in view 6"
        );
        assert_eq!(line("equivocation-prepare.txt"), expected);
        assert!(line("refused-proposal.txt").starts_with("it: no proof: "));
        assert_eq!(
            line("refused-other-replica.txt"),
            "it: not proven: the file accuses replica 3, what it shows is of replica 2"
        );
    }

    #[test]
    fn list_and_show_believe_nothing_and_say_so() {
        let state = state(&[("equivocation-prepare.txt", "0000000001-equivocation-2.txt")]);
        let listed = find(state.path()).unwrap();
        assert!(list_text(&listed).ends_with("0000000001-equivocation-2.txt  replica 2: equivocation\n"));
        assert_eq!(list_json(&listed)[0]["claims_proof"], true);
        let shown = show_text(&read(&listed.replicas[0].path).unwrap());
        assert!(shown.starts_with("accused   replica 2\nkind      equivocation\n"), "{shown}");
        assert_eq!(shown.matches("\nsigned    prepare, ").count(), 2, "{shown}");
        assert!(shown.ends_with("\nchecked   nothing of this; `quorate evidence verify` does\n"), "{shown}");
    }
}
