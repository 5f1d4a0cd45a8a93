//! What logs are asked for, by either interface: heads, proofs, tiles, entries. RFC 6962 §4, C2SP static-ct-api.
//!
//! Whatever comes back is bytes until it has been verified against a head that the log signed.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use transparency::Moment;
use transparency::checkpoint::CHECKPOINT_BYTES_MAX;
use transparency::digest::Sha256;
use transparency::log_list::{CtLog, Interface};
use transparency::tile::{FULL_TILE_BYTES, TILE_WIDTH, TileId, data_tile_path, tiles_for};
use transparency::tree_head::{TREE_HEAD_BYTES_MAX, TreeHead};

use super::head::{HeadError, SignedHead};
use crate::fetch::{FetchError, Fetcher, Limits, Permit};

/// Why a log's answer says nothing.
#[derive(Debug, Error)]
pub enum AskError {
    /// There was none.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It is not what was asked for.
    #[error("expected the answer of {0}")]
    Answer(&'static str),
    /// It is no head that this log signed.
    #[error(transparent)]
    Head(#[from] HeadError),
}

/// Leaves as a log gave them.
#[derive(Debug)]
pub struct Leaves {
    /// Each as it is hashed, in their order.
    pub leaves: Vec<Vec<u8>>,
    /// How many bytes the answer had.
    pub bytes: u64,
}

/// One log, and how to ask it.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub fetcher: &'a Fetcher,
    pub log: &'a CtLog,
}

#[derive(Deserialize)]
struct ConsistencyJson {
    consistency: Vec<String>,
}

#[derive(Deserialize)]
struct ProofJson {
    leaf_index: u64,
    audit_path: Vec<String>,
}

#[derive(Deserialize)]
struct EntriesJson {
    entries: Vec<EntryJson>,
}

#[derive(Deserialize)]
struct EntryJson {
    leaf_input: String,
}

impl Asked<'_> {
    /// The log's newest head, verified.
    pub async fn head(&self, now: Moment) -> Result<SignedHead, AskError> {
        let (path, bytes_max) = match &self.log.interface {
            Interface::Rfc6962 { .. } => ("ct/v1/get-sth", TREE_HEAD_BYTES_MAX),
            Interface::StaticCt { .. } => ("checkpoint", CHECKPOINT_BYTES_MAX),
        };
        let bytes = self.get(path, &[], bytes_max).await?;
        Ok(SignedHead::verify(self.log, &bytes, now)?)
    }

    /// The consistency proof between two sizes, by the interface of RFC 6962.
    pub async fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Sha256>, AskError> {
        let query = [("first", old.to_string()), ("second", new.to_string())];
        let bytes = self.get("ct/v1/get-sth-consistency", &query, PROOF_BYTES_MAX).await?;
        let json: ConsistencyJson = read(&bytes, "get-sth-consistency")?;
        hashes(&json.consistency).ok_or(AskError::Answer("get-sth-consistency"))
    }

    /// Where a leaf is and what shows it, by the interface of RFC 6962; `None` when the log says that it has none.
    pub async fn inclusion_proof(
        &self,
        leaf: &Sha256,
        size: u64,
    ) -> Result<Option<(u64, Vec<Sha256>)>, AskError> {
        let query = [("hash", leaf.base64()), ("tree_size", size.to_string())];
        let bytes = match self.get("ct/v1/get-proof-by-hash", &query, PROOF_BYTES_MAX).await {
            Err(AskError::Fetch(FetchError::Status(400 | 404))) => return Ok(None),
            bytes => bytes?,
        };
        let json: ProofJson = read(&bytes, "get-proof-by-hash")?;
        let path = hashes(&json.audit_path).ok_or(AskError::Answer("get-proof-by-hash"))?;
        Ok(Some((json.leaf_index, path)))
    }

    /// The leaves from `start` to `last`, that one included, by the interface of RFC 6962: as many of them as the log wants to give at once, at least one.
    pub async fn leaves(&self, start: u64, last: u64) -> Result<Leaves, AskError> {
        let query = [("start", start.to_string()), ("end", last.to_string())];
        let bytes = self.get("ct/v1/get-entries", &query, ENTRIES_BYTES_MAX).await?;
        let most = usize::try_from(last.saturating_sub(start).saturating_add(1)).unwrap_or(usize::MAX);
        Ok(Leaves { leaves: read_leaves(&bytes, most)?, bytes: bytes.len() as u64 })
    }

    /// A tile of entries of a static-ct log.
    pub async fn data_tile(&self, number: u64, width: u16) -> Result<Bytes, AskError> {
        let (partial, full) = (data_tile_path(number, width), data_tile_path(number, TILE_WIDTH));
        self.partial_or_full(&partial, &full, ENTRIES_BYTES_MAX).await
    }

    /// The tiles that prove the leaf at this index, of a static-ct log.
    pub async fn tiles(&self, index: u64, head: &TreeHead) -> Result<BTreeMap<TileId, Bytes>, AskError> {
        let mut tiles = BTreeMap::new();
        for id in tiles_for(index, head.size) {
            let bytes = self.partial_or_full(&id.path(), &id.full().path(), FULL_TILE_BYTES).await?;
            tiles.insert(id, bytes);
        }
        Ok(tiles)
    }

    /// A tile; a log may have thrown away a partial one once the full one was there.
    async fn partial_or_full(&self, partial: &str, full: &str, bytes_max: usize) -> Result<Bytes, AskError> {
        match self.get(partial, &[], bytes_max).await {
            Err(AskError::Fetch(FetchError::Status(_))) if partial != full => {
                self.get(full, &[], bytes_max).await
            }
            bytes => bytes,
        }
    }

    async fn get(&self, path: &str, query: &[(&str, String)], bytes_max: usize) -> Result<Bytes, AskError> {
        let (Interface::Rfc6962 { url } | Interface::StaticCt { monitoring_url: url, .. }) =
            &self.log.interface;
        let plain = format!("{}/{path}", url.strip_suffix('/').unwrap_or(url));
        let mut url = reqwest::Url::parse(&plain).map_err(|_| FetchError::Url(plain))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let limits = Limits { bytes_max, total: ANSWER_MAX };
        Ok(self.fetcher.get(url.as_str(), Permit::Named, limits).await?)
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8], name: &'static str) -> Result<T, AskError> {
    serde_json::from_slice(bytes).map_err(|_| AskError::Answer(name))
}

/// The leaves in an answer of get-entries; of more than `most` the first.
fn read_leaves(bytes: &[u8], most: usize) -> Result<Vec<Vec<u8>>, AskError> {
    let json: EntriesJson = read(bytes, "get-entries")?;
    let leaves = json.entries.iter().take(most).map(|entry| base64(&entry.leaf_input));
    let leaves = leaves.collect::<Option<Vec<_>>>().filter(|leaves| !leaves.is_empty());
    leaves.ok_or(AskError::Answer("get-entries"))
}

fn hashes(texts: &[String]) -> Option<Vec<Sha256>> {
    texts.iter().map(|text| Sha256::from_base64(text)).collect()
}

fn base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

/// How long one answer of a log is waited for.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// A proof has at most 64 hashes of 44 characters.
const PROOF_BYTES_MAX: usize = 16 << 10;
/// How long an answer of get-entries may be: entries have some kilobytes, with their chains.
const ENTRIES_BYTES_MAX: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_without_a_leaf_or_beyond_what_was_asked_are_not_given() {
        let two = br#"{"entries":[{"leaf_input":"AAE=","extra_data":""},{"leaf_input":"Ag=="}]}"#;
        assert_eq!(read_leaves(two, 2).unwrap(), [&[0, 1][..], &[2]]);
        assert_eq!(read_leaves(two, 1).unwrap(), [[0, 1]]);
        for none in [&br#"{"entries":[]}"#[..], br#"{"entries":[{"leaf_input":"A"}]}"#, b"{}", b"[]", b""] {
            assert!(read_leaves(none, 2).is_err(), "{}", String::from_utf8_lossy(none));
        }
    }
}
