//! The two interfaces of logs, as far as a monitor needs them. RFC 6962 §4; C2SP static-ct-api.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use transparency::digest::Sha256;
use transparency::merkle::hash_leaf;
use transparency::tile::{
    FULL_TILE_BYTES, TILE_WIDTH, TileError, TileId, data_tile_path, inclusion_path, parse_data_tile,
    parse_leaf_input, tiles_for,
};
use transparency::tree_head::TreeHead;

use super::frontier::Frontier;
use super::source::{ANSWER_MAX, ENTRIES_BYTES_MAX, Read, Sink, Source, SourceError};
use crate::fetch::{FetchError, Fetcher, Limits, Permit};

/// A log with the interface of RFC 6962.
pub(super) struct Rfc6962<'a> {
    pub url: &'a str,
    pub fetcher: &'a Fetcher,
    /// How many entries are asked for at a time.
    pub batch: u64,
}

#[derive(Deserialize)]
struct EntriesJson {
    entries: Vec<EntryJson>,
}

#[derive(Deserialize)]
struct EntryJson {
    leaf_input: String,
}

#[derive(Deserialize)]
struct ProofJson {
    leaf_index: u64,
    audit_path: Vec<String>,
}

impl Rfc6962<'_> {
    async fn ask(&self, path: &str, bytes_max: usize) -> Result<Bytes, FetchError> {
        let url = format!("{}/ct/v1/{path}", self.url.trim_end_matches('/'));
        self.fetcher.get(&url, Permit::Named, Limits { bytes_max, total: ANSWER_MAX }).await
    }

    /// The leaves of the entries from `from` to `to`, that one included, and how many bytes they took.
    async fn leaves(&self, from: u64, to: u64) -> Result<(Vec<Vec<u8>>, u64), SourceError> {
        let body = self.ask(&format!("get-entries?start={from}&end={to}"), ENTRIES_BYTES_MAX).await?;
        let json: EntriesJson =
            serde_json::from_slice(&body).map_err(|_| SourceError::Malformed("get-entries"))?;
        let leaves = json.entries.iter().take((to - from + 1) as usize);
        let leaves: Option<Vec<Vec<u8>>> =
            leaves.map(|entry| STANDARD.decode(&entry.leaf_input).ok()).collect();
        match leaves {
            Some(leaves) if !leaves.is_empty() => Ok((leaves, body.len() as u64)),
            _ => Err(SourceError::Malformed("get-entries")),
        }
    }
}

#[async_trait]
impl Source for Rfc6962<'_> {
    async fn read(
        &self,
        from: u64,
        to: u64,
        _head: &TreeHead,
        sink: &mut Sink<'_>,
    ) -> Result<Read, SourceError> {
        let last = to.min(from + self.batch) - 1;
        let (leaves, bytes) = self.leaves(from, last).await?;
        for leaf in &leaves {
            sink(hash_leaf(leaf), parse_leaf_input(leaf).map(|(_, entry, _)| entry));
        }
        Ok(Read { entries: leaves.len() as u64, bytes })
    }

    async fn anchor(&self, size: u64, head: &TreeHead) -> Result<Frontier, SourceError> {
        let Some(index) = size.checked_sub(1) else { return Ok(Frontier::default()) };
        let (leaves, _) = self.leaves(index, index).await?;
        let leaf = hash_leaf(leaves.first().ok_or(SourceError::Malformed("get-entries"))?);
        let hash = form_encoded(&leaf.base64());
        let path = format!("get-proof-by-hash?hash={hash}&tree_size={}", head.size);
        let body = self.ask(&path, PROOF_BYTES_MAX).await?;
        let malformed = || SourceError::Malformed("get-proof-by-hash");
        let json: ProofJson = serde_json::from_slice(&body).map_err(|_| malformed())?;
        let path = json.audit_path.iter().map(|node| Sha256::from_base64(node)).collect::<Option<Vec<_>>>();
        let path = path.ok_or_else(malformed)?;
        if json.leaf_index != index {
            return Err(malformed());
        }
        Ok(Frontier::from_path(leaf, index, head, &path)?)
    }
}

/// A log with the interface of static-ct-api.
pub(super) struct StaticCt<'a> {
    pub url: &'a str,
    pub fetcher: &'a Fetcher,
}

impl StaticCt<'_> {
    async fn ask(&self, path: &str, bytes_max: usize) -> Result<Bytes, FetchError> {
        let url = format!("{}/{path}", self.url.trim_end_matches('/'));
        self.fetcher.get(&url, Permit::Named, Limits { bytes_max, total: ANSWER_MAX }).await
    }

    /// A tile that was partial when the head was signed may have been filled up and taken away since.
    async fn partial_or_full(
        &self,
        partial: &str,
        full: &str,
        bytes_max: usize,
    ) -> Result<Bytes, FetchError> {
        match self.ask(partial, bytes_max).await {
            Err(FetchError::Status(_)) if partial != full => self.ask(full, bytes_max).await,
            answer => answer,
        }
    }
}

#[async_trait]
impl Source for StaticCt<'_> {
    async fn read(
        &self,
        from: u64,
        to: u64,
        head: &TreeHead,
        sink: &mut Sink<'_>,
    ) -> Result<Read, SourceError> {
        let number = from / u64::from(TILE_WIDTH);
        let first = number * u64::from(TILE_WIDTH);
        let width = (head.size - first).min(u64::from(TILE_WIDTH)) as u16;
        let (partial, full) = (data_tile_path(number, width), data_tile_path(number, TILE_WIDTH));
        let body = self.partial_or_full(&partial, &full, ENTRIES_BYTES_MAX).await?;
        let entries = parse_data_tile(&body).map_err(|_| SourceError::Malformed("data tile"))?;
        let wanted = entries.iter().skip((from - first) as usize).take((to - from) as usize);
        let mut count = 0;
        for entry in wanted {
            let hash = entry.leaf_hash().ok_or(SourceError::Malformed("data tile"))?;
            sink(hash, Some(entry.entry));
            count += 1;
        }
        if count == 0 {
            return Err(SourceError::Malformed("data tile"));
        }
        Ok(Read { entries: count, bytes: body.len() as u64 })
    }

    async fn anchor(&self, size: u64, head: &TreeHead) -> Result<Frontier, SourceError> {
        let Some(index) = size.checked_sub(1) else { return Ok(Frontier::default()) };
        let mut tiles: BTreeMap<TileId, Bytes> = BTreeMap::new();
        for tile in tiles_for(index, head.size) {
            let bytes = self.partial_or_full(&tile.path(), &tile.full().path(), FULL_TILE_BYTES).await?;
            tiles.insert(tile, bytes);
        }
        let take = |id: TileId| tiles.get(&id).map(|bytes| &bytes[..]);
        let path = inclusion_path(index, head.size, &take).map_err(|error| match error {
            TileError::Tile(_) => SourceError::Malformed("tile"),
            TileError::Proof(error) => error.into(),
        })?;
        let leaves = TileId { level: 0, index: index / u64::from(TILE_WIDTH), width: 0 };
        let tile = tiles.iter().find(|(id, _)| (id.level, id.index) == (leaves.level, leaves.index));
        let place = (index % u64::from(TILE_WIDTH)) as usize;
        let leaf = tile.and_then(|(_, bytes)| bytes.chunks_exact(32).nth(place)).and_then(Sha256::from_slice);
        let leaf = leaf.ok_or(SourceError::Malformed("tile"))?;
        Ok(Frontier::from_path(leaf, index, head, &path)?)
    }
}

/// Base64 in the query of a URL.
fn form_encoded(base64: &str) -> String {
    base64.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

/// How long a proof may be, in bytes of JSON: 64 nodes of 44 characters, and what stands around them.
const PROOF_BYTES_MAX: usize = 16 << 10;
