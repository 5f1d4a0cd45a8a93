//! The cluster file: what people write, what it means, and what they are told when it is wrong.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use certificate::leaf::Policy;
use certificate::{Cluster, Digest, Epoch, ReplicaId, ReplicaSet};
use support::{Fixture, seed, wire};

fn replica(id: u8) -> String {
    let seed = seed(4, id);
    format!(
        "[[replica]]\nid = {id}\nname = \"replica-{id}\"\naddress = \"192.0.2.{}:5380\"\npublic-key = \"{}\"\n\
         transport-key = \"{}\"\nupstream-group = \"isp-{}\"\n",
        id + 1,
        seed.signing_key().public_key(),
        seed.transport_key().public_key(),
        char::from(b'a' + id % 2),
    )
}

/// A file with 3 lines before `extra` and the four replicas behind it.
fn file(extra: &str) -> String {
    let replicas: String = (0..4).map(replica).collect();
    format!("name = \"example\"\nepoch = 1\nfaults = 1\n{extra}\n{replicas}")
}

fn parse(text: &str) -> Result<Cluster, Vec<String>> {
    Cluster::parse(text, "cluster.toml")
        .map_err(|errors| errors.iter().map(|error| error.to_string()).collect())
}

fn errors(text: &str) -> Vec<String> {
    parse(text).unwrap_err()
}

#[test]
fn short_file_has_the_defaults() {
    let cluster = parse(&file("")).unwrap();
    assert_eq!((cluster.name.as_str(), cluster.epoch, cluster.cluster_id), ("example", Epoch(1), None));
    assert_eq!((cluster.replicas.count(), cluster.replicas.faults()), (4, 1));
    assert_eq!((cluster.checkpoint_interval, cluster.window()), (100, 132));
    assert_eq!((cluster.batch_entries, cluster.batch_bytes), (50, 49_152));
    assert_eq!((cluster.pipeline, cluster.message_size), (3, 65_536));
    assert_eq!((cluster.observation_window_ms, cluster.history_ms), (10_000, 600_000));
    assert_eq!((cluster.min_groups, cluster.ttl_max_s), (2, 3600));
    assert_eq!(cluster.policy_for(&wire("www.example.org")), (&wire(".")[..], Policy::Records));
    let fresh = Cluster::new("example", 1, cluster.members.clone()).unwrap();
    assert_eq!(fresh, cluster);
}

#[test]
fn every_parameter_is_read() {
    let cluster = parse(&file(
        "checkpoint-interval = 10\nbatch-entries = 5\nbatch-bytes = 8192\npipeline = 1\nmessage-size = 49_152\n\
         observation-window = \"1500ms\"\nhistory = \"1h\"\nmin-groups = 3\nttl-max = \"1d\"\n\
         [agreement]\n\"Example.ORG\" = \"strong\"\n\".\" = \"corroborated\"",
    ))
    .unwrap();
    assert_eq!((cluster.checkpoint_interval, cluster.window()), (10, 42));
    assert_eq!((cluster.batch_entries, cluster.batch_bytes), (5, 8192));
    assert_eq!((cluster.pipeline, cluster.message_size), (1, 49_152));
    assert_eq!((cluster.observation_window_ms, cluster.history_ms), (1500, 3_600_000));
    assert_eq!((cluster.min_groups, cluster.ttl_max_s), (3, 86_400));
    assert_eq!(cluster.policies[&wire("example.org")], Policy::Strong);
    assert_eq!(cluster.policies[&wire(".")], Policy::Corroborated);
}

#[test]
fn written_file_is_read_back_as_the_same_cluster() {
    let mut fixtures = vec![Fixture::four(), Fixture::new(7, 7, 2), Fixture::new(31, 31, 10)];
    let second = &mut fixtures[0].cluster;
    second.cluster_id = Some(Digest::of(b"the first epoch"));
    second.epoch = Epoch(u64::from(u32::MAX));
    second.observation_window_ms = 1001;
    second.history_ms = 0;
    second.policies.insert(b"\x05a.\"\\b\x03org\x00".to_vec(), Policy::Bypass);
    second.policies.insert(b"\x02\x00\xff\x03org\x00".to_vec(), Policy::Observe);
    second.members[2].address = "[2001:db8::7]:443".parse().unwrap();
    for Fixture { cluster, .. } in fixtures {
        assert_eq!(parse(&cluster.to_toml()), Ok(cluster));
    }
}

#[test]
fn digest_does_not_depend_on_layout_comments_or_order() {
    let plain = parse(&file("[agreement]\n\"a.org.\" = \"strong\"\n\"b.org.\" = \"observe\"")).unwrap();
    let replicas: String = [2, 0, 3, 1].map(replica).concat();
    let shuffled = format!(
        "# a comment\nfaults=0x1\npipeline = 3\n'name' = 'example'\n{replicas}\n\
         [agreement]\n\"B.org\" = 'observe' # another\n\"A.org.\" = \"strong\"\n\".\" = \"records\"\n"
    )
    .replace("faults=0x1", "faults=0x1\nepoch = 1\nhistory = \"600s\"");
    let shuffled = parse(&shuffled).unwrap();
    assert_eq!(shuffled, plain);
    assert_eq!(shuffled.digest(), plain.digest());
}

#[test]
fn digest_depends_on_every_value() {
    let cluster = Fixture::four().cluster;
    let changes: [fn(&mut Cluster); 19] = [
        |cluster| cluster.name.push('x'),
        |cluster| cluster.epoch = Epoch(2),
        |cluster| cluster.cluster_id = Some(Digest::of(b"")),
        |cluster| cluster.replicas = certificate::Replicas::new(7, 2).unwrap(),
        |cluster| cluster.checkpoint_interval += 1,
        |cluster| cluster.batch_entries += 1,
        |cluster| cluster.batch_bytes += 1,
        |cluster| cluster.pipeline += 1,
        |cluster| cluster.message_size += 1,
        |cluster| cluster.observation_window_ms += 1,
        |cluster| cluster.history_ms += 1,
        |cluster| cluster.min_groups += 1,
        |cluster| cluster.ttl_max_s += 1,
        |cluster| cluster.policies.extend([(wire("org"), Policy::Strong)]),
        |cluster| cluster.members[1].name.push('x'),
        |cluster| cluster.members[1].address.set_port(1),
        |cluster| cluster.members[1].public_key = seed(9, 9).signing_key().public_key(),
        |cluster| cluster.members[1].transport_key = seed(9, 9).signing_key().public_key(),
        |cluster| cluster.members[1].upstream_group.push('x'),
    ];
    let mut digests = vec![cluster.digest()];
    for change in changes {
        let mut changed = cluster.clone();
        change(&mut changed);
        digests.push(changed.digest());
    }
    let count = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), count);
}

#[test]
fn cluster_is_named_after_its_first_epoch() {
    let first = parse(&file("")).unwrap();
    assert_eq!(first.id(), first.digest());
    let text = file(&format!("cluster-id = \"{}\"", first.id())).replace("epoch = 1", "epoch = 2");
    let second = parse(&text).unwrap();
    assert_eq!(second.id(), first.id());
    assert_ne!(second.digest(), first.digest());
    assert_eq!(second.domain().epoch, Epoch(2));
}

#[test]
fn cluster_id_belongs_to_later_epochs_only() {
    let id = Digest::of(b"first");
    assert_eq!(
        errors(&file(&format!("cluster-id = \"{id}\""))),
        ["cluster.toml:4:14: cluster-id: expected none in epoch 1, whose digest is the id of the cluster"]
    );
    assert_eq!(
        errors(&file("").replace("epoch = 1", "epoch = 2")),
        ["cluster.toml:2:9: cluster-id: expected the digest of epoch 1, 64 hexadecimal digits, found none"]
    );
    assert_eq!(
        errors(&file("cluster-id = \"abc\"").replace("epoch = 1", "epoch = 2")),
        ["cluster.toml:4:14: cluster-id: expected the digest of epoch 1, 64 hexadecimal digits, found `abc`"]
    );
}

#[test]
fn longest_zone_decides_the_policy() {
    let cluster = Fixture::four().cluster;
    for (name, zone, policy) in [
        ("example.org", "example.org", Policy::Strong),
        ("www.example.org", "example.org", Policy::Strong),
        ("a.b.pool.example.org", "pool.example.org", Policy::Records),
        ("pool.example.org", "pool.example.org", Policy::Records),
        ("carpool.example.org", "example.org", Policy::Strong),
        ("notexample.org", ".", Policy::Records),
        ("org", ".", Policy::Records),
        (".", ".", Policy::Records),
    ] {
        assert_eq!(cluster.policy_for(&wire(name)), (&wire(zone)[..], policy), "{name}");
    }
    let escaped = b"\x13a\x07example\x03org\x00no-ab\x03org\x00";
    assert_eq!(cluster.policy_for(escaped).0, wire("."), "labels are compared, not bytes");
}

#[test]
fn groups_are_numbered_by_first_appearance_by_id() {
    let mut cluster = parse(&file("")).unwrap();
    let groups: Vec<u8> = cluster.members.iter().map(|member| member.group).collect();
    assert_eq!(groups, [0, 1, 0, 1]);
    assert_eq!(cluster.group_names(), ["isp-a", "isp-b"]);
    assert_eq!(cluster.groups_of(ReplicaSet(0b0101)), 0b01);
    assert_eq!(cluster.groups_of(ReplicaSet(0b0111)), 0b11);
    cluster.members[0].upstream_group = "isp-z".to_owned();
    let cluster = Cluster::new("example", 1, cluster.members).unwrap();
    assert_eq!(cluster.group_names(), ["isp-z", "isp-b", "isp-a"]);
    assert_eq!(cluster.member(ReplicaId(2)).map(|member| member.group), Some(2));
    assert_eq!(cluster.member(ReplicaId(4)), None);
}

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_the_file() {
    let text = file("pipline = 3\nhistory = \"10 minutes\"\n[agreement]\n\"example.org.\" = \"stron\"\n\"a..org\" = \"strong\"")
        .replace("id = 2\n", "id = 1\n")
        .replace("192.0.2.4:5380", "192.0.2.3:5380")
        .replace("epoch = 1\n", "epoch = 0\n");
    assert_eq!(
        errors(&text),
        [
            "cluster.toml:2:9: epoch: expected a number from 1 to 18446744073709551615, found `0`",
            "cluster.toml:4:1: unknown key `pipline`; did you mean `pipeline`?",
            "cluster.toml:5:11: history: expected a duration from 0s to 1d, such as `500ms`, `10s`, `10m` or `1h`, found `10 minutes`",
            "cluster.toml:7:18: expected `strong`, `corroborated`, `records`, `dnssec`, `observe` or `bypass`, found `stron`; did you mean `strong`?",
            "cluster.toml:8:1: zone `a..org`: expected a label between two dots, found none",
            "cluster.toml:24:6: id `1` is already used in line 17",
            "cluster.toml:33:11: address `192.0.2.3:5380` is already used in line 26",
        ]
    );
}

#[test]
fn text_that_is_no_toml_is_refused_with_its_place() {
    let found = errors("name = \"example\nepoch = = 1\n");
    assert_eq!(
        found[..2],
        [
            "cluster.toml:1:16: invalid basic string, expected `\"`",
            "cluster.toml:2:9: extra `=`, expected nothing",
        ]
    );
    let twice = errors(&file("faults = 1"));
    assert_eq!(twice, ["cluster.toml:4:1: duplicate key"]);
}

#[test]
fn empty_file_lacks_every_key_without_default() {
    assert_eq!(
        errors(""),
        ["name", "epoch", "faults", "replica"]
            .map(|key| format!("cluster.toml:1:1: expected the key `{key}`, found none"))
    );
    assert_eq!(
        errors(&file("").replace("id = 3\n", "")),
        ["cluster.toml:26:1: expected the key `id`, found none"]
    );
}

#[test]
fn replicas_too_few_for_the_faults_are_refused() {
    assert_eq!(
        errors(&file("").replace("faults = 1", "faults = 2")),
        ["cluster.toml:3:10: expected at least 7 replicas to tolerate 2 faulty, found 4 (n >= 3f+1)"]
    );
    assert_eq!(
        errors(&file("").replace("faults = 1", "faults = 0")),
        ["cluster.toml:3:10: faults: expected a number from 1 to 10, found `0`"]
    );
    let three: String = (0..3).map(replica).collect();
    assert_eq!(
        errors(&format!("name = \"x\"\nepoch = 1\nfaults = 1\n{three}")),
        ["cluster.toml:3:10: expected at least 4 replicas, found 3"]
    );
    let many: String = (0..31).map(replica).collect();
    assert!(parse(&format!("name = \"x\"\nepoch = 1\nfaults = 10\n{many}")).is_ok());
    let text = format!("name = \"x\"\nepoch = 1\nfaults = 10\n{many}{}", replica(31));
    assert_eq!(
        errors(&text),
        [
            "cluster.toml:3:10: expected at most 31 replicas, found 32".to_owned(),
            "cluster.toml:222:6: id: expected a number from 0 to 30, found `31`".to_owned(),
        ]
    );
}

#[test]
fn ids_with_a_gap_are_refused() {
    assert_eq!(
        errors(&file("").replace("id = 3\n", "id = 4\n")),
        ["cluster.toml:27:6: id: expected the ids 0 to 3 without a gap, found `4`"]
    );
}

#[test]
fn what_two_replicas_share_is_refused() {
    let text = file("");
    let key = |id| seed(4, id).signing_key().public_key().to_string();
    let transport = |id| seed(4, id).transport_key().public_key().to_string();
    for (from, to, error) in [
        (
            "replica-3".to_owned(),
            "Replica-0".to_owned(),
            "cluster.toml:28:8: name `replica-0` is already used in line 7".to_owned(),
        ),
        (key(3), key(0), format!("cluster.toml:30:14: key `{}` is already used in line 9", key(0))),
        (
            transport(3),
            transport(0),
            format!("cluster.toml:31:17: key `{}` is already used in line 10", transport(0)),
        ),
        (transport(3), key(0), format!("cluster.toml:31:17: key `{}` is already used in line 9", key(0))),
        (transport(3), key(3), format!("cluster.toml:31:17: key `{}` is already used in line 30", key(3))),
        (
            "192.0.2.4:5380".to_owned(),
            "[::ffff:192.0.2.1]:5380".to_owned(),
            "cluster.toml:29:11: address `192.0.2.1:5380` is already used in line 8".to_owned(),
        ),
    ] {
        assert_eq!(errors(&text.replace(&from, &to)), [error]);
    }
}

#[test]
fn weak_and_malformed_keys_are_refused() {
    let text = file("");
    let key = seed(4, 3).signing_key().public_key().to_string();
    for (to, error) in [
        (
            "ed25519:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "expected a sound Ed25519 public key, found a weak one (of small order)",
        ),
        (
            "ed25519:AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "expected an Ed25519 public key, found bytes that are no point of the curve",
        ),
        ("ed25519:AQ==", "expected a key of 32 bytes, found 1"),
        ("ed25519:AQ", "expected base64 after `ed25519:`"),
        ("rsa:AQ==", "expected a key that starts with `ed25519:`"),
    ] {
        assert_eq!(errors(&text.replace(&key, to)), [format!("cluster.toml:30:14: public-key: {error}")]);
    }
}

#[test]
fn addresses_that_no_peer_can_reach_are_refused() {
    for address in [
        "example.org:5380",
        "192.0.2.4",
        "192.0.2.4:0",
        "0.0.0.0:5380",
        "[::]:5380",
        "224.0.0.1:5380",
        "[fe80::1%2]:5380",
    ] {
        assert_eq!(
            errors(&file("").replace("192.0.2.4:5380", address)),
            [format!(
                "cluster.toml:29:11: address: expected an IP address and a port that peers can reach, such as \
                 `192.0.2.10:5380`, found `{address}`"
            )]
        );
    }
}

#[test]
fn names_that_could_be_misread_are_refused() {
    for name in ["", "a b", "a\\nb", "ü", &"a".repeat(64)] {
        let text = file("").replace("name = \"example\"", &format!("name = \"{name}\""));
        let found = name.replace("\\n", "\n");
        assert_eq!(
            errors(&text),
            [format!(
                "cluster.toml:1:8: name: expected 1 to 63 letters, digits, `-`, `_` or `.`, found `{found}`"
            )]
        );
    }
}

#[test]
fn values_of_another_type_are_refused() {
    for (extra, error) in [
        ("pipeline = \"3\"", "4:12: pipeline: expected a whole number, found a value of type string"),
        ("pipeline = 3.0", "4:12: pipeline: expected a whole number, found a value of type float"),
        ("history = 600", "4:11: history: expected a string, found a value of type integer"),
        (
            "agreement = 1",
            "4:13: agreement: expected a table of zones and their policies, found a value of type integer",
        ),
        ("[agreement]\n\"org\" = 1", "5:9: zone `org`: expected a policy, found a value of type integer"),
        (
            "[agreement]\nexample.org = \"strong\"",
            "5:1: zone `example`: expected a policy; a zone with dots stands in quotes, as in \"example.org.\" = \"strong\", \
             found a value of type table",
        ),
    ] {
        assert_eq!(errors(&file(extra)), [format!("cluster.toml:{error}")]);
    }
}

#[test]
fn numbers_beyond_their_bounds_are_refused() {
    for (extra, error) in [
        ("pipeline = 17", "4:12: pipeline: expected a number from 1 to 16, found `17`"),
        ("pipeline = -1", "4:12: pipeline: expected a number from 1 to 16, found `-1`"),
        (
            "min-groups = 99999999999999999999",
            "4:14: min-groups: expected a number from 1 to 31, found `99999999999999999999`",
        ),
        (
            "batch-bytes = 61441",
            "4:15: batch-bytes: expected at most 61440, so that a batch fits a message of 65536 bytes, found `61441`",
        ),
        (
            "ttl-max = \"1500ms\"",
            "4:11: ttl-max: expected a duration from 1s to 7d, such as `500ms`, `10s`, `10m` or `1h`, found `1500ms`",
        ),
        (
            "observation-window = \"999ms\"",
            "4:22: observation-window: expected a duration from 1s to 10m, such as `500ms`, `10s`, `10m` or `1h`, found `999ms`",
        ),
    ] {
        assert_eq!(errors(&file(extra)), [format!("cluster.toml:{error}")]);
    }
}

/// A file of `count` replicas of which `faults` may be faulty.
fn file_of(count: u8, faults: u8, extra: &str) -> String {
    let replicas: String = (0..count).map(replica).collect();
    format!("name = \"example\"\nepoch = 1\nfaults = {faults}\n{extra}\n{replicas}")
}

#[test]
fn batch_that_cannot_hold_an_observation_of_every_replica_is_refused() {
    for (count, faults, least) in [(4, 1, 6455), (7, 2, 10_523), (31, 10, 43_067)] {
        assert!(parse(&file_of(count, faults, &format!("batch-bytes = {least}"))).is_ok());
        assert_eq!(
            errors(&file_of(count, faults, &format!("batch-bytes = {}", least - 1))),
            [format!(
                "cluster.toml:4:15: batch-bytes: expected at least {least}, so that a batch holds an observation of \
                 each of {count} replicas, found `{}`",
                least - 1
            )]
        );
    }
}

#[test]
fn message_that_cannot_hold_observations_or_a_batch_is_refused() {
    for (count, faults, least) in [(4, 1, 40_960), (7, 2, 40_960), (31, 10, 47_163)] {
        let smallest = parse(&file_of(count, faults, &format!("message-size = {least}"))).unwrap();
        assert_eq!((smallest.message_size, smallest.batch_bytes), (least, least - 4096));
        for found in [least - 1, 16_384, 65_537] {
            assert_eq!(
                errors(&file_of(count, faults, &format!("message-size = {found}"))),
                [format!(
                    "cluster.toml:4:16: message-size: expected from {least} to 65536, so that a message holds the \
                     observations that a replica signs at once, and a batch with one of each of {count} replicas, \
                     found `{found}`"
                )]
            );
        }
    }
}

#[test]
fn checkpoint_interval_shorter_than_the_pipeline_is_refused() {
    assert!(parse(&file("checkpoint-interval = 3")).is_ok());
    assert!(parse(&file("checkpoint-interval = 1\npipeline = 1")).is_ok());
    for extra in ["checkpoint-interval = 2", "checkpoint-interval = 2\npipeline = 3"] {
        assert_eq!(
            errors(&file(extra)),
            [
                "cluster.toml:4:23: checkpoint-interval: expected at least 3, as many slots as `pipeline` lets be in \
              flight, found `2`"
            ]
        );
    }
}

#[test]
fn zone_twice_in_other_spelling_is_refused() {
    assert_eq!(
        errors(&file("[agreement]\n\"A.org\" = \"strong\"\n\"a.org.\" = \"strong\"")),
        ["cluster.toml:6:1: zone `a.org.` has a policy already"]
    );
}

#[test]
fn more_zones_than_the_format_holds_are_refused() {
    let zones =
        |count: usize| -> String { (0..count).map(|i| format!("\"z{i}.org.\" = \"strong\"\n")).collect() };
    let cluster = parse(&file(&format!("[agreement]\n{}", zones(4095)))).unwrap();
    assert_eq!(cluster.policies.len(), 4096);
    assert_eq!(
        errors(&file(&format!("[agreement]\n{}", zones(4096)))),
        ["cluster.toml:4:1: expected at most 4096 zones, found 4097"]
    );
}

#[test]
fn error_shows_the_line_it_is_about() {
    let text = file("# ünïcödé\npipline = 3");
    let errors = Cluster::parse(&text, "c.toml").unwrap_err();
    assert_eq!((errors[0].line, errors[0].column, errors[0].line_text.as_str()), (5, 1, "pipline = 3"));
}
