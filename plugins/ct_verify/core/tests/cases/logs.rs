//! Tree heads, checkpoints, proofs and lists of logs, real and synthetic.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use transparency::checkpoint::{Checkpoint, CheckpointError};
use transparency::digest::Sha256;
use transparency::inclusion::{Inclusion, audit_absence, audit_proof};
use transparency::log_key::LogKey;
use transparency::log_list::{LogList, SetAsideWhy, UpdateProblem, check_update};
use transparency::merkle::{hash_leaf, root, verify_consistency, verify_inclusion};
use transparency::moment::Moment;
use transparency::split_view::{Misbehaviour, SplitView, SplitViewError};
use transparency::tile::{Promise, TileId, audit, parse_data_tile, parse_leaf_input, tiles_for};
use transparency::tree_head::{Progress, SignedTreeHead, TreeHead};

use crate::place::{base64, data, json, own};

fn now() -> Moment {
    "2026-08-01T00:00:00Z".parse().unwrap()
}

fn key(value: &Value) -> LogKey {
    LogKey::from_spki(&base64(value)).unwrap()
}

fn hash(value: &Value) -> Sha256 {
    Sha256::from_slice(&base64(value)).unwrap()
}

fn hashes(value: &Value) -> Vec<Sha256> {
    value.as_array().unwrap().iter().map(hash).collect()
}

fn head(value: &Value, key: &LogKey) -> Option<TreeHead> {
    SignedTreeHead::from_json(value.to_string().as_bytes()).unwrap().verify(key, now()).ok()
}

#[test]
fn real_tree_head_of_google_pilot_verifies() {
    let Some(data) = data() else { return };
    let sth = json(data.join("real-sth/google-pilot-2014.json"));
    assert!(head(&sth["sth"], &key(&sth["log_key"])).is_some());
}

#[test]
fn answers_of_the_rfc6962_log_verify() {
    let Some(data) = data() else { return };
    let folder = data.join("synthetic/rfc6962-log");
    let log = json(folder.join("log.json"));
    let key = key(&log["key"]);
    let heads: Vec<TreeHead> = [16, 44, 57]
        .map(|size| head(&json(folder.join(format!("get-sth.{size}.json"))), &key).unwrap())
        .to_vec();
    for (old, new) in [(0, 1), (0, 2), (1, 2)] {
        let name = format!("get-sth-consistency.{}-{}.json", heads[old].size, heads[new].size);
        let proof = hashes(&json(folder.join(name))["consistency"]);
        assert_eq!(heads[old].progress(&heads[new], &proof), Progress::Grown);
    }
    let entries = json(folder.join("get-entries.json"));
    let inputs: Vec<Vec<u8>> =
        entries["entries"].as_array().unwrap().iter().map(|entry| base64(&entry["leaf_input"])).collect();
    assert!(inputs.iter().all(|input| parse_leaf_input(input).is_some()));
    let leaves: Vec<Sha256> = inputs.iter().map(|input| hash_leaf(input)).collect();
    heads.iter().for_each(|head| assert_eq!(root(&leaves[..head.size as usize]), head.root));
    let proofs = json(folder.join("get-proof-by-hash.json"));
    let mut count = 0;
    for case in proofs.as_object().unwrap().values() {
        for (size, proof) in case["proofs"].as_object().unwrap() {
            let head = heads.iter().find(|head| head.size.to_string() == *size).unwrap();
            let index = proof["leaf_index"].as_u64().unwrap();
            let found =
                audit_proof(&hash(&case["leaf_hash"]), index, &hashes(&proof["audit_path"]), head).unwrap();
            assert_eq!(found, Inclusion::Proved);
            count += 1;
        }
    }
    println!("{count} inclusion proofs");
    assert!(count > 30);
}

#[test]
fn lies_of_the_rfc6962_log_are_seen() {
    let Some(data) = data() else { return };
    let negative = json(data.join("synthetic/rfc6962-log/negative.json"));
    let key = key(&negative["log_key"]);
    for case in negative["cases"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        if case["sth"].is_object() {
            assert_eq!(head(&case["sth"], &key), None, "{id}");
        } else if case["leaf_hash"].is_string() {
            let (index, size) = (case["leaf_index"].as_u64().unwrap(), case["tree_size"].as_u64().unwrap());
            let path = hashes(&case["audit_path"]);
            assert!(
                verify_inclusion(&hash(&case["leaf_hash"]), index, size, &path, &hash(&case["root"]))
                    .is_err(),
                "{id}"
            );
        } else {
            let heads =
                [&case["sth1"], &case["sth2"]].map(|sth| head(sth, &key).unwrap_or_else(|| panic!("{id}")));
            let proof =
                case["consistency"].as_array().map(|_| hashes(&case["consistency"])).unwrap_or_default();
            let progress = heads[0].progress(&heads[1], &proof);
            match id {
                "split-view-same-size" => assert_eq!(progress, Progress::Equivocation),
                "sth-shrunk" => assert_eq!(progress, Progress::WentBack),
                _ => assert!(matches!(progress, Progress::Inconsistent(_)), "{id}: {progress:?}"),
            }
        }
    }
}

#[test]
fn an_absent_leaf_is_pending_for_a_merge_delay_and_then_a_broken_promise() {
    let promised = Moment::from_seconds(1_000);
    let head =
        |seconds| TreeHead { size: 1, timestamp: Moment::from_seconds(seconds), root: Sha256::of(b"") };
    assert_eq!(audit_absence(promised, 60, &head(1_060)), Inclusion::Pending);
    assert_eq!(audit_absence(promised, 60, &head(1_061)), Inclusion::BrokenPromise);
}

#[test]
fn checkpoints_and_tiles_of_the_static_log_verify() {
    let Some(data) = data() else { return };
    let folder = data.join("synthetic/static-ct-log");
    let log = json(folder.join("log.json"));
    let (key, origin) = (key(&log["key"]), log["origin"].as_str().unwrap());
    let heads = ["checkpoint.300", "mon/checkpoint"].map(|name| {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        Checkpoint::parse(&bytes).unwrap().verify(&key, origin, now()).unwrap()
    });
    assert_eq!(heads.map(|head| head.size), [300, 523]);
    assert_eq!(heads[1].root, hash(&log["roots"]["523"]));
    let proof = hashes(&log["consistency_proof"]["proof"]);
    assert_eq!(verify_consistency((300, &heads[0].root), (523, &heads[1].root), &proof), Ok(()));

    let mut files = std::collections::BTreeMap::new();
    for tile in (0..523).flat_map(|index| tiles_for(index, 523)) {
        files.entry(tile).or_insert_with(|| std::fs::read(folder.join("mon").join(tile.path())).unwrap());
    }
    let take = |id: TileId| files.get(&id).map(Vec::as_slice);
    let mut leaves = Vec::new();
    for path in ["data/000", "data/001", "data/002.p/11"] {
        let bytes = std::fs::read(folder.join("mon/tile").join(path)).unwrap();
        leaves.extend(parse_data_tile(&bytes).unwrap().iter().map(|entry| entry.leaf_hash().unwrap()));
    }
    assert_eq!(root(&leaves), heads[1].root);
    let promise = |leaf, index| Promise { leaf, index, promised: now(), mmd_seconds: 60 };
    for (index, leaf) in leaves.iter().enumerate() {
        let found = audit(&promise(*leaf, index as u64), &heads[1], &take).unwrap();
        assert_eq!(found, Inclusion::Proved, "{index}");
    }
    let elsewhere = audit(&promise(leaves[3], 4), &heads[1], &take).unwrap();
    assert_eq!(elsewhere, Inclusion::BrokenPromise, "another leaf has its place");
    let forged = |id: TileId| (id.level == 1).then_some(&[7; 64][..]).or_else(|| take(id));
    assert!(
        audit(&promise(leaves[3], 3), &heads[1], &forged).is_err(),
        "tiles that lead elsewhere prove nothing"
    );
    let of_case = log["inclusion_proof_of_case"].as_object().unwrap();
    for (case, path) in of_case {
        let index = log["leaf_index_of_case"][case].as_u64().unwrap();
        let ours = transparency::tile::inclusion_path(index, 523, &take).unwrap();
        assert_eq!(ours, hashes(path), "{case}");
    }
}

#[test]
fn lies_of_the_static_log_are_seen() {
    let Some(data) = data() else { return };
    let negative = json(data.join("synthetic/static-ct-log/negative.json"));
    let (key, origin) = (key(&negative["key"]), negative["origin"].as_str().unwrap());
    let head = |value: &Value| {
        Checkpoint::parse(value.as_str().unwrap().as_bytes())
            .and_then(|read| read.verify(&key, origin, now()))
    };
    for case in negative["cases"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        if case["checkpoint"].is_string() {
            let accepted = head(&case["checkpoint"]).is_ok();
            assert_eq!(accepted, case["expect"].as_str().unwrap().starts_with("accept"), "{id}");
        } else {
            let heads = [&case["checkpoint1"], &case["checkpoint2"]].map(|text| head(text).unwrap());
            assert_eq!(heads[0].progress(&heads[1], &[]), Progress::Equivocation, "{id}");
        }
    }
}

#[test]
fn real_checkpoint_of_sunlight_verifies_for_its_own_origin_alone() {
    let Some(data) = data() else { return };
    let folder = data.join("static-ct-real/rome2026h1");
    let bytes = std::fs::read(folder.join("checkpoint")).unwrap();
    let log = json(folder.join("log.v3.json"));
    let checkpoint = Checkpoint::parse(&bytes).unwrap();
    let head = checkpoint.verify(&key(&log["key"]), "rome2026h1.example.org", now()).unwrap();
    assert_eq!(head.root, hash(&log["final_tree_head"]["sha256_root_hash"]));
    assert!(checkpoint.verify(&key(&log["key"]), "rome2026h2.example.org", now()).is_err());
    let early = Moment::from_seconds(1_700_000_000);
    assert!(checkpoint.verify(&key(&log["key"]), "rome2026h1.example.org", early).is_err());
}

#[test]
fn real_log_lists_are_read_and_may_follow_each_other_forwards_alone() {
    let Some(data) = data() else { return };
    let list =
        |name: &str| LogList::parse(&std::fs::read(data.join("log-lists").join(name)).unwrap()).unwrap();
    let (spring, winter, newest) =
        (list("2025-04-10.json"), list("2025-12-14.json"), list("2026-01-20.json"));
    assert_eq!(newest.identity().logs, 75);
    assert!(newest.set_aside().is_empty(), "{:?}", newest.set_aside());
    assert_eq!(check_update(&winter, &newest, 3), Ok(()));
    let problems = check_update(&newest, &winter, 3).unwrap_err();
    assert!(matches!(problems[0], UpdateProblem::Older { .. }), "{problems:?}");
    assert!(check_update(&spring, &newest, 1000).is_ok());
    list("2023-06-20.json");
    LogList::parse(&std::fs::read(data.join("log-lists/signed/log_list.json")).unwrap()).unwrap();
    let old = list("old-v3-sample-2022.json");
    assert!(old.set_aside().iter().any(|log| log.description.contains("Racketeer")), "its key is no key");
}

#[test]
fn logs_whose_private_key_is_public_are_never_used() {
    let Some(data) = data() else { return };
    let list = std::fs::read(data.join("synthetic/log_list_with_mimics.json")).unwrap();
    let list = LogList::parse(&list).unwrap();
    let denied = list.set_aside().iter().filter(|log| log.why == SetAsideWhy::Denied).count();
    assert_eq!(denied, 2);
    assert!(list.logs().all(|log| !transparency::log_list::is_denied(&log.key.id())));
}

#[test]
fn own_tree_heads_and_checkpoints_verify_and_split_views_are_seen() {
    let logs = json(own().join("logs.json"));
    let (log, now) = (&logs["rfc6962"], now());
    let key6962 = key(&log["key"]);
    let heads = [0, 1].map(|number| head(&log["heads"][number], &key6962).unwrap());
    let split = head(&log["split"], &key6962).unwrap();
    let proof = hashes(&log["consistency"]);
    assert_eq!(heads[0].progress(&heads[1], &proof), Progress::Grown);
    assert_eq!(heads[1].progress(&heads[0], &proof), Progress::WentBack);
    assert_eq!(heads[0].progress(&heads[0], &[]), Progress::Same);
    assert_eq!(heads[0].progress(&split, &[]), Progress::Equivocation);
    assert!(matches!(split.progress(&heads[1], &proof), Progress::Inconsistent(_)));
    let (index, path) = (log["inclusion"]["index"].as_u64().unwrap(), hashes(&log["inclusion"]["path"]));
    let leaf = hash_leaf(&(index as u32).to_be_bytes());
    assert_eq!(audit_proof(&leaf, index, &path, &heads[1]).unwrap(), Inclusion::Proved);
    assert!(audit_proof(&leaf, index + 1, &path, &heads[1]).is_err());

    let log = &logs["static"];
    let (key, origin) = (key(&log["key"]), log["origin"].as_str().unwrap());
    let verify = |text: &Value, key: &LogKey, origin| {
        Checkpoint::parse(text.as_str().unwrap().as_bytes()).unwrap().verify(key, origin, now)
    };
    let head = verify(&log["checkpoint"], &key, origin).unwrap();
    let split = verify(&log["split"], &key, origin).unwrap();
    assert_eq!(head.root, heads[1].root);
    assert_eq!(head.progress(&split, &[]), Progress::Equivocation);
    assert!(verify(&log["checkpoint"], &key6962, origin).is_err(), "another log's key");
    assert!(verify(&log["checkpoint"], &key, "alder.example.org").is_err(), "another origin");
    assert!(head.is_stale(60, now.plus_seconds(60)) && !head.is_stale(86_400, now));
}

#[test]
fn a_new_list_may_not_bring_logs_back_or_lose_many() {
    let text = std::fs::read_to_string(own().join("log_list.json")).unwrap();
    let parse = |text: &str| LogList::parse(text.as_bytes()).unwrap();
    let old = parse(&text);
    assert_eq!(check_update(&old, &old, 0), Ok(()));
    let changed = |from: &str, to: &str| {
        let new = text.replacen(from, to, 1);
        assert_ne!(new, text);
        check_update(&old, &parse(&new), 0).unwrap_err()
    };
    assert!(matches!(changed("2026-07-30", "2026-07-29")[..], [UpdateProblem::Older { .. }]));
    assert!(matches!(changed("\"retired\"", "\"usable\"")[..], [UpdateProblem::Backwards { .. }]));
    assert!(matches!(changed("2026-06-02", "2026-06-03")[..], [UpdateProblem::RetiredLater { .. }]));
    assert!(matches!(
        changed("\"tiled_logs\"", "\"unknown\"")[..],
        [UpdateProblem::Vanished { gone: 1, .. }]
    ));
}

#[test]
fn lists_that_contradict_themselves_are_refused_and_logs_that_do_are_set_aside() {
    let mut list = json(own().join("log_list.json"));
    let first = list["operators"][0]["logs"][0].clone();
    list["operators"][2]["logs"][0]["log_id"] = first["log_id"].clone();
    let read = LogList::parse(list.to_string().as_bytes()).unwrap();
    assert_eq!((read.identity().logs, &read.set_aside()[0].why), (4, &SetAsideWhy::Id));
    list["operators"][2]["logs"][0] = first;
    assert!(LogList::parse(list.to_string().as_bytes()).unwrap_err().to_string().contains("twice"));
    for text in ["", "{}", "[]", r#"{"operators":[],"log_list_timestamp":"2026-01-01T00:00:00Z"}"#] {
        assert!(LogList::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn both_logs_whose_private_key_is_public_are_refused_by_a_list_that_names_them() {
    let keys = [
        (
            "9EGV1vAOLbVUNcrdV3iS5T4VrUFwWPh44U/2uRh0FYk=",
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEdO/+dnH/NZSBSLmmN9u2h4HNTnCOLeU+oMBiRynIvQ8zt2ft0IMyO90e5nwSaCdYvA4JVGzCMarfs9DcNxFY1g==",
        ),
        (
            "si9+3rWvav5QPeBAgbLXTBJThJL+3yyypSZQPO9TztI=",
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEB/VtcL7BSbGP4QY7UjaaXOd4gQ80R1PxLZtfYifk+ZER+mCVJVVjl66uVWUzu5lMbWMb1MWKxjkvtd2MyQSKsA==",
        ),
    ];
    let mut list = json(own().join("log_list.json"));
    for (number, (id, key)) in keys.into_iter().enumerate() {
        let log = &mut list["operators"][0]["logs"][number];
        log["log_id"] = Value::from(id);
        log["key"] = Value::from(key);
    }
    let read = LogList::parse(list.to_string().as_bytes()).unwrap();
    assert!(read.set_aside().iter().all(|log| log.why == SetAsideWhy::Denied));
    for (id, _) in keys {
        let id = transparency::digest::LogId(Sha256::from_base64(id).unwrap());
        assert!(read.log(&id).is_none() && read.denied_log(&id).is_some());
    }
}

#[test]
fn the_signature_of_a_checkpoint_says_nothing_of_its_origin_so_the_line_must() {
    let logs = json(own().join("logs.json"));
    let log = &logs["static"];
    let (key, origin) = (key(&log["key"]), log["origin"].as_str().unwrap());
    let text = log["checkpoint"].as_str().unwrap();
    let verify = |text: &str| Checkpoint::parse(text.as_bytes()).unwrap().verify(&key, origin, now());
    assert!(verify(text).is_ok());
    let elsewhere = text.replacen(origin, "evil.example.org", 1);
    assert_eq!(verify(&elsewhere), Err(CheckpointError::Origin("evil.example.org".to_owned())));
    let (head, encoded) = text.trim_end().rsplit_once(' ').unwrap();
    let mut body = base64(&Value::from(encoded));
    body[0] ^= 1;
    let other_key = format!("{head} {}\n", STANDARD.encode(body));
    assert_eq!(verify(&other_key), Err(CheckpointError::Unsigned));
    let witnessed = format!("{text}\u{2014} witness.example.org {encoded}\n");
    assert!(verify(&witnessed).is_ok(), "signatures by others are passed over");
}

#[test]
fn two_signed_heads_that_no_tree_can_have_prove_a_split_view_to_anybody() {
    let logs = json(own().join("logs.json"));
    let (log, tiled) = (&logs["rfc6962"], &logs["static"]);
    let text = |value: &Value| value.to_string();
    let (first, second, split) = (text(&log["heads"][0]), text(&log["heads"][1]), text(&log["split"]));
    let key6962 = key(&log["key"]);
    let written = SplitView::of_tree_heads(&key6962, [&first, &split]).to_json();
    let proven = SplitView::parse(written.as_bytes()).unwrap().verify().unwrap();
    assert_eq!((proven.misbehaviour, proven.key), (Misbehaviour::Equivocation, key6962.clone()));
    let grown = SplitView::of_tree_heads(&key6962, [&first, &second]);
    assert!(matches!(grown.verify(), Err(SplitViewError::Consistent)));
    let shrunk = SplitView::of_tree_heads(&key6962, [&text(&log["shrunk"]), &second]);
    assert_eq!(shrunk.verify().unwrap().misbehaviour, Misbehaviour::Shrunk);
    let forged = SplitView::of_tree_heads(&key(&tiled["key"]), [&first, &split]);
    assert!(matches!(forged.verify(), Err(SplitViewError::TreeHead(_))));

    let (origin, key) = (tiled["origin"].as_str().unwrap(), key(&tiled["key"]));
    let heads = [tiled["checkpoint"].as_str().unwrap(), tiled["split"].as_str().unwrap()];
    let split = SplitView::of_checkpoints(&key, origin, heads);
    assert_eq!(split.verify().unwrap().misbehaviour, Misbehaviour::Equivocation);
    assert_eq!(SplitView::parse(split.to_json().as_bytes()).unwrap(), split);
    assert!(SplitView::of_checkpoints(&key, "alder.example.org", heads).verify().is_err());
    assert!(SplitView::parse(b"{}").is_err());
}

#[test]
fn synthetic_split_views_and_shrunk_trees_are_proven() {
    let Some(data) = data() else { return };
    let negative = json(data.join("synthetic/rfc6962-log/negative.json"));
    let key = key(&negative["log_key"]);
    let proven = |id: &str| {
        let case = negative["cases"].as_array().unwrap().iter().find(|case| case["id"] == id).unwrap();
        let heads = [&case["sth1"], &case["sth2"]].map(Value::to_string);
        SplitView::of_tree_heads(&key, [&heads[0], &heads[1]]).verify().map(|proven| proven.misbehaviour)
    };
    assert_eq!(proven("split-view-same-size").unwrap(), Misbehaviour::Equivocation);
    assert_eq!(proven("sth-shrunk").unwrap(), Misbehaviour::Shrunk);
    assert!(matches!(proven("consistency-truncated"), Err(SplitViewError::Consistent)));
}

#[test]
fn heads_of_the_future_and_sizes_that_are_no_numbers_are_refused() {
    let logs = json(own().join("logs.json"));
    let sth = SignedTreeHead::from_json(logs["rfc6962"]["heads"][0].to_string().as_bytes()).unwrap();
    let key = key(&logs["rfc6962"]["key"]);
    assert!(sth.verify(&key, now()).is_ok());
    assert!(sth.verify(&key, "2026-07-31T00:00:00Z".parse().unwrap()).is_err());
    let text = logs["static"]["checkpoint"].as_str().unwrap();
    let root = text.lines().nth(2).unwrap();
    for (from, to) in
        [("\n300\n", "\n0300\n"), ("\n300\n", "\n+300\n"), (root, &format!("{root}\nextension"))]
    {
        let changed = text.replacen(from, to, 1);
        assert!(
            matches!(Checkpoint::parse(changed.as_bytes()), Err(CheckpointError::Malformed(_))),
            "{changed}"
        );
    }
}

#[test]
fn a_leaf_that_is_taken_for_a_root_is_not_in_a_larger_tree() {
    let leaf = hash_leaf(b"leaf");
    assert_eq!(verify_inclusion(&leaf, 0, 1, &[], &leaf), Ok(()));
    assert!(verify_inclusion(&leaf, 0, 8, &[], &leaf).is_err());
    assert!(verify_consistency((4, &leaf), (8, &leaf), &[]).is_err());
}

#[test]
fn tiles_that_do_not_lead_to_the_checkpoint_prove_neither_presence_nor_absence() {
    let leaves: Vec<Sha256> = (0u32..5).map(|number| hash_leaf(&number.to_be_bytes())).collect();
    let tile: Vec<u8> = leaves.iter().flat_map(|leaf| leaf.0).collect();
    let head = TreeHead { size: 5, timestamp: now(), root: root(&leaves) };
    let promise = |leaf| Promise { leaf, index: 3, promised: now(), mmd_seconds: 60 };
    let take = |_| Some(tile.as_slice());
    assert_eq!(audit(&promise(leaves[3]), &head, &take).unwrap(), Inclusion::Proved);
    assert_eq!(audit(&promise(leaves[0]), &head, &take).unwrap(), Inclusion::BrokenPromise);
    let other = TreeHead { root: hash_leaf(b"other"), ..head };
    assert!(audit(&promise(leaves[3]), &other, &take).is_err());
    assert!(audit(&promise(leaves[0]), &other, &take).is_err());
    assert!(audit(&promise(leaves[3]), &head, &|_| None).is_err());
}
