//! The vectors beside `EVIDENCE.md`: made here from fixed seeds, and held to what is committed.
//!
//! A change of the format turns `committed_vectors_are_what_this_crate_makes` red. To write new ones: `QUORATE_BLESS=1`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use certificate::{Cluster, MessageType, OperationKind, ReplicaId};
use pbft::Operation;

use super::cases::{CULPRIT, Case};
use super::verdicts::version_1;
use crate::evidence::EvidenceFile;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// The text of each vector, by file name.
fn vectors(case: &Case) -> BTreeMap<&'static str, String> {
    let text = |fault| case.file(&fault).to_text();
    let equivocation = case.file(&case.equivocation(MessageType::Prepare));
    let accusing = |replica| EvidenceFile { replica: ReplicaId(replica), ..equivocation.clone() }.to_text();
    let operation = Operation { kind: OperationKind::Resolve, subject: vec![1] };
    let broken = equivocation.to_text().replacen("prepare: 0000", "prepare: 0001", 1);
    BTreeMap::from([
        ("equivocation-pre-prepare.txt", text(case.equivocation(MessageType::PrePrepare))),
        ("equivocation-prepare.txt", equivocation.to_text()),
        ("equivocation-prepare-version-1.txt", version_1(&equivocation)),
        ("equivocation-commit.txt", text(case.equivocation(MessageType::Commit))),
        ("checkpoint-equivocation.txt", text(case.checkpoints())),
        ("view-change-equivocation.txt", text(case.view_changes())),
        ("new-view-equivocation.txt", text(case.new_views())),
        ("malformed-observation-null.txt", text(case.null_observation())),
        ("malformed-observation-content.txt", text(case.observations(operation, b"no observation"))),
        ("invalid-view-change-vote.txt", text(case.invalid_view_change())),
        ("invalid-view-change-decided.txt", text(case.undecided_view_change())),
        ("invalid-new-view-count.txt", text(case.short_new_view())),
        ("invalid-new-view-proposals.txt", text(case.forgetful_new_view())),
        ("invalid-new-view-view-change.txt", text(case.gullible_new_view())),
        ("invalid-new-view-view.txt", text(case.misplaced_new_view())),
        ("misplaced-vote-prepare.txt", text(case.misplaced_prepare())),
        ("misplaced-vote-pre-prepare.txt", text(case.misplaced_proposal())),
        ("misplaced-checkpoint.txt", text(case.misplaced_checkpoint())),
        ("refused-proposal.txt", text(case.refused_proposal())),
        ("refused-other-replica.txt", accusing(CULPRIT + 1)),
        ("refused-changed.txt", broken),
        ("refused-cut.txt", equivocation.to_text().trim_end().to_owned()),
    ])
}

/// What `verify` says of a text, in a line.
fn verdict(text: &str, cluster: &Cluster) -> String {
    let file = match EvidenceFile::parse(text) {
        Ok(file) => file,
        Err(error) => return format!("no evidence file: {error}"),
    };
    match file.verify(cluster) {
        Ok(proven) => format!("proven: {proven}"),
        Err(error) => format!("not proven: {error}"),
    }
}

#[test]
fn committed_vectors_are_what_this_crate_makes() {
    let case = Case::new();
    let vectors = vectors(&case);
    let verdicts: String =
        vectors.iter().map(|(name, text)| format!("{name}: {}\n", verdict(text, &case.cluster))).collect();
    let toml = case.cluster.to_toml();
    let files = vectors.iter().map(|(name, text)| (*name, text.as_str()));
    let beside = [("cluster.toml", toml.as_str()), ("VERDICTS", verdicts.as_str())];
    for (name, made) in files.chain(beside) {
        let path = folder().join(name);
        if std::env::var_os("QUORATE_BLESS").is_some() {
            fs::create_dir_all(folder()).unwrap();
            fs::write(&path, made).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(committed == made, "{name} is not what this crate makes");
    }
    assert_eq!(fs::read_dir(folder()).unwrap().count(), vectors.len() + 2, "nothing else is there");
}
