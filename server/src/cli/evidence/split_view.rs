//! Evidence against CT logs: two signed tree heads that no one tree can have, as JSON (`plugins/ct_verify/core/README.md`).

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use node::evidence::Listed;
use serde_json::{Value, json};
use thiserror::Error;
use transparency::digest::LogId;
use transparency::log_list::{CtLog, LOG_LIST_BYTES_MAX, LogList};
use transparency::split_view::{Misbehaviour, ProvenSplit, SPLIT_VIEW_BYTES_MAX, SplitView, SplitViewError};

use super::EvidenceInputError;

/// Files of evidence.
pub struct Files {
    /// Against replicas, as their names list them.
    pub replicas: Vec<Listed>,
    /// A file that was named by itself, whatever its name.
    pub alone: Option<PathBuf>,
    /// Against logs.
    pub logs: Vec<PathBuf>,
}

impl Files {
    /// One file, by what is in it.
    pub fn of(path: &Path) -> Self {
        let (alone, logs) =
            if is_one(path) { (None, vec![path.to_owned()]) } else { (Some(path.to_owned()), Vec::new()) };
        Files { replicas: Vec::new(), alone, logs }
    }

    /// The files that are against replicas.
    pub fn replica_paths(&self) -> Vec<PathBuf> {
        self.replicas.iter().map(|listed| listed.path.clone()).chain(self.alone.clone()).collect()
    }
}

/// Why the log list cannot be used.
#[derive(Debug, Error)]
pub enum LogListError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is none.
    #[error(transparent)]
    List(#[from] transparency::log_list::LogListError),
}

/// Why a file proves nothing against a log.
#[derive(Debug, Error)]
pub enum UnprovenSplit {
    /// It is none, or does not verify.
    #[error("no split view: {0}")]
    SplitView(#[from] SplitViewError),
    /// The key is nobody's, as far as the operator says.
    #[error("the log list has no log `{0}`")]
    UnknownLog(LogId),
}

/// Whether a file is evidence against a log by its content: it is JSON.
pub fn is_one(path: &Path) -> bool {
    let mut first = [0];
    File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == *b"{"
}

/// The files of a folder that are named as evidence against logs, in the order of their names.
pub fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(".json"));
        if ours && paths.len() < FILES_MAX {
            paths.push(entry.path());
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// Reads the log list by which logs are known.
pub fn read_log_list(path: &Path) -> Result<LogList, EvidenceInputError> {
    let read = read_bounded(path, LOG_LIST_BYTES_MAX).map_err(LogListError::from);
    let list = read.and_then(|bytes| Ok(LogList::parse(&bytes)?));
    list.map_err(|source| EvidenceInputError::LogList { path: path.to_owned(), source })
}

/// Judges a file. A file that is no evidence gets a verdict, too; one that cannot be read at all is an error.
pub fn judge(
    path: &Path,
    log_list: Option<&LogList>,
) -> Result<Result<ProvenSplit, UnprovenSplit>, EvidenceInputError> {
    let bytes = read_split(path)?;
    let proven = SplitView::parse(&bytes).and_then(|split| split.verify());
    Ok(proven.map_err(UnprovenSplit::from).and_then(|proven| {
        let id = proven.key.id();
        match log_list {
            Some(list) if find(list, &id).is_none() => Err(UnprovenSplit::UnknownLog(id)),
            _ => Ok(proven),
        }
    }))
}

/// What is proven against which log, for people.
pub fn words(proven: &ProvenSplit, log_list: Option<&LogList>) -> String {
    let id = proven.key.id();
    let name = log_list.and_then(|list| find(list, &id));
    let name = name.map_or_else(String::new, |log| format!(" ({}, {})", log.description, log.operator));
    let [one, two] = &proven.heads;
    let what = match proven.misbehaviour {
        Misbehaviour::Equivocation => format!("it signed two roots for a tree of {} leaves", one.size),
        Misbehaviour::Shrunk => {
            let (earlier, later) = if one.timestamp < two.timestamp { (one, two) } else { (two, one) };
            let (before, after, time) = (earlier.size, later.size, later.timestamp);
            format!("it signed a tree of {before} leaves, and then, on {time}, one of {after}")
        }
    };
    format!("CT log `{id}`{name}: {what}")
}

/// What is proven, as JSON.
pub fn verdict_json(path: &Path, proven: &ProvenSplit, log_list: Option<&LogList>) -> Value {
    let heads = proven
        .heads
        .iter()
        .map(|head| json!({ "size": head.size, "root": head.root, "timestamp": head.timestamp }));
    json!({
        "file": path, "proven": true, "kind": KIND, "log": proven.key.id(),
        "description": log_list.and_then(|list| find(list, &proven.key.id())).map(|log| &log.description),
        "misbehaviour": proven.misbehaviour, "heads": heads.collect::<Value>(),
        "text": words(proven, log_list), "error": null,
    })
}

/// One line of a list; nothing has been verified.
pub fn line(path: &Path) -> String {
    let log = claimed_log(path).map_or_else(|| "unreadable".to_owned(), |log| format!("CT log `{log}`"));
    format!("{}  {log}: split view\n", path.display())
}

/// The same as JSON.
pub fn listed_json(path: &Path) -> Value {
    json!({ "file": path, "kind": KIND, "log": claimed_log(path), "claims_proof": true })
}

/// What a file says, for people and as JSON; nothing is verified.
pub fn show(path: &Path) -> Result<(String, Value), EvidenceInputError> {
    let bytes = read_split(path)?;
    let split = SplitView::parse(&bytes).map_err(|error| EvidenceInputError::NoEvidence {
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidData, error).into(),
    })?;
    let log = split.claimed_log().map_or_else(|| "none that is a key".to_owned(), |log| log.to_string());
    let mut text = format!("accused   CT log `{log}`\nkind      split view\n");
    for head in split.heads() {
        text += "signed    ";
        text += &head.trim_end().escape_debug().to_string();
        text.push('\n');
    }
    text += "checked   nothing of this; `quorate evidence verify` does\n";
    Ok((text, serde_json::to_value(&split).expect("texts alone")))
}

fn claimed_log(path: &Path) -> Option<LogId> {
    SplitView::parse(&read_bounded(path, SPLIT_VIEW_BYTES_MAX).ok()?).ok()?.claimed_log()
}

fn find<'l>(list: &'l LogList, id: &LogId) -> Option<&'l CtLog> {
    list.log(id).or_else(|| list.denied_log(id))
}

fn read_split(path: &Path) -> Result<Vec<u8>, EvidenceInputError> {
    // One byte more than a split view may have, so that a longer file is refused as one.
    let failed = |source| EvidenceInputError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let most = SPLIT_VIEW_BYTES_MAX as u64 + 1;
    File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(failed)?;
    Ok(bytes)
}

fn read_bounded(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes_max < bytes.len() {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {bytes_max} bytes")));
    }
    Ok(bytes)
}

/// How evidence against logs is named in JSON, and its files begin.
const KIND: &str = "ct-split-view";
const PREFIX: &str = "ct-split-view-";
/// How many files of a folder are looked at.
const FILES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use ct_log::{Authority, Clock, Kind, Lie, TestLog, log_list_json};

    use super::super::{EvidenceCommand, ListArgs, ShowArgs, VerifyArgs, find, list_json, list_text, run};
    use super::*;

    /// A folder with a log list, and with the proof that its log shrank.
    struct Scene {
        folder: tempfile::TempDir,
        split: SplitView,
    }

    fn get(url: &str) -> String {
        use std::io::Write;
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut stream = std::net::TcpStream::connect(host).unwrap();
        write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn scene() -> Scene {
        let clock = Clock::at("2026-08-01T00:00:00Z");
        let log = TestLog::start("alder", Kind::Rfc6962, &clock);
        let authority = Authority::new("Alder CA", &clock);
        (0..3).for_each(|_| drop(authority.leaf("www.example.org").issue(&[&log])));
        log.merge();
        let url = format!("{}ct/v1/get-sth", log.rfc6962_url());
        let before = get(&url);
        clock.advance(60);
        log.lie(Lie::Shrink(2));
        let split = SplitView::of_tree_heads(&log.key(), [&before, &get(&url)]);
        let folder = tempfile::tempdir().unwrap();
        let list = log_list_json("2026-07-30T00:00:00Z", &[log.listed()]);
        fs::write(folder.path().join("log_list.json"), list).unwrap();
        let other = TestLog::start("birch", Kind::Rfc6962, &clock);
        let list = log_list_json("2026-07-30T00:00:00Z", &[other.listed()]);
        fs::write(folder.path().join("other_list.json"), list).unwrap();
        fs::create_dir(folder.path().join("evidence")).unwrap();
        let scene = Scene { folder, split };
        scene.write("ct-split-view-1.json", &scene.split.to_json());
        scene
    }

    impl Scene {
        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join("evidence").join(name)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.path(name), text).unwrap();
        }

        fn exit_code(&self, path: &Path, log_list: Option<&str>) -> u8 {
            let log_list = log_list.map(|name| self.folder.path().join(name));
            let args = VerifyArgs { path: path.to_owned(), cluster: None, log_list, json: true };
            run(&EvidenceCommand::Verify(args)).unwrap_or_else(|error| error.exit_code())
        }
    }

    #[test]
    fn split_view_is_proven_against_a_log_of_the_list_alone() {
        let scene = scene();
        let path = scene.path("ct-split-view-1.json");
        assert_eq!(scene.exit_code(&path, None), 0);
        assert_eq!(scene.exit_code(&path, Some("log_list.json")), 0);
        assert_eq!(scene.exit_code(&path, Some("other_list.json")), 1);
        assert_eq!(scene.exit_code(&path, Some("absent.json")), super::super::super::USAGE);
        assert_eq!(scene.exit_code(&path, Some("evidence/ct-split-view-1.json")), super::super::super::USAGE);
    }

    #[test]
    fn what_is_no_split_view_is_not_proven() {
        let scene = scene();
        let json = scene.split.to_json();
        for (name, text) in [
            ("ct-split-view-2.json", json.replace("tree_size\\\":2", "tree_size\\\":1")),
            ("ct-split-view-3.json", json[..json.len() - 1].to_owned()),
            ("ct-split-view-4.json", format!("{json}{}", " ".repeat(SPLIT_VIEW_BYTES_MAX))),
            ("ct-split-view-5.json", "{}".to_owned()),
        ] {
            assert_ne!(text, json);
            scene.write(name, &text);
            assert_eq!(scene.exit_code(&scene.path(name), Some("log_list.json")), 1, "{name}");
        }
        assert_eq!(scene.exit_code(scene.folder.path(), Some("log_list.json")), 1);
    }

    #[test]
    fn folder_is_judged_with_what_it_has_against_replicas() {
        let scene = scene();
        assert_eq!(scene.exit_code(scene.folder.path(), Some("log_list.json")), 0);
        let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../consensus/node/vectors");
        let name = "0000000001-equivocation-2.txt";
        fs::copy(vectors.join("equivocation-prepare.txt"), scene.path(name)).unwrap();
        assert_eq!(scene.exit_code(scene.folder.path(), None), super::super::super::USAGE, "no cluster file");
        let cluster = Some(vectors.join("cluster.toml"));
        let args = VerifyArgs { path: scene.folder.path().to_owned(), cluster, log_list: None, json: false };
        assert_eq!(run(&EvidenceCommand::Verify(args)).unwrap(), 0);
    }

    #[test]
    fn list_and_show_name_the_log_and_say_that_nothing_is_verified() {
        let scene = scene();
        let found = find(scene.folder.path()).unwrap();
        let id = scene.split.claimed_log().unwrap();
        assert!(list_text(&found).ends_with(&format!("ct-split-view-1.json  CT log `{id}`: split view\n")));
        assert_eq!(list_json(&found)[0]["log"], json!(id));
        let (text, json) = show(&scene.path("ct-split-view-1.json")).unwrap();
        assert!(text.starts_with(&format!("accused   CT log `{id}`\n")), "{text}");
        assert_eq!(text.matches("\nsigned    {").count(), 2, "{text}");
        assert_eq!(json["kind"], KIND);
        let args = ShowArgs { file: scene.path("ct-split-view-1.json"), json: false };
        assert_eq!(run(&EvidenceCommand::Show(args)).unwrap(), 0);
        let args = ListArgs { folder: scene.folder.path().to_owned(), json: true };
        assert_eq!(run(&EvidenceCommand::List(args)).unwrap(), 0);
    }

    #[test]
    fn words_name_log_and_deed() {
        let scene = scene();
        let list = read_log_list(&scene.folder.path().join("log_list.json")).unwrap();
        let proven = scene.split.verify().unwrap();
        let words = words(&proven, Some(&list));
        assert!(words.contains(&list.logs().next().unwrap().description), "{words}");
        assert!(
            words.ends_with("it signed a tree of 3 leaves, and then, on 2026-08-01T00:01:00Z, one of 2"),
            "{words}"
        );
    }
}
