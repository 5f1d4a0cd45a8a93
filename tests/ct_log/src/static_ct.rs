//! The log's interface of C2SP static-ct-api: a checkpoint, tiles of hashes and of entries, issuers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use transparency::digest::Sha256;
use transparency::merkle;

use crate::answer::{Answer, Asked};
use crate::lie::Lie;
use crate::log::Face;
use crate::rfc6962;
use crate::store::{Placed, Tree};

/// Answers one request.
pub(crate) fn answer(face: &Face, asked: &Asked, lies: &[Lie]) -> Answer {
    let path = asked.path.trim_start_matches('/');
    if path == "ct/v1/get-roots" || path.starts_with("ct/v1/add-") {
        return rfc6962::answer(face, asked, lies);
    }
    if asked.post {
        return Answer::refusal(405, "expected a GET");
    }
    if path == "checkpoint" {
        return Answer::bytes("text/plain; charset=utf-8", checkpoint(face, lies));
    }
    let found = if let Some(place) = path.strip_prefix("tile/data/") {
        data_tile(&face.tree(), place, lies).map(|tile| {
            let answer = Answer::bytes("application/octet-stream", tile);
            if asked.takes_gzip { answer.packed() } else { answer }
        })
    } else if let Some(place) = path.strip_prefix("tile/") {
        hash_tile(&face.tree(), place, lies).map(|tile| Answer::bytes("application/octet-stream", tile))
    } else if let Some(print) = path.strip_prefix("issuer/") {
        face.issuer(print).map(|der| Answer::bytes("application/pkix-cert", der))
    } else {
        None
    };
    found.unwrap_or_else(|| Answer::refusal(404, "no such path"))
}

/// The head as a signed note.
fn checkpoint(face: &Face, lies: &[Lie]) -> String {
    let (head, signature) = face.signed_head(lies);
    let told = lies.iter().find_map(|lie| match lie {
        Lie::Origin(origin) => Some(origin.clone()),
        _ => None,
    });
    let origin = face.origin();
    let shown = told.as_deref().unwrap_or(origin);
    let key_id = Sha256::of_pieces(&[origin.as_bytes(), b"\n\x05", &face.log_id().0.0]);
    let body = [&key_id.0[..4], &head.timestamp.milliseconds().to_be_bytes(), &signature].concat();
    format!("{shown}\n{}\n{}\n\n\u{2014} {origin} {}\n", head.size, head.root.base64(), STANDARD.encode(body))
}

/// Which tile: its number, and how many hashes or entries are asked for.
struct Place {
    number: u64,
    width: u64,
}

impl Place {
    /// Reads `x001/234` or `x001/234.p/5`.
    fn read(text: &str) -> Option<Self> {
        let (number, width) = match text.split_once(".p/") {
            Some((number, width)) => (number, decimal(width).filter(|width| (1..256).contains(width))?),
            None => (text, WIDTH),
        };
        let groups: Vec<&str> = number.split('/').collect();
        let (last, before) = groups.split_last()?;
        let mut sum = 0u64;
        for group in before.iter().map(|group| group.strip_prefix('x')).chain([Some(*last)]) {
            let group = group.filter(|group| group.len() == 3)?;
            sum = sum.checked_mul(1000)?.checked_add(digits(group)?)?;
        }
        // No number begins with a group of zeros but the one that has no other.
        (before.is_empty() || groups[0] != "x000").then_some(Place { number: sum, width })
    }

    /// The span of the tile, if that tile exists: full ones of the published tree, and partial ones of every size that was ever
    /// published, unless they have become full since.
    fn span(&self, counts: &std::collections::BTreeSet<u64>) -> Option<std::ops::Range<usize>> {
        let start = self.number.checked_mul(WIDTH)?;
        let largest = *counts.last()?;
        let end = start + self.width;
        let is_there = if self.width == WIDTH {
            end <= largest
        } else {
            largest < start + WIDTH && counts.contains(&end)
        };
        is_there.then_some(start as usize..end as usize)
    }
}

fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// A number without leading zeros.
fn decimal(text: &str) -> Option<u64> {
    if text.starts_with('0') { None } else { digits(text) }
}

fn hash_tile(tree: &Tree, place: &str, lies: &[Lie]) -> Option<Vec<u8>> {
    let (level, place) = place.split_once('/')?;
    let level: u32 = if level == "0" { 0 } else { decimal(level)?.try_into().ok()? };
    let span = Place::read(place)?.span(&tree.published_counts(level))?;
    let mut hashes = tree.leaves(tree.size());
    for _ in 0..level {
        hashes = hashes.chunks_exact(WIDTH as usize).map(merkle::root).collect();
    }
    let mut bytes: Vec<u8> = hashes[span].iter().flat_map(|hash| hash.0).collect();
    if lies.contains(&Lie::BadProof) {
        bytes[0] ^= 1;
    }
    Some(bytes)
}

fn data_tile(tree: &Tree, place: &str, lies: &[Lie]) -> Option<Vec<u8>> {
    let span = Place::read(place)?.span(&tree.published_counts(0))?;
    let leaf = |placed: &Placed| {
        if lies.contains(&Lie::BadEntries) {
            placed.entry.decoy().tile_leaf()
        } else {
            placed.entry.tile_leaf()
        }
    };
    Some(tree.entries()[span].iter().flat_map(leaf).collect())
}

const WIDTH: u64 = transparency::tile::TILE_WIDTH as u64;
