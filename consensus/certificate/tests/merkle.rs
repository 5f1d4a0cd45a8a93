//! The Merkle tree against its definition in RFC 9162 §2.1, and against the proofs of others.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certificate::{Digest, merkle};
use serde_json::Value;

fn leaves(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|i| format!("leaf {i}").into_bytes()).collect()
}

/// MTH of RFC 9162 §2.1.1, as it is written there.
fn definition(leaves: &[Vec<u8>]) -> Digest {
    match leaves {
        [] => Digest::of(b""),
        [leaf] => Digest::of_parts(&[&[0], leaf]),
        _ => {
            let k = largest_power_below(leaves.len());
            Digest::of_parts(&[&[1], &definition(&leaves[..k]).0, &definition(&leaves[k..]).0])
        }
    }
}

/// PATH of RFC 9162 §2.1.3.1, as it is written there.
fn path(index: usize, leaves: &[Vec<u8>]) -> Vec<Digest> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = largest_power_below(leaves.len());
    let (mut proof, sibling) = if index < k {
        (path(index, &leaves[..k]), definition(&leaves[k..]))
    } else {
        (path(index - k, &leaves[k..]), definition(&leaves[..k]))
    };
    proof.push(sibling);
    proof
}

fn largest_power_below(count: usize) -> usize {
    count.next_power_of_two() / 2
}

#[test]
fn root_and_proofs_are_those_of_the_definition() {
    for count in 0..70 {
        let leaves = leaves(count);
        let tree = merkle::Tree::new(&leaves);
        assert_eq!(tree.root(), definition(&leaves), "{count} leaves");
        assert_eq!(merkle::root(&leaves), tree.root());
        for index in 0..count {
            assert_eq!(tree.proof(index), path(index, &leaves), "leaf {index} of {count}");
            assert_eq!(merkle::proof(&leaves, index), tree.proof(index));
        }
    }
}

#[test]
fn proof_holds_for_its_leaf_its_index_and_its_size_only() {
    for count in 1..20usize {
        let leaves = leaves(count);
        let tree = merkle::Tree::new(&leaves);
        for (index, own) in leaves.iter().enumerate() {
            let proof = tree.proof(index);
            let verify = |index: usize, count: usize, leaf: &[u8], proof: &[Digest]| {
                merkle::verify(tree.root(), index as u64, count as u64, leaf, proof)
            };
            for other in 0..count + 3 {
                assert_eq!(
                    verify(other, count, own, &proof),
                    other == index,
                    "{other} for {index} of {count}"
                );
            }
            assert!(!verify(index, count, b"another leaf", &proof));
            assert!(!merkle::verify(Digest::ZERO, index as u64, count as u64, own, &proof));
            for position in 0..proof.len() {
                let mut changed = proof.clone();
                changed[position].0[7] ^= 1;
                assert!(!verify(index, count, own, &changed));
                let mut shorter = proof.clone();
                shorter.remove(position);
                assert!(!verify(index, count, own, &shorter));
            }
            let longer = [proof.as_slice(), &[tree.root()]].concat();
            assert!(!verify(index, count, own, &longer));
        }
    }
}

#[test]
fn nothing_is_in_an_empty_tree() {
    assert!(!merkle::verify(Digest::of(b""), 0, 0, b"", &[]));
}

#[test]
fn greatest_sizes_are_judged_without_overflow() {
    let proof = [Digest::ZERO; 64];
    assert!(!merkle::verify(Digest::ZERO, u64::MAX - 1, u64::MAX, b"leaf", &proof));
    assert!(!merkle::verify(Digest::ZERO, u64::MAX, u64::MAX, b"leaf", &proof));
}

#[test]
fn proofs_of_transparency_logs_are_judged_as_expected() {
    let Some(folder) = shared_data("ct/merkle/inclusion") else { return };
    let mut judged = [0, 0];
    for (path, vector) in vectors(&folder) {
        let (Some(root), Some(leaf), Some(proof)) =
            (digest(&vector["root"]), digest(&vector["leafHash"]), digests(&vector["proof"]))
        else {
            assert_eq!(vector["wantErr"], true, "{}: a digest of another length", path.display());
            continue;
        };
        let (index, count) = (vector["leafIdx"].as_u64().unwrap(), vector["treeSize"].as_u64().unwrap());
        let valid = merkle::verify_digest(root, index, count, leaf, &proof);
        assert_eq!(Value::from(!valid), vector["wantErr"], "{}", path.display());
        judged[usize::from(valid)] += 1;
    }
    assert!(judged[0] > 10 && judged[1] > 0, "vectors of both kinds, found {judged:?}");
}

fn digest(value: &Value) -> Option<Digest> {
    let bytes = STANDARD.decode(value.as_str()?).unwrap();
    bytes.try_into().ok().map(Digest)
}

fn digests(value: &Value) -> Option<Vec<Digest>> {
    match value {
        Value::Null => Some(Vec::new()),
        _ => value.as_array().unwrap().iter().map(digest).collect(),
    }
}

/// The folder of shared test data, or `None` with a word about it where it is absent; in CI it must be there.
#[allow(clippy::disallowed_methods, reason = "where test data lies is said by the environment")]
fn shared_data(part: &str) -> Option<PathBuf> {
    let root = std::env::var("QUORATE_TEST_DATA")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").to_owned());
    let folder = PathBuf::from(root).join(part);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", folder.display());
    // What a test that passes prints with `println` is caught by the harness.
    let _ = writeln!(std::io::stderr(), "skipped: {} is missing", folder.display());
    None
}

#[allow(clippy::disallowed_methods, reason = "a test reads its vectors")]
fn vectors(folder: &PathBuf) -> Vec<(PathBuf, Value)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(vectors(&path));
        } else {
            let vector = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            found.push((path, vector));
        }
    }
    found
}
