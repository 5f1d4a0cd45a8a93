//! The proof vectors of transparency-dev.

use std::path::Path;

use serde_json::Value;
use transparency::digest::Sha256;
use transparency::merkle::{
    ProofError, verify_consistency, verify_inclusion, verify_subtree_consistency, verify_subtree_inclusion,
};

use crate::place::{base64, data, json};

/// All vectors below a folder; each must be judged as it says.
fn all(folder: &Path, judge: &dyn Fn(&Value) -> Option<Result<(), ProofError>>) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            count += all(&path, judge);
            continue;
        }
        let vector = json(path.clone());
        // A root that is not 32 bytes long cannot be said in our types.
        let result = judge(&vector).unwrap_or(Err(ProofError::Root));
        let refused = result.is_err();
        let typed = ["root", "root1", "root2"]
            .iter()
            .all(|name| vector[*name].is_null() || base64(&vector[*name]).len() == 32);
        assert!(refused == vector["wantErr"] || (!typed && refused), "{}: {result:?}", path.display());
        count += 1;
    }
    count
}

fn hash(value: &Value) -> Option<Sha256> {
    Sha256::from_slice(&base64(value))
}

fn path(vector: &Value) -> Option<Vec<Sha256>> {
    vector["proof"].as_array().map_or(Some(Vec::new()), |nodes| nodes.iter().map(hash).collect())
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no size"))
}

#[test]
fn inclusion_proofs_are_judged_as_transparency_dev_judges_them() {
    let Some(data) = data() else { return };
    let count = all(&data.join("merkle/inclusion"), &|vector| {
        let (index, size) = (number(&vector["leafIdx"]), number(&vector["treeSize"]));
        Some(verify_inclusion(
            &hash(&vector["leafHash"])?,
            index,
            size,
            &path(vector)?,
            &hash(&vector["root"])?,
        ))
    });
    println!("{count} inclusion proofs");
    assert!(count > 40);
}

#[test]
fn consistency_proofs_are_judged_as_transparency_dev_judges_them() {
    let Some(data) = data() else { return };
    let count = all(&data.join("merkle/consistency"), &|vector| {
        let (old, new) = (number(&vector["size1"]), number(&vector["size2"]));
        let (old_root, new_root) = (hash(&vector["root1"])?, hash(&vector["root2"])?);
        Some(verify_consistency((old, &old_root), (new, &new_root), &path(vector)?))
    });
    println!("{count} consistency proofs");
    assert!(count > 40);
}

#[test]
fn subtree_inclusion_proofs_are_judged_as_transparency_dev_judges_them() {
    let Some(data) = data() else { return };
    let count = all(&data.join("merkle/subtreeinclusion"), &|vector| {
        let span = match (&vector["start"], &vector["end"]) {
            (Value::Null, Value::Null) => (0, number(&vector["treeSize"])),
            (start, end) => (start.as_u64().unwrap_or(0), number(end)),
        };
        let leaf = hash(&vector["leafHash"])?;
        Some(verify_subtree_inclusion(
            &leaf,
            number(&vector["leafIdx"]),
            span,
            &path(vector)?,
            &hash(&vector["root"])?,
        ))
    });
    println!("{count} subtree inclusion proofs");
    assert!(count > 100);
}

#[test]
fn subtree_consistency_proofs_are_judged_as_transparency_dev_judges_them() {
    let Some(data) = data() else { return };
    let count = all(&data.join("merkle/subtreeconsistency"), &|vector| {
        let span = (vector["start"].as_u64().unwrap_or(0), number(&vector["end"]));
        let (part, whole) = (hash(&vector["root1"])?, hash(&vector["root2"])?);
        Some(verify_subtree_consistency(span, &part, number(&vector["size"]), &whole, &path(vector)?))
    });
    println!("{count} subtree consistency proofs");
    assert!(count > 40);
}
