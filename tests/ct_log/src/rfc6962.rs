//! The log's interface of RFC 6962 §4.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use transparency::digest::Sha256;
use transparency::merkle;

use crate::answer::{Answer, Asked};
use crate::lie::Lie;
use crate::log::Face;
use crate::store::Tree;

#[derive(Deserialize)]
struct ChainJson {
    chain: Vec<String>,
}

/// Answers one request.
pub(crate) fn answer(face: &Face, asked: &Asked, lies: &[Lie]) -> Answer {
    let Some(method) = asked.path.strip_prefix("/ct/v1/") else {
        return Answer::refusal(404, "no such path");
    };
    match (asked.post, method) {
        (true, "add-chain") => add(face, asked, false),
        (true, "add-pre-chain") => add(face, asked, true),
        (_, "add-chain" | "add-pre-chain") => Answer::refusal(405, "expected a POST"),
        (false, "get-sth") => tree_head(face, lies),
        (false, "get-sth-consistency") => consistency(&face.tree(), asked, lies),
        (false, "get-proof-by-hash") => proof_by_hash(&face.tree(), asked, lies),
        (false, "get-entries") => entries(face, asked, lies),
        (false, "get-entry-and-proof") => entry_and_proof(&face.tree(), asked, lies),
        (false, "get-roots") => Answer::json(&json!({ "certificates": texts(&face.roots()) })),
        _ => Answer::refusal(404, "no such path"),
    }
}

/// Handing in; both interfaces have it.
pub(crate) fn add(face: &Face, asked: &Asked, precertificate: bool) -> Answer {
    let chain = serde_json::from_slice::<ChainJson>(&asked.body).ok();
    let chain = chain.and_then(|json| json.chain.iter().map(|text| STANDARD.decode(text).ok()).collect());
    let chain: Vec<Vec<u8>> = match chain {
        Some(chain) => chain,
        None => return Answer::refusal(400, "expected a chain in JSON"),
    };
    match face.add(&chain, precertificate) {
        Ok(sct) => Answer::json(&sct_json(&sct)),
        Err(refused) => Answer::refusal(400, &refused.text()),
    }
}

/// A timestamp of ours, which is well formed, as JSON says it.
fn sct_json(sct: &[u8]) -> serde_json::Value {
    let read = transparency::sct::parse_sct(sct).expect("the log has made it");
    let signed_at = 1 + 32 + 8 + 2 + read.extensions.len();
    json!({
        "sct_version": 0, "id": read.log_id, "timestamp": read.timestamp.milliseconds(),
        "extensions": STANDARD.encode(read.extensions), "signature": STANDARD.encode(&sct[signed_at..]),
    })
}

fn tree_head(face: &Face, lies: &[Lie]) -> Answer {
    let (head, signature) = face.signed_head(lies);
    Answer::json(&json!({
        "tree_size": head.size, "timestamp": head.timestamp.milliseconds(),
        "sha256_root_hash": head.root.base64(), "tree_head_signature": STANDARD.encode(signature),
    }))
}

fn consistency(tree: &Tree, asked: &Asked, lies: &[Lie]) -> Answer {
    let (Some(first), Some(second)) = (asked.number("first"), asked.number("second")) else {
        return Answer::refusal(400, "expected `first` and `second`");
    };
    if first == 0 || second < first || tree.size() < second {
        return Answer::refusal(400, "no such sizes");
    }
    let proof = merkle::consistency_proof(&tree.leaves(second), first as usize);
    Answer::json(&json!({ "consistency": hashes(proof.unwrap_or_default(), lies) }))
}

fn proof_by_hash(tree: &Tree, asked: &Asked, lies: &[Lie]) -> Answer {
    let hash = asked.parameter("hash").and_then(|text| Sha256::from_base64(&text));
    let (Some(hash), Some(size)) = (hash, asked.number("tree_size")) else {
        return Answer::refusal(400, "expected `hash` and `tree_size`");
    };
    if size == 0 || tree.size() < size {
        return Answer::refusal(400, "no such size");
    }
    let found = tree.index_of(&hash).filter(|index| *index < size);
    let Some(index) = found else { return Answer::refusal(404, "no such leaf") };
    let path = merkle::inclusion_path(&tree.leaves(size), index as usize).unwrap_or_default();
    Answer::json(&json!({ "leaf_index": index, "audit_path": hashes(path, lies) }))
}

fn entries(face: &Face, asked: &Asked, lies: &[Lie]) -> Answer {
    let (Some(start), Some(end)) = (asked.number("start"), asked.number("end")) else {
        return Answer::refusal(400, "expected `start` and `end`");
    };
    let tree = face.tree();
    if end < start || tree.size() <= start {
        return Answer::refusal(400, "no such entries");
    }
    let end = end.min(tree.size() - 1).min(start + face.entries_per_answer() - 1);
    let wanted = &tree.entries()[start as usize..=end as usize];
    let entries = wanted.iter().map(|placed| {
        let entry = if lies.contains(&Lie::BadEntries) { placed.entry.decoy() } else { placed.entry.clone() };
        let (leaf, extra) = (STANDARD.encode(entry.leaf_input()), STANDARD.encode(entry.extra_data()));
        json!({ "leaf_input": leaf, "extra_data": extra })
    });
    Answer::json(&json!({ "entries": entries.collect::<Vec<_>>() }))
}

fn entry_and_proof(tree: &Tree, asked: &Asked, lies: &[Lie]) -> Answer {
    let (Some(index), Some(size)) = (asked.number("leaf_index"), asked.number("tree_size")) else {
        return Answer::refusal(400, "expected `leaf_index` and `tree_size`");
    };
    let path =
        if size <= tree.size() { merkle::inclusion_path(&tree.leaves(size), index as usize) } else { None };
    let Some(path) = path else { return Answer::refusal(400, "no such entry") };
    let entry = &tree.entries()[index as usize].entry;
    Answer::json(&json!({
        "leaf_input": STANDARD.encode(entry.leaf_input()), "extra_data": STANDARD.encode(entry.extra_data()),
        "audit_path": hashes(path, lies),
    }))
}

fn hashes(mut proof: Vec<Sha256>, lies: &[Lie]) -> Vec<String> {
    if lies.contains(&Lie::BadProof) {
        match proof.last_mut() {
            Some(last) => last.0[0] ^= 1,
            None => proof.push(Sha256([1; 32])),
        }
    }
    proof.iter().map(Sha256::base64).collect()
}

fn texts(certificates: &[Vec<u8>]) -> Vec<String> {
    certificates.iter().map(|der| STANDARD.encode(der)).collect()
}
