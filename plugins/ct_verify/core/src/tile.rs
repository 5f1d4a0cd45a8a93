//! Tiles of static-ct logs: which hold what, their paths, and proofs out of them. C2SP static-ct-api, tlog-tiles.
//!
//! Fetches nothing: a function hands tiles in. No tile is trusted: what comes out is verified against a checkpoint.

use thiserror::Error;

use crate::digest::Sha256;
use crate::inclusion::{Inclusion, audit_absence};
use crate::merkle::{self, ProofError, hash_children, hash_leaf};
use crate::moment::Moment;
use crate::precertificate::{LogEntry, PRECERT_ENTRY, X509_ENTRY};
use crate::tree_head::TreeHead;
use crate::wire::Wire;

/// One tile of hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// How many times 8 levels above the leaves its hashes are.
    pub level: u8,
    /// Which tile of that level.
    pub index: u64,
    /// How many hashes it has, 1 to 256; fewer than 256 only for the last tile of a level.
    pub width: u16,
}

/// Why tiles do not give what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TileError {
    /// A tile is not there, or has not the bytes that its width asks for.
    #[error("tile {} is missing, or not of its size", .0.path())]
    Tile(TileId),
    /// The tiles lead to another root than the checkpoint's.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl TileId {
    /// The tile's path below the monitoring prefix, like `tile/0/x001/234.p/5`.
    pub fn path(&self) -> String {
        numbered_path(&format!("tile/{}/", self.level), self.index, self.width)
    }

    /// The full tile in which a tile that was partial has been completed.
    pub fn full(&self) -> Self {
        TileId { width: TILE_WIDTH, ..*self }
    }
}

/// The path of a data tile, like `tile/data/x001/234`.
pub fn data_tile_path(index: u64, width: u16) -> String {
    numbered_path("tile/data/", index, width)
}

fn numbered_path(prefix: &str, index: u64, width: u16) -> String {
    let mut groups = vec![format!("{:03}", index % 1000)];
    let mut rest = index / 1000;
    while rest > 0 {
        groups.push(format!("x{:03}", rest % 1000));
        rest /= 1000;
    }
    groups.reverse();
    let partial = if width < TILE_WIDTH { format!(".p/{width}") } else { String::new() };
    format!("{prefix}{}{partial}", groups.join("/"))
}

/// The tile of a tree of `size` leaves that holds node `index` at `level` levels of the tree; `None` if that tree has no such node.
fn tile_of(level: u32, index: u64, size: u64) -> Option<(TileId, usize)> {
    // A node at a level between two levels of tiles is computed from the nodes below it, in one tile.
    let (tile_level, inside) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
    let first = index.checked_shl(inside).filter(|first| first >> inside == index)?;
    let number = first / u64::from(TILE_WIDTH);
    let nodes = size.checked_shr(tile_level * TILE_HEIGHT).unwrap_or(0);
    let width = nodes.saturating_sub(number * u64::from(TILE_WIDTH)).min(u64::from(TILE_WIDTH)) as u16;
    let offset = (first % u64::from(TILE_WIDTH)) as usize;
    let held = offset + (1 << inside) <= usize::from(width);
    held.then_some((TileId { level: tile_level as u8, index: number, width }, offset))
}

/// The tiles that the proof of a leaf takes, each once; empty if the leaf is not in a tree of that size.
pub fn tiles_for(index: u64, size: u64) -> Vec<TileId> {
    let mut tiles: Vec<TileId> = Vec::new();
    if index < size {
        tiles.extend(tile_of(0, index, size).map(|(tile, _)| tile));
        for (level, node) in path_nodes(index, size).into_iter().flatten() {
            tiles.extend(tile_of(level, node, size).map(|(tile, _)| tile));
        }
        tiles.sort_unstable();
        tiles.dedup();
    }
    tiles
}

/// What proves a leaf: for each step up, the complete subtrees (level, index) that make up the sibling, from left to right.
fn path_nodes(index: u64, size: u64) -> Vec<Vec<(u32, u64)>> {
    let (mut start, mut end) = (0, size);
    let mut steps = Vec::new();
    while end - start > 1 {
        let middle = start + (1 << (end - start - 1).ilog2());
        if index < middle {
            steps.push(complete_subtrees(middle, end));
            end = middle;
        } else {
            steps.push(complete_subtrees(start, middle));
            start = middle;
        }
    }
    steps.reverse();
    steps
}

/// The complete subtrees that a span is made of, from left to right; `start` is where a subtree of the tree begins.
fn complete_subtrees(mut start: u64, end: u64) -> Vec<(u32, u64)> {
    let mut nodes = Vec::new();
    while start < end {
        let level = (end - start).ilog2();
        nodes.push((level, start >> level));
        start += 1 << level;
    }
    nodes
}

/// Makes the inclusion path of a leaf out of tiles; verify it before use.
///
/// `tile` hands in the bytes of a tile, 32 for each hash; a full tile may stand in for a partial one.
///
/// # Errors
/// [`TileError::Tile`] when one is missing.
pub fn inclusion_path<'t>(
    index: u64,
    size: u64,
    tile: &dyn Fn(TileId) -> Option<&'t [u8]>,
) -> Result<Vec<Sha256>, TileError> {
    if size <= index {
        return Err(ProofError::Range.into());
    }
    path_nodes(index, size)
        .into_iter()
        .map(|nodes| {
            let hashes = nodes.into_iter().map(|(level, node)| node_hash(level, node, size, tile));
            let hashes = hashes.collect::<Result<Vec<Sha256>, TileError>>()?;
            let folded = hashes.into_iter().rev().reduce(|right, left| hash_children(&left, &right));
            Ok(folded.expect("a sibling spans at least one leaf"))
        })
        .collect()
}

/// The hash of a leaf as its tile says.
fn node_hash<'t>(
    level: u32,
    index: u64,
    size: u64,
    tile: &dyn Fn(TileId) -> Option<&'t [u8]>,
) -> Result<Sha256, TileError> {
    let (id, offset) = tile_of(level, index, size).ok_or(ProofError::Range)?;
    let bytes =
        tile(id).filter(|bytes| bytes.len() == usize::from(id.width) * 32 || bytes.len() == FULL_TILE_BYTES);
    let bytes = bytes.ok_or(TileError::Tile(id))?;
    let count = 1usize << (level % TILE_HEIGHT);
    let hashes = bytes.chunks_exact(32).skip(offset).take(count).filter_map(Sha256::from_slice);
    Ok(merkle::root(&hashes.collect::<Vec<_>>()))
}

/// What a promise of a static-ct log is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// The hash of the promised leaf.
    pub leaf: Sha256,
    /// The position that the timestamp names.
    pub index: u64,
    /// When it was promised.
    pub promised: Moment,
    /// The log's maximum merge delay, in seconds.
    pub mmd_seconds: u64,
}

/// Audits a promise against tiles and a verified checkpoint.
///
/// Another leaf at the promised position, itself shown to be in the tree, is a broken promise whatever the time; a tree that does
/// not reach the position is one only when a merge delay has passed.
///
/// # Errors
/// [`TileError`] when the tiles are missing or do not lead to the root: nothing is known then.
pub fn audit<'t>(
    promise: &Promise,
    head: &TreeHead,
    tile: &dyn Fn(TileId) -> Option<&'t [u8]>,
) -> Result<Inclusion, TileError> {
    if head.size <= promise.index {
        return Ok(audit_absence(promise.promised, promise.mmd_seconds, head));
    }
    let found = node_hash(0, promise.index, head.size, tile)?;
    let path = inclusion_path(promise.index, head.size, tile)?;
    merkle::verify_inclusion(&found, promise.index, head.size, &path, &head.root)?;
    Ok(if found == promise.leaf { Inclusion::Proved } else { Inclusion::BrokenPromise })
}

/// One entry of a data tile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataEntry<'a> {
    /// When the log took it in.
    pub timestamp: Moment,
    /// What it is.
    pub entry: LogEntry<'a>,
    /// `CtExtensions` of its timestamp.
    pub extensions: &'a [u8],
    /// The pre-certificate as it was handed in; `None` for a certificate.
    pub precertificate: Option<&'a [u8]>,
    /// SHA-256 of each certificate of its chain.
    pub chain: Vec<Sha256>,
}

impl DataEntry<'_> {
    /// The hash that the level-0 tile has for this entry.
    pub fn leaf_hash(&self) -> Option<Sha256> {
        crate::log_key::merkle_tree_leaf(self.timestamp, &self.entry, self.extensions)
            .map(|leaf| hash_leaf(&leaf))
    }
}

/// A data tile is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("entry {0} of the data tile is malformed")]
pub struct DataTileError(pub usize);

/// Reads the entries of a data tile, unpacked.
///
/// # Errors
/// [`DataTileError`] at the first entry that is malformed, or beyond a tile's width.
pub fn parse_data_tile(bytes: &[u8]) -> Result<Vec<DataEntry<'_>>, DataTileError> {
    let mut wire = Wire::new(bytes);
    let mut entries = Vec::new();
    while !wire.is_empty() {
        let number = entries.len();
        if number == usize::from(TILE_WIDTH) {
            return Err(DataTileError(number));
        }
        entries.push(parse_data_entry(&mut wire).ok_or(DataTileError(number))?);
    }
    Ok(entries)
}

fn parse_data_entry<'a>(wire: &mut Wire<'a>) -> Option<DataEntry<'a>> {
    let (timestamp, entry, extensions) = parse_timestamped_entry(wire)?;
    let precertificate = match entry {
        LogEntry::X509(_) => None,
        LogEntry::Precertificate { .. } => Some(wire.vector(3)?),
    };
    let fingerprints = wire.vector(2)?;
    let (chain, rest) = fingerprints.as_chunks::<32>();
    let whole = rest.is_empty() && chain.len() <= ENTRY_CHAIN_MAX;
    let chain = chain.iter().map(|print| Sha256(*print)).collect();
    whole.then_some(DataEntry { timestamp, entry, extensions, precertificate, chain })
}

/// Reads `leaf_input` of get-entries: a MerkleTreeLeaf and nothing after it. RFC 6962 §4.6.
pub fn parse_leaf_input(bytes: &[u8]) -> Option<(Moment, LogEntry<'_>, &[u8])> {
    let mut wire = Wire::new(bytes);
    if wire.array::<2>()? != [0, 0] {
        return None;
    }
    parse_timestamped_entry(&mut wire).filter(|_| wire.is_empty())
}

fn parse_timestamped_entry<'a>(wire: &mut Wire<'a>) -> Option<(Moment, LogEntry<'a>, &'a [u8])> {
    let timestamp = Moment::from_milliseconds(wire.number(8)?);
    let entry = match u16::from_be_bytes(wire.array()?) {
        X509_ENTRY => LogEntry::X509(wire.vector(3)?),
        PRECERT_ENTRY => {
            let issuer_key_hash = Sha256(wire.array()?);
            LogEntry::Precertificate { issuer_key_hash, tbs: wire.vector(3)? }
        }
        _ => return None,
    };
    Some((timestamp, entry, wire.vector(2)?))
}

/// How many hashes a full tile has.
pub const TILE_WIDTH: u16 = 256;
const TILE_HEIGHT: u32 = 8;
/// How many bytes a full tile has.
pub const FULL_TILE_BYTES: usize = TILE_WIDTH as usize * 32;
/// How many certificates the chain of an entry may have.
const ENTRY_CHAIN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn tiles(leaves: &[Sha256]) -> BTreeMap<TileId, Vec<u8>> {
        let mut tiles = BTreeMap::new();
        let mut level = leaves.to_vec();
        for number in 0.. {
            for (index, hashes) in level.chunks(256).enumerate() {
                let id = TileId { level: number, index: index as u64, width: hashes.len() as u16 };
                tiles.insert(id, hashes.iter().flat_map(|hash| hash.0).collect());
            }
            if level.len() < 256 {
                return tiles;
            }
            level = level.chunks_exact(256).map(merkle::root).collect();
        }
        unreachable!("each level is shorter than the one before")
    }

    #[test]
    fn paths_are_as_the_specification_writes_them() {
        assert_eq!(TileId { level: 0, index: 1_234_067, width: 256 }.path(), "tile/0/x001/x234/067");
        assert_eq!(TileId { level: 1, index: 0, width: 5 }.path(), "tile/1/000.p/5");
        assert_eq!(data_tile_path(273, 112), "tile/data/273.p/112");
    }

    #[test]
    fn proofs_out_of_tiles_are_those_of_the_tree() {
        let leaves: Vec<Sha256> = (0u32..1000).map(|number| hash_leaf(&number.to_be_bytes())).collect();
        for size in [1, 2, 255, 256, 257, 511, 512, 513, 700, 1000] {
            let tiles = tiles(&leaves[..size]);
            for index in [0, 1, size / 2, size - 1].into_iter().filter(|index| *index < size) {
                let take = |id| tiles.get(&id).map(Vec::as_slice);
                let path = inclusion_path(index as u64, size as u64, &take).unwrap();
                assert_eq!(Some(path), merkle::inclusion_path(&leaves[..size], index), "{index} of {size}");
                for tile in tiles_for(index as u64, size as u64) {
                    assert!(tiles.contains_key(&tile), "{tile:?} of {size}");
                }
            }
        }
    }

    #[test]
    fn an_index_beyond_the_tree_needs_no_tiles() {
        assert!(tiles_for(5, 5).is_empty());
        assert_eq!(inclusion_path(5, 5, &|_| None), Err(TileError::Proof(ProofError::Range)));
        assert!(!tiles_for(u64::MAX - 1, u64::MAX).is_empty());
    }
}
