//! Events of Debian's certspotter, whose hook script drops them into a folder as files. certspotter-script(8).
//!
//! The script, in `hooks.d` of certspotter's configuration, has two lines; it writes under a name that starts with a dot, and renames:
//!
//! ```sh
//! #!/bin/sh
//! n=$(mktemp FOLDER/.XXXXXX) && { env; echo; cat "${JSON_FILENAME:-/dev/null}"; } >"$n" && chmod 640 "$n" && mv "$n" "FOLDER/${n##*/.}.event"
//! ```
//!
//! The folder has to be writable for both: what was taken in is removed. What cannot be read stays, and is counted once.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;
use transparency::digest::Sha256;

use super::announced::Announced;
use super::zones::digest_from_hex;

/// What certspotter has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dropped {
    /// A certificate for a name on its watch list.
    Certificate {
        /// What it is.
        announced: Box<Announced>,
        /// The log's URL, as far as it is said.
        log: String,
        /// Which entry of the log.
        index: Option<u64>,
    },
    /// An entry that cannot be read, and may be for a name on its list.
    Malformed {
        /// What certspotter says of it.
        summary: String,
    },
    /// Something keeps certspotter from following all logs.
    Error {
        /// What certspotter says of it.
        summary: String,
    },
}

/// The file is none of certspotter's script.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DroppedError {
    /// Not a text.
    #[error("expected a text")]
    Text,
    /// No event that we know.
    #[error("expected `EVENT=` and one of discovered_cert, malformed_cert, error, got `{0}`")]
    Event(String),
    /// The JSON is none.
    #[error("expected the JSON of certspotter")]
    Json,
    /// What identifies a certificate is missing, or is none.
    #[error("`{0}`: expected 64 hexadecimal digits")]
    Digest(&'static str),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SpotterJson {
    tbs_sha256: String,
    pubkey_sha256: String,
    dns_names: Vec<String>,
    not_before: Option<String>,
    not_after: Option<String>,
}

/// Reads a file: lines `NAME=VALUE` of the environment, JSON of certspotter, or the one and then the other.
///
/// # Errors
/// [`DroppedError`] when it is neither.
pub fn read_dropped(bytes: &[u8]) -> Result<Dropped, DroppedError> {
    let text = std::str::from_utf8(bytes).map_err(|_| DroppedError::Text)?;
    let begin = if text.starts_with('{') { Some(0) } else { text.find("\n{").map(|at| at + 1) };
    let (environment, json) = text.split_at(begin.unwrap_or(text.len()));
    let json: Option<SpotterJson> = match json.trim() {
        "" => None,
        json => Some(serde_json::from_str(json).map_err(|_| DroppedError::Json)?),
    };
    let variables: BTreeMap<&str, &str> =
        environment.lines().filter_map(|line| line.split_once('=')).collect();
    let variable = |name: &str| variables.get(name).copied().map(shown);
    let summary = || variable("SUMMARY").unwrap_or_default();
    match (variables.get("EVENT").copied(), json) {
        (Some("discovered_cert") | None, Some(json)) => certificate(&json, &variable),
        (Some("discovered_cert"), None) => certificate(&SpotterJson::default(), &variable),
        (Some("malformed_cert"), _) => Ok(Dropped::Malformed { summary: summary() }),
        (Some("error"), _) => Ok(Dropped::Error { summary: summary() }),
        (other, _) => Err(DroppedError::Event(shown(other.unwrap_or_default()))),
    }
}

fn certificate(
    json: &SpotterJson,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Dropped, DroppedError> {
    let digest = |name: &'static str, other: &str| {
        let digits = variable(name).unwrap_or_else(|| other.to_owned());
        digest_from_hex(&digits).ok_or(DroppedError::Digest(name))
    };
    let time = |name: &str, other: &Option<String>| {
        variable(name).or_else(|| other.clone()).and_then(|text| text.parse().ok())
    };
    let watched = || variable("WATCH_ITEM").map(|item| item.trim_start_matches('.').to_owned());
    let names: Vec<String> = json.dns_names.iter().take(NAMES_MAX).map(|name| shown(name)).collect();
    let tbs_sha256: Sha256 = digest("TBS_SHA256", &json.tbs_sha256)?;
    let announced = Announced {
        tbs_sha256,
        is_precertificate: false,
        names: if names.is_empty() { watched().into_iter().collect() } else { names },
        issuer: variable("ISSUER_DN").unwrap_or_default(),
        issuer_key_sha256: None,
        key_sha256: digest("PUBKEY_SHA256", &json.pubkey_sha256)?,
        key_sha512: None,
        serial: variable("SERIAL").unwrap_or_default(),
        not_before: time("NOT_BEFORE_RFC3339", &json.not_before),
        not_after: time("NOT_AFTER_RFC3339", &json.not_after),
    };
    let index = variable("ENTRY_INDEX").and_then(|text| text.parse().ok());
    Ok(Dropped::Certificate {
        announced: Box::new(announced),
        log: variable("LOG_URI").unwrap_or_default(),
        index,
    })
}

/// The files of the folder that the script has finished, at most so many, without those in `passed`. Waits for the disk.
pub(super) fn finished(folder: &Path, passed: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.take(FILES_LISTED_MAX).filter_map(|entry| Some(entry.ok()?.path()));
    let wanted = paths.filter(|path| {
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let ours = path.extension().is_some_and(|extension| extension == "event" || extension == "json");
        ours && !hidden && !passed(path)
    });
    let mut files: Vec<PathBuf> = wanted.take(FILES_MAX).collect();
    files.sort_unstable();
    files
}

/// The content of a file that the script has finished. Waits for the disk.
pub(super) fn open(path: &Path) -> Result<Dropped, DroppedError> {
    let file = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file);
    let opened = file.and_then(|_| fs::File::open(path).ok()).ok_or(DroppedError::Text)?;
    let mut bytes = Vec::new();
    let read = opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    if read.is_err() || bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(DroppedError::Text);
    }
    read_dropped(&bytes)
}

fn shown(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

/// How many files are taken in at a time.
pub(super) const FILES_MAX: usize = 256;
/// How many names of a folder are looked at.
const FILES_LISTED_MAX: usize = 10_000;
/// How long a file may be, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
const NAMES_MAX: usize = 1000;
const TEXT_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    const ENVIRONMENT: &str = "PATH=/usr/bin\nEVENT=discovered_cert\nSUMMARY=certificate discovered for .example.org\n\
        LOG_URI=https://alder.example.net/\nENTRY_INDEX=42\nISSUER_DN=C=GB, O=Alder Limited, CN=Alder CA\nSERIAL=0a\n\
        NOT_BEFORE_RFC3339=2026-01-31T03:47:26Z\nWATCH_ITEM=.example.org\n\
        TBS_SHA256=2388ee81c6f45cffc73e68a35fa8921e839e20acc9a98e8e6dcaea07cbfbdef8\n\
        PUBKEY_SHA256=33ac1d9b9e56005ccac045eac2398b3e9dd6b3f5b66ae6260f2d478c7c0d82c8\n";
    const JSON: &str = r#"{"dns_names": ["example.org", "www.example.org"], "not_after": "2026-04-26T03:47:26Z",
        "pubkey_sha256": "33ac1d9b9e56005ccac045eac2398b3e9dd6b3f5b66ae6260f2d478c7c0d82c8",
        "tbs_sha256": "2388ee81c6f45cffc73e68a35fa8921e839e20acc9a98e8e6dcaea07cbfbdef8"}"#;

    fn names_of(dropped: &Dropped) -> &[String] {
        let Dropped::Certificate { announced, .. } = dropped else { panic!("{dropped:?}") };
        &announced.names
    }

    #[test]
    fn environment_and_json_are_read_together_and_alone() {
        let both = read_dropped(format!("{ENVIRONMENT}\n{JSON}\n").as_bytes()).unwrap();
        assert_eq!(names_of(&both), ["example.org", "www.example.org"]);
        let Dropped::Certificate { announced, log, index } = &both else { panic!("{both:?}") };
        assert_eq!((log.as_str(), *index), ("https://alder.example.net/", Some(42)));
        assert!(announced.issuer.contains("Alder Limited") && announced.not_after.is_some());
        assert_eq!(names_of(&read_dropped(ENVIRONMENT.as_bytes()).unwrap()), ["example.org"]);
        assert_eq!(names_of(&read_dropped(JSON.as_bytes()).unwrap()).len(), 2);
    }

    #[test]
    fn errors_of_certspotter_are_told() {
        let error = read_dropped(b"EVENT=error\nSUMMARY=log is down\n").unwrap();
        assert_eq!(error, Dropped::Error { summary: "log is down".to_owned() });
        assert!(matches!(read_dropped(b"EVENT=malformed_cert\n"), Ok(Dropped::Malformed { .. })));
    }

    #[test]
    fn other_files_are_not_read() {
        for bytes in [
            &b""[..],
            b"hello",
            b"{",
            b"{}",
            b"EVENT=new\n",
            b"\xff",
            b"EVENT=discovered_cert\nTBS_SHA256=00\n",
        ] {
            assert!(read_dropped(bytes).is_err(), "{bytes:?}");
        }
    }
}
