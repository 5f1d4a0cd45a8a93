//! The static-ct interface.

use std::collections::BTreeMap;
use std::io::Read as _;

use ct_log::{Authority, Clock, Kind, TestLog};
use transparency::checkpoint::Checkpoint;
use transparency::digest::Sha256;
use transparency::inclusion::Inclusion;
use transparency::merkle::root;
use transparency::sct::{leaf_index, parse_sct};
use transparency::tile::{
    FULL_TILE_BYTES, Promise, TileId, audit, data_tile_path, parse_data_tile, tiles_for,
};
use transparency::tree_head::TreeHead;

use crate::Scene;
use crate::ask::{get, get_gzip};

pub fn head(log: &TestLog, clock: &Clock) -> TreeHead {
    head_at(&log.static_url(), log, clock).unwrap()
}

pub fn head_at(url: &str, log: &TestLog, clock: &Clock) -> Option<TreeHead> {
    let got = get(url, "checkpoint");
    Checkpoint::parse(&got.body).unwrap().verify(&log.key(), log.origin(), clock.now()).ok()
}

/// The tiles for the proof of a leaf, the full one where the partial one is gone.
pub fn fetch_tiles(url: &str, index: u64, size: u64) -> BTreeMap<TileId, Vec<u8>> {
    let fetch = |tile: TileId| {
        let got = get(url, &tile.path());
        let body = if got.status == 404 { get(url, &tile.full().path()).body } else { got.body };
        (tile, body)
    };
    tiles_for(index, size).into_iter().map(fetch).collect()
}

/// A log with many cheap entries: one certificate, handed in again as if others stood in front of it.
fn large(entries: usize) -> Scene {
    let clock = Clock::at("2026-08-01T00:00:00Z");
    let log = TestLog::start("birch", Kind::StaticCt, &clock);
    let authority = Authority::new("Alder", &clock);
    let mut scene = Scene { clock, log, authority, issued: Vec::new() };
    for number in 0..entries {
        scene.issue();
        if number == 99 {
            scene.log.merge();
        }
    }
    scene.log.merge();
    scene
}

#[test]
fn every_promise_is_kept_where_the_timestamp_says() {
    let scene = large(300);
    let head = head(&scene.log, &scene.clock);
    assert_eq!(head.size, 300);
    let entries: Vec<Vec<u8>> = [(0, 256), (1, 44)]
        .map(|(index, width)| get(&scene.log.static_url(), &data_tile_path(index, width)).body)
        .to_vec();
    let leaves: Vec<Sha256> = entries
        .iter()
        .flat_map(|tile| parse_data_tile(tile).unwrap())
        .map(|entry| entry.leaf_hash().unwrap())
        .collect();
    assert_eq!(root(&leaves), head.root);
    for number in [0, 1, 99, 255, 256, 299] {
        let sct = parse_sct(&scene.issued[number].scts[0]).unwrap();
        let index = leaf_index(sct.extensions).unwrap().unwrap();
        assert_eq!(index, number as u64);
        let tiles = fetch_tiles(&scene.log.static_url(), index, head.size);
        let promise = Promise { leaf: leaves[number], index, promised: sct.timestamp, mmd_seconds: 60 };
        let found = audit(&promise, &head, &|id| tiles.get(&id).map(Vec::as_slice)).unwrap();
        assert_eq!(found, Inclusion::Proved);
    }
}

#[test]
fn a_partial_tile_is_gone_when_it_has_become_full() {
    let scene = large(256);
    let url = scene.log.static_url();
    let partial = TileId { level: 0, index: 0, width: 100 };
    assert_eq!(get(&url, &partial.path()).status, 404);
    assert_eq!(get(&url, &partial.full().path()).body.len(), FULL_TILE_BYTES);
    assert_eq!(get(&url, "tile/1/000.p/1").body.len(), 32);
}

#[test]
fn partial_tiles_are_there_for_sizes_that_were_published() {
    let scene = Scene::with(Kind::StaticCt, 5);
    let url = scene.log.static_url();
    for width in 1..=5 {
        assert_eq!(get(&url, &format!("tile/0/000.p/{width}")).body.len(), width * 32);
    }
    for path in [
        "tile/0/000.p/6",
        "tile/0/000.p/0",
        "tile/0/000",
        "tile/1/000.p/1",
        "tile/0/001.p/1",
        "tile/0/x000/000.p/1",
    ] {
        assert_eq!(get(&url, path).status, 404, "{path}");
    }
}

#[test]
fn data_tiles_are_packed_for_those_who_unpack() {
    let scene = Scene::with(Kind::StaticCt, 3);
    let (packed, plain) = (
        get_gzip(&scene.log.static_url(), "tile/data/000.p/3"),
        get(&scene.log.static_url(), "tile/data/000.p/3"),
    );
    assert!(packed.head.contains("content-encoding: gzip"), "{}", packed.head);
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
}

#[test]
fn issuers_are_found_by_the_fingerprints_of_entries() {
    let scene = Scene::with(Kind::StaticCt, 1);
    let tile = get(&scene.log.static_url(), "tile/data/000.p/1").body;
    let entries = parse_data_tile(&tile).unwrap();
    assert_eq!(entries[0].precertificate, Some(&scene.issued[0].precertificate[..]));
    let found: Vec<Vec<u8>> = entries[0]
        .chain
        .iter()
        .map(|print| get(&scene.log.static_url(), &format!("issuer/{print}")).body)
        .collect();
    assert_eq!(found, [scene.authority.issuer_der(), scene.authority.root_der()]);
}

#[test]
fn both_interfaces_show_one_tree() {
    let scene = Scene::with(Kind::StaticCt, 9);
    assert_eq!(head(&scene.log, &scene.clock), crate::rfc6962::head(&scene.log, &scene.clock));
}
