//! Seeded mutations of good bytes: no parser may panic, and what it takes must hold what it says.
//!
//! `tests/fuzz` looks harder; this runs everywhere, in seconds, and is the same every time.

use rustls_pki_types::CertificateDer;
use transparency::cert_record::read_cert;
use transparency::chain::Purpose;
use transparency::checkpoint::Checkpoint;
use transparency::log_list::{LogList, is_denied};
use transparency::precertificate::{
    corresponds, sct_list, tbs_of_presigned, tbs_without_poison, tbs_without_scts,
};
use transparency::revocation::{Crl, CrlSet, RevocationMode};
use transparency::roots::{Intermediates, RootKind, RootStore, anchors_from_pem};
use transparency::rrset::{RecordType, judge_rrset};
use transparency::sct::{ListEntry, SCTS_MAX, leaf_index, parse_extension, parse_list, parse_sct};
use transparency::skeleton::Skeleton;
use transparency::tile::{parse_data_tile, parse_leaf_input};
use transparency::tlsa::Tlsa;
use transparency::tree_head::SignedTreeHead;
use transparency::{Pinned, Policy, Question, judge};

use crate::place::{chain, json, own};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// Hands `count` mutations of the seeds to `look`: one to four edits each, most of them small.
fn mutate(seed: u64, seeds: &[Vec<u8>], count: usize, look: &mut dyn FnMut(&[u8])) {
    let mut random = Random(seed);
    for _ in 0..count {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(8) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, random.next() as u8),
                2 if at < bytes.len() => drop(bytes.remove(at)),
                3 if at < bytes.len() => {
                    bytes[at] = [0, 1, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xff][random.below(8)];
                }
                4 => {
                    let end = (at + random.below(64)).min(bytes.len());
                    let part = bytes[at..end].to_vec();
                    let to = random.below(bytes.len());
                    bytes.splice(to..to, part);
                }
                _ if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
                _ => {}
            }
        }
        look(&bytes);
    }
}

fn leaves() -> Vec<Vec<u8>> {
    let names = ["good", "good-rsa", "good-version", "bad-bare", "bad-empty", "bad-none"];
    names.map(|id| chain(own().join(format!("chains/{id}.pem"))).remove(0).to_vec()).to_vec()
}

#[test]
fn mutated_lists_of_timestamps_are_read_or_refused() {
    let leaves = leaves();
    let lists = leaves
        .iter()
        .filter_map(|leaf| sct_list(&Skeleton::parse(leaf).unwrap()).unwrap().map(<[u8]>::to_vec));
    let seeds: Vec<Vec<u8>> = lists.flat_map(|list| [list[3..].to_vec(), list]).collect();
    let mut taken = 0;
    mutate(1, &seeds, MUTATIONS, &mut |bytes| {
        for entries in [parse_extension(bytes), parse_list(bytes)].into_iter().flatten() {
            assert!(!entries.is_empty() && entries.len() <= SCTS_MAX);
            taken += 1;
            for entry in entries {
                if let ListEntry::V1(sct) = entry {
                    let _ = leaf_index(sct.extensions);
                }
            }
        }
        let _ = parse_sct(bytes);
    });
    assert!(taken > MUTATIONS / 20, "only {taken} were taken: the mutations miss the parser");
}

#[test]
fn mutated_certificates_are_cut_into_certificates_or_refused() {
    let mut taken = 0;
    mutate(2, &leaves(), MUTATIONS, &mut |bytes| {
        let Ok(certificate) = Skeleton::parse(bytes) else { return };
        taken += 1;
        assert_eq!(tbs_without_scts(&certificate).is_ok(), matches!(sct_list(&certificate), Ok(Some(_))));
        if let Ok(tbs) = tbs_without_scts(&certificate) {
            assert!(tbs.len() < certificate.tbs.len());
        }
        let _ = (tbs_without_poison(&certificate), tbs_of_presigned(&certificate, &certificate));
        let _ = corresponds(&certificate, &certificate);
    });
    assert!(taken > MUTATIONS / 20, "only {taken} were taken: the mutations miss the parser");
}

#[test]
fn mutated_log_lists_hold_no_denied_log() {
    let mut list = json(own().join("log_list.json"));
    for operator in list["operators"].as_array_mut().unwrap() {
        operator
            .get_mut("logs")
            .and_then(|logs| logs.as_array_mut())
            .into_iter()
            .for_each(|logs| logs.truncate(1));
    }
    list["operators"].as_array_mut().unwrap().truncate(2);
    let mut taken = 0;
    mutate(3, &[list.to_string().into_bytes()], MUTATIONS / 2, &mut |bytes| {
        if let Ok(list) = LogList::parse(bytes) {
            taken += 1;
            assert!(list.logs().all(|log| !is_denied(&log.key.id())));
            list.logs().for_each(|log| assert!(!log.origin().ends_with("//")));
        }
    });
    assert!(taken > MUTATIONS / 40, "only {taken} were taken: the mutations miss the parser");
}

#[test]
fn mutated_checkpoints_and_tree_heads_are_not_believed() {
    let logs = json(own().join("logs.json"));
    let text = logs["static"]["checkpoint"].as_str().unwrap();
    let key =
        transparency::log_key::LogKey::from_spki(&crate::place::base64(&logs["static"]["key"])).unwrap();
    let origin = logs["static"]["origin"].as_str().unwrap();
    let now = "2026-08-01T00:00:00Z".parse().unwrap();
    let good = Checkpoint::parse(text.as_bytes()).unwrap().verify(&key, origin, now).unwrap();
    let mut read = 0;
    mutate(4, &[text.as_bytes().to_vec()], MUTATIONS, &mut |bytes| {
        if let Ok(checkpoint) = Checkpoint::parse(bytes) {
            read += 1;
            if read % 10 == 0
                && let Ok(head) = checkpoint.verify(&key, origin, now)
            {
                assert_eq!(head, good, "whatever is believed is what the log signed");
            }
        }
    });
    assert!(read > MUTATIONS / 20, "only {read} were read: the mutations miss the parser");
    let sth = logs["rfc6962"]["heads"][0].to_string().into_bytes();
    mutate(5, &[sth], MUTATIONS / 2, &mut |bytes| drop(SignedTreeHead::from_json(bytes)));
}

#[test]
fn mutated_records_and_tiles_are_read_or_refused() {
    let leaves = leaves();
    let cert = leaves.iter().map(|leaf| [&[0, 1, 0, 0, 0][..], leaf].concat());
    let tlsa = leaves.iter().map(|leaf| [&[1, 0, 0][..], leaf].concat());
    let digest = [&[3, 1, 1][..], &[7; 32]].concat();
    let seeds: Vec<Vec<u8>> = cert.chain(tlsa).chain([digest]).collect();
    mutate(6, &seeds, MUTATIONS, &mut |bytes| {
        let _ = (read_cert(bytes), Tlsa::read(bytes));
    });
    let tile = [&[0; 8][..], &[0, 0, 0, 0, 2, 1, 2, 0, 0, 0, 32], &[7; 32]].concat();
    assert_eq!(parse_data_tile(&tile).unwrap().len(), 1);
    let leaf = [&[0, 0][..], &tile[..tile.len() - 34]].concat();
    assert!(parse_leaf_input(&leaf).is_some());
    mutate(7, &[tile.repeat(3), leaf], MUTATIONS, &mut |bytes| {
        let _ = (parse_data_tile(bytes), parse_leaf_input(bytes));
    });
}

#[test]
fn mutated_chains_are_never_valid() {
    let anchors = anchors_from_pem(&std::fs::read(own().join("roots.pem")).unwrap()).unwrap();
    let roots = RootStore::new("own", anchors.into_iter().map(|anchor| (anchor, RootKind::Public)));
    let list = LogList::parse(&std::fs::read(own().join("log_list.json")).unwrap()).unwrap();
    let chain = chain(own().join("chains/good.pem"));
    let (intermediates, now) = (Intermediates::default(), "2026-08-01T00:00:00Z".parse().unwrap());
    mutate(8, &[chain[0].to_vec()], MUTATIONS / 100, &mut |bytes| {
        let crls = CrlSet::new([Crl::parse(bytes)]);
        let pinned = Pinned {
            policy: &Policy::Chrome2026,
            log_list: Some(&list),
            roots: &roots,
            intermediates: &intermediates,
            crls: &crls,
            revocation: RevocationMode::Soft,
            private_roots_need_logs: false,
        };
        let mutated = [CertificateDer::from(bytes), chain[1].clone()];
        let question =
            Question { chain: &mutated, name: None, purpose: Purpose::Server, audited: &[], networks: None };
        let verdict = judge(&question, &pinned, now);
        assert!(
            verdict.verdict != transparency::Conclusion::Valid || bytes == &chain[0][..],
            "{:?}",
            verdict.reasons
        );
        judge_rrset(("good.example.org.", RecordType::Cert), &[bytes], &pinned, now);
    });
}

const MUTATIONS: usize = 100_000;
