//! The two interfaces of logs, as far as a monitor needs them. RFC 6962 §4; C2SP static-ct-api.

use async_trait::async_trait;
use transparency::digest::Sha256;
use transparency::merkle::hash_leaf;
use transparency::tile::{TILE_WIDTH, TileError, TileId, inclusion_path, parse_data_tile, parse_leaf_input};
use transparency::tree_head::TreeHead;

use super::frontier::Frontier;
use super::source::{Read, Sink, Source, SourceError};
use crate::fetch::FetchError;
use crate::logs::asked::{Asked, Leaves};

/// A log with the interface of RFC 6962.
pub(super) struct Rfc6962<'a> {
    pub asked: Asked<'a>,
    /// How many entries are asked for at a time.
    pub batch: u64,
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
        let Leaves { leaves, bytes } = self.asked.leaves(from, last).await?;
        for leaf in &leaves {
            sink(hash_leaf(leaf), parse_leaf_input(leaf).map(|(_, entry, _)| entry));
        }
        Ok(Read { entries: leaves.len() as u64, bytes })
    }

    async fn anchor(&self, size: u64, head: &TreeHead) -> Result<Frontier, SourceError> {
        let Some(index) = size.checked_sub(1) else { return Ok(Frontier::default()) };
        let given = self.asked.leaves(index, index).await?;
        let leaf = hash_leaf(given.leaves.first().ok_or(SourceError::Malformed("get-entries"))?);
        // A log that does not know what it has just given is asked again.
        let proof = self.asked.inclusion_proof(&leaf, head.size).await?.ok_or(FetchError::Status(404))?;
        match proof {
            (at, path) if at == index => Ok(Frontier::from_path(leaf, index, head, &path)?),
            _ => Err(SourceError::Malformed("get-proof-by-hash")),
        }
    }
}

/// A log with the interface of static-ct-api.
pub(super) struct StaticCt<'a> {
    pub asked: Asked<'a>,
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
        let body = self.asked.data_tile(number, width).await?;
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
        let tiles = self.asked.tiles(index, head).await?;
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
