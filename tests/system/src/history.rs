//! All certificates that clients got from a cluster, judged together by `history.py`, which shares no line with the program.

use std::io::Write;
use std::path::Path;

use serde::Deserialize;
use serde_json::json;
use tempfile::NamedTempFile;

use crate::clients::python;
use crate::program::stderr;

/// A certificate as a client got it.
#[derive(Clone, Debug)]
pub struct Witness {
    /// What was asked; `None` when the certificate is of another kind than an answer.
    pub name: Option<String>,
    /// It.
    pub certificate: Vec<u8>,
    /// When its name was asked for the first time, in milliseconds since 1970; `None` when that is not to be held against it.
    pub asked_ms: Option<u64>,
    /// When it came.
    pub received_ms: u64,
}

/// What all witnesses together say.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Summary {
    /// How many were judged.
    pub certificates: usize,
    /// How many slots they are of.
    pub slots: usize,
    /// The views in which these were committed.
    pub views: Vec<u64>,
    /// The highest slot.
    pub highest: u64,
}

/// Judges the witnesses by the cluster file.
///
/// Errors: what does not hold: a certificate that does not verify, two that disagree, a slot that was lost; see `history.py`.
///
/// Panics: when the script cannot be run.
pub fn judge(cluster_file: &Path, witnesses: &[Witness]) -> Result<Summary, String> {
    let mut file = NamedTempFile::new().expect("a temporary file");
    for witness in witnesses {
        let certificate: String = witness.certificate.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut line = json!({ "certificate": certificate, "received_ms": witness.received_ms });
        if let Some(name) = &witness.name {
            line["name"] = json!(name);
        }
        if let Some(asked_ms) = witness.asked_ms {
            line["asked_ms"] = json!(asked_ms);
        }
        writeln!(file, "{line}").expect("the file can be written");
    }
    file.flush().expect("the file can be written");
    let path = |path: &Path| path.to_str().expect("the path is UTF-8").to_owned();
    let output = python("history.py", &[&path(cluster_file), &path(file.path())]);
    if !output.status.success() {
        return Err(stderr(&output));
    }
    Ok(serde_json::from_slice(&output.stdout).expect("the script prints a summary"))
}
