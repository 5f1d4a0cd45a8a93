//! What `byzantine-consensus` accepts, and what it says of what it does not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use certificate::leaf::Policy;
use certificate::{Cluster, Member, ReplicaId, SeedKey};
use corefile::{MemorySources, ParseOptions};
use peer_filter::Mode;
use tempfile::TempDir;

use super::setting::Setting;
#[cfg(not(feature = "adversary"))]
use crate::byzantine_consensus::adversary::ADVERSARIES;
use crate::byzantine_consensus::directive::{node_settings, read};
use crate::byzantine_consensus::nodes::{FastPath, NodeSettings};
use crate::registry;
use crate::setup::Context;
use crate::testing_blocks::set_up;

const NEEDED: &str = "identity replica.key\n state state";

/// A folder with the cluster file, the key and the first log of replica 1.
fn folder() -> TempDir {
    let folder = folder_without_log();
    begin_log(folder.path(), &cluster_in(folder.path()), 1);
    folder
}

fn cluster_in(folder: &Path) -> Cluster {
    let text = fs::read_to_string(folder.join("cluster.toml")).unwrap();
    Cluster::parse(&text, "cluster.toml").unwrap()
}

fn folder_without_log() -> TempDir {
    let setting = Setting::new();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("cluster.toml"), setting.cluster.to_toml()).unwrap();
    write_key(folder.path(), &setting.seeds[1], 0o600);
    folder
}

fn begin_log(folder: &Path, cluster: &Cluster, id: u8) {
    ::node::initialise_sized(&folder.join("state"), cluster, ReplicaId(id), 4096).unwrap();
}

fn write_key(folder: &Path, seed: &SeedKey, mode: u32) {
    let path = folder.join("replica.key");
    fs::write(&path, seed.to_text().as_str()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The errors of a text, without the name of the folder.
fn errors(text: &str, folder: &Path) -> Vec<String> {
    let errors = set_up(text, folder).err().unwrap_or_default();
    let prefix = format!("{}/", folder.display());
    errors.into_iter().map(|error| error.replace(&prefix, "")).collect()
}

/// A server block with these lines in the directive.
fn block(lines: &str) -> String {
    format!(". {{\nbyzantine-consensus cluster.toml {{\n {lines}\n}}\n}}\n")
}

/// A server block with what every directive needs.
fn needed() -> String {
    block(NEEDED)
}

/// The errors of a block with these lines in the directive.
fn errors_of(lines: &str) -> Vec<String> {
    errors(&block(lines), folder().path())
}

/// What the operator reads about a text.
fn told(text: &str, folder: &Path) -> String {
    let sources = MemorySources::new().with_file("Corefile", text);
    let (corefile, mut diagnostics) =
        corefile::parse("Corefile".as_ref(), &sources, &ParseOptions::default());
    let context = Context {
        directory: folder.to_path_buf(),
        metrics: Default::default(),
        nodes: Default::default(),
        claims: Default::default(),
        fatal: Default::default(),
    };
    for block in &corefile.blocks {
        registry::set_up(block, &context, &mut diagnostics);
    }
    corefile.render_all(&diagnostics).replace(&format!("{}/", folder.display()), "")
}

#[test]
fn every_option_is_accepted() {
    let all = format!(
        "{NEEDED}\n algorithm pbft\n observe-timeout 500ms\n on-disagreement local\n batch 20 5ms\n pipeline 2\n timeout 200ms\n view-change-timeout 2s\n fast-path off\n compression off\n edns-option 65400\n max-faulty 1\n bind 127.0.0.1:5380\n detector off\n reputation-threshold 0.25\n filter userspace"
    );
    for lines in [
        NEEDED,
        &all,
        &format!("{NEEDED}\n batch off\n on-disagreement servfail\n compression zstd\n bind [::1]"),
        &format!("{NEEDED}\n batch 1024\n pipeline 100\n observe-timeout 1500ms"),
        &format!("{NEEDED}\n fast-path on\n timeout 60s\n view-change-timeout 60s"),
        &format!("{NEEDED}\n fast-path on 0.9\n detector on\n reputation-threshold 1\n filter tc eth0"),
    ] {
        assert_eq!(errors_of(lines), [""; 0], "{lines}");
    }
}

#[test]
fn wrong_values_are_told_with_their_place() {
    let cases = [
        ("algorithm raft", "4:12: error: byzantine-consensus: algorithm: expected `pbft`, got `raft`"),
        (
            "observe-timeout 1600ms",
            "4:18: error: byzantine-consensus: observe-timeout: expected a duration from 10ms to 1500ms, got `1600ms`",
        ),
        (
            "on-disagreement guess",
            "4:18: error: byzantine-consensus: on-disagreement: expected `servfail` or `local`, got `guess`",
        ),
        (
            "batch 0",
            "4:8: error: byzantine-consensus: batch: expected `off` or a number of entries from 1 to 1024, got `0`",
        ),
        (
            "batch 5 2s",
            "4:10: error: byzantine-consensus: batch: expected a duration from 0s to 1s, got `2s`",
        ),
        (
            "pipeline 0",
            "4:11: error: byzantine-consensus: pipeline: expected a number from 1 to 100, got `0`",
        ),
        (
            "timeout 1ms",
            "4:10: error: byzantine-consensus: timeout: expected a duration from 10ms to 1m, got `1ms`",
        ),
        (
            "view-change-timeout 61s",
            "4:22: error: byzantine-consensus: view-change-timeout: expected a duration from 10ms to 1m, got `61s`",
        ),
        (
            "view-change-timeout 50ms",
            "4:22: error: byzantine-consensus: view-change-timeout: expected at least `timeout`, 100ms, got 50ms",
        ),
        ("fast-path 0.9", "4:12: error: byzantine-consensus: fast-path: expected `on` or `off`, got `0.9`"),
        (
            "fast-path on 1.1",
            "4:15: error: byzantine-consensus: fast-path: expected a reputation from 0 to 1, got `1.1`",
        ),
        (
            "fast-path off 0.9",
            "4:16: error: byzantine-consensus: fast-path: expected the end of the line, got `0.9`",
        ),
        ("detector maybe", "4:11: error: byzantine-consensus: detector: expected `on` or `off`, got `maybe`"),
        (
            "reputation-threshold 2",
            "4:23: error: byzantine-consensus: reputation-threshold: expected a number from 0 to 1, got `2`",
        ),
        (
            "reputation-threshold NaN",
            "4:23: error: byzantine-consensus: reputation-threshold: expected a number from 0 to 1, got `NaN`",
        ),
        (
            "filter bpf",
            "4:9: error: byzantine-consensus: filter: expected `auto`, `socket`, `tc`, `xdp`, `userspace` or `off`, got `bpf`",
        ),
        (
            "filter xdp",
            "4:12: error: byzantine-consensus: filter: expected the name of a network interface, got the end of the line",
        ),
        (
            "filter tc a/b",
            "4:12: error: byzantine-consensus: filter: expected the name of a network interface, got `a/b`",
        ),
        (
            "filter tc sixteenletters16",
            "4:12: error: byzantine-consensus: filter: expected the name of a network interface, got `sixteenletters16`",
        ),
        (
            "filter socket eth0",
            "4:16: error: byzantine-consensus: filter: expected the end of the line, got `eth0`",
        ),
        (
            "adversary traitor",
            "4:12: error: byzantine-consensus: adversary: expected `equivocator`, `flooder`, `forger`, `late`, `replayer` or `silent`, got `traitor`",
        ),
        (
            "compression gzip",
            "4:14: error: byzantine-consensus: compression: expected `zstd` or `off`, got `gzip`",
        ),
        (
            "edns-option 3",
            "4:14: error: byzantine-consensus: edns-option: expected a number from 65001 to 65534, got `3`",
        ),
        (
            "max-faulty 11",
            "4:13: error: byzantine-consensus: max-faulty: expected a number from 1 to 10, got `11`",
        ),
        (
            "bind here",
            "4:7: error: byzantine-consensus: bind: expected an IP address with or without a port, got `here`",
        ),
        ("identiti replica.key", "4:2: error: byzantine-consensus: unknown property `identiti`"),
    ];
    let told =
        cases.map(|(line, _)| errors_of(&format!("identity replica.key\n {line}\n state state")).join("\n"));
    assert_eq!(told, cases.map(|(_, expected)| format!("Corefile:{expected}")));
}

#[test]
fn missing_properties_are_told_with_what_to_add() {
    let expected = "\
Corefile:2:5: error: byzantine-consensus: expected the property `identity` with the file of this replica's key, found none
    2 |     byzantine-consensus cluster.toml
      |     ^^^^^^^^^^^^^^^^^^^
hint: add a line `identity PATH` to its block

Corefile:2:5: error: byzantine-consensus: expected the property `state` with the folder of this replica's log, found none
    2 |     byzantine-consensus cluster.toml
      |     ^^^^^^^^^^^^^^^^^^^
hint: add a line `state PATH` to its block
";
    assert_eq!(told(". {\n    byzantine-consensus cluster.toml\n}\n", folder().path()), expected);
}

#[test]
fn property_without_its_value_is_not_also_missing() {
    let expected =
        "Corefile:3:10: error: byzantine-consensus: identity: expected a path, got the end of the line";
    assert_eq!(errors_of("identity\n state state"), [expected]);
}

#[test]
fn absent_cluster_file_and_absent_key_are_told_together() {
    let expected = "\
Corefile:2:21: error: byzantine-consensus: cannot read the cluster file `cluster.toml`: No such file or directory (os error 2)
    2 | byzantine-consensus cluster.toml {
      |                     ^^^^^^^^^^^^
hint: `quorate cluster new` makes one

Corefile:3:11: error: byzantine-consensus: identity: cannot read `replica.key`: No such file or directory (os error 2)
    3 |  identity replica.key
      |           ^^^^^^^^^^^
hint: `quorate cluster new` makes the key of each replica
";
    assert_eq!(told(&needed(), tempfile::tempdir().unwrap().path()), expected);
}

#[test]
fn every_mistake_in_the_cluster_file_is_told() {
    let folder = folder();
    let path = folder.path().join("cluster.toml");
    let text = fs::read_to_string(&path).unwrap();
    let broken = text.replace("pipeline = 3", "pipeline = 99").replace("faults = 1", "fault = 1");
    fs::write(&path, broken).unwrap();
    let at = "Corefile:2:21: error: byzantine-consensus: cluster.toml";
    assert_eq!(
        errors(&needed(), folder.path()),
        [
            format!("{at}:1:1: expected the key `faults`, found none"),
            format!("{at}:6:1: unknown key `fault`; did you mean `faults`?"),
            format!("{at}:10:12: pipeline: expected a number from 1 to 16, found `99`"),
        ]
    );
}

#[test]
fn key_that_others_may_read_is_refused() {
    let folder = folder();
    let seed = Setting::new().seeds.remove(1);
    for mode in [0o640, 0o604, 0o620, 0o601, 0o610, 0o602] {
        write_key(folder.path(), &seed, mode);
        let expected = format!(
            "Corefile:3:11: error: byzantine-consensus: identity: expected `replica.key` to be readable by its owner alone, found mode 0{mode:o}"
        );
        assert_eq!(errors(&needed(), folder.path()), [expected]);
    }
    write_key(folder.path(), &seed, 0o644);
    let expected = "\
Corefile:3:11: error: byzantine-consensus: identity: expected `replica.key` to be readable by its owner alone, found mode 0644
    3 |  identity replica.key
      |           ^^^^^^^^^^^
hint: chmod 600 replica.key; if others may have read it, make a new key
";
    assert_eq!(told(&needed(), folder.path()), expected);
}

#[test]
fn key_of_nobody_is_refused() {
    let folder = folder();
    write_key(folder.path(), &SeedKey::new([99; 32]), 0o600);
    assert_eq!(
        errors(&needed(), folder.path()),
        [
            "Corefile:3:11: error: byzantine-consensus: identity: expected the key of a replica of the cluster file, found another"
        ]
    );
}

#[test]
fn file_that_holds_no_key_is_refused() {
    let folder = folder();
    fs::write(folder.path().join("replica.key"), "secret").unwrap();
    assert_eq!(
        errors(&needed(), folder.path()),
        [
            "Corefile:3:11: error: byzantine-consensus: identity: `replica.key`: expected a key that starts with `ed25519-seed:`"
        ]
    );
}

/// A cluster of seven, which tolerates two faults.
fn seven() -> Cluster {
    let setting = Setting::new();
    let members = (0..7).map(|id| {
        let seed = SeedKey::new([id + 1; 32]);
        Member {
            name: format!("replica-{id}"),
            address: ([192, 0, 2, id + 1], 5380).into(),
            public_key: seed.signing_key().public_key(),
            transport_key: seed.transport_key().public_key(),
            ..setting.cluster.members[0].clone()
        }
    });
    Cluster::new("example", 2, members.collect()).unwrap()
}

#[test]
fn cluster_that_tolerates_more_faults_than_allowed_is_refused() {
    let folder = folder();
    fs::write(folder.path().join("cluster.toml"), seven().to_toml()).unwrap();
    fs::remove_dir_all(folder.path().join("state")).unwrap();
    begin_log(folder.path(), &seven(), 1);
    let errors = |limit| errors(&block(&format!("{NEEDED}\n max-faulty {limit}")), folder.path());
    assert_eq!(errors(2), [""; 0]);
    assert_eq!(
        errors(1),
        ["Corefile:2:21: error: byzantine-consensus: expected a cluster file with at most 1 faults, found 2"]
    );
}

#[test]
fn policy_that_needs_a_validator_is_refused_with_its_place() {
    let folder = folder();
    let path = folder.path().join("cluster.toml");
    let text = fs::read_to_string(&path).unwrap().replace("\".\" = \"records\"", "\".\" = \"dnssec\"");
    let line = text.lines().position(|line| line == "\".\" = \"dnssec\"").unwrap() + 1;
    fs::write(&path, text).unwrap();
    assert_eq!(
        errors(&needed(), folder.path()),
        [format!(
            "Corefile:2:21: error: byzantine-consensus: cluster.toml:{line}:7: policy `dnssec` needs a DNSSEC validator, which this version \
             has not: nothing in the zone would be answered; the strictest policy that it has is `strong`"
        )]
    );
}

#[test]
fn log_of_another_cluster_file_is_refused_before_anything_starts() {
    let folder = folder_without_log();
    let ours = cluster_in(folder.path());
    let mut other = ours.clone();
    other.policies.insert(certificate::name::parse("example.org").unwrap(), Policy::Strong);
    begin_log(folder.path(), &other, 1);
    let expected = format!(
        "\
Corefile:4:8: error: byzantine-consensus: state: `state`: expected the log of replica 1 under this cluster file ({}), found that of replica 1 under another ({})
    4 |  state state
      |        ^^^^^
hint: a replica keeps to the cluster file that its log began under: put that file back. To change it, make a new cluster: \
`quorate cluster new --settings cluster.toml`. Move the folder away only if the other replicas vote under this very file: \
when all do so, nobody votes, ever
",
        &ours.digest().to_string()[..12],
        &other.digest().to_string()[..12],
    );
    assert_eq!(told(&needed(), folder.path()), expected);
}

#[test]
fn log_of_another_replica_is_refused_before_anything_starts() {
    let folder = folder_without_log();
    begin_log(folder.path(), &cluster_in(folder.path()), 2);
    assert_eq!(
        errors(&needed(), folder.path()),
        [
            "Corefile:4:8: error: byzantine-consensus: state: `state`: expected the log of replica 1, found that of replica 2"
        ]
    );
}

#[test]
fn absent_and_empty_state_folders_are_warned_of_and_left_as_they_are() {
    let folder = folder_without_log();
    let state = folder.path().join("state");
    let expected = "\
Corefile:4:8: warning: byzantine-consensus: state: no log in `state`: replica 1 learns from others that vote, and votes later
    4 |  state state
      |        ^^^^^
hint: a new cluster begins with the folder `state` that `quorate cluster new` wrote for each replica; without those nobody votes, ever
";
    assert_eq!(told(&needed(), folder.path()), expected);
    assert!(!state.exists());
    fs::create_dir(&state).unwrap();
    assert_eq!(told(&needed(), folder.path()), expected);
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
}

#[test]
fn state_folder_that_cannot_be_looked_into_is_warned_of() {
    let folder = folder_without_log();
    fs::write(folder.path().join("state"), "a file").unwrap();
    let told = told(&needed(), folder.path());
    assert!(
        told.starts_with("Corefile:4:8: warning: byzantine-consensus: state: cannot look into `state`: "),
        "{told}"
    );
}

#[test]
fn second_directive_in_a_block_is_refused() {
    let one = format!("byzantine-consensus cluster.toml {{\n {NEEDED}\n}}");
    let text = format!(". {{\n{one}\n{one}\n}}\n");
    assert_eq!(
        errors(&text, folder().path()),
        ["Corefile:6:1: error: byzantine-consensus: expected at most once in a server block"]
    );
}

#[test]
fn two_blocks_of_one_cluster_for_one_zone_are_refused() {
    let one = format!("byzantine-consensus cluster.toml {{\n {NEEDED}\n}}");
    let text = format!("example.org {{\n{one}\n}}\nexample.net tls://example.org {{\n{one}\n}}\n");
    assert_eq!(
        errors(&text, folder().path()),
        [
            "Corefile:8:1: error: byzantine-consensus: expected one block of this cluster for the zone `example.org.`, found a second; the first is at Corefile:2:1"
        ]
    );
}

#[test]
fn blocks_of_one_cluster_for_different_zones_are_accepted() {
    let one = format!("byzantine-consensus cluster.toml {{\n {NEEDED}\n}}");
    let text = format!(". {{\n{one}\n}}\nexample.org tls://example.org {{\n{one}\n}}\n");
    assert_eq!(errors(&text, folder().path()), [""; 0]);
}

/// What the lines mean to the node of a cluster whose file says 50 entries and 3 slots.
fn node(lines: &str) -> NodeSettings {
    let text = block(&format!("{NEEDED}\n {lines}"));
    let sources = MemorySources::new().with_file("Corefile", text.as_str());
    let (corefile, mut diagnostics) =
        corefile::parse("Corefile".as_ref(), &sources, &ParseOptions::default());
    let directive = corefile.blocks[0].directives_named("byzantine-consensus").next().unwrap();
    let words = read(&mut corefile::options::Options::new(directive, &mut diagnostics));
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    node_settings(&words, &Setting::new().cluster)
}

#[test]
fn batch_and_pipeline_only_lower_what_the_cluster_file_allows() {
    let pace = |lines| {
        let node = node(lines);
        (node.batch_entries, node.batch_wait.as_millis(), node.pipeline)
    };
    assert_eq!(pace(""), (50, 2, 3));
    assert_eq!(pace("batch 20 5ms\n pipeline 2"), (20, 5, 2));
    assert_eq!(pace("batch 20"), (20, 2, 3));
    assert_eq!(pace("batch 51\n pipeline 4"), (50, 2, 3));
    assert_eq!(pace("batch off"), (1, 0, 3));
}

#[test]
fn fast_path_is_on_unless_told_otherwise() {
    let fast_path = |lines| node(lines).fast_path;
    assert_eq!((fast_path(""), fast_path("fast-path on")), (FastPath::On, FastPath::On));
    assert_eq!(fast_path("fast-path off"), FastPath::Off);
    assert_eq!(fast_path("fast-path on 0.9"), FastPath::AtLeast(0.9));
}

#[test]
fn detector_is_on_and_trusts_from_a_half_unless_told_otherwise() {
    let detector = |lines| (node(lines).detector, node(lines).reputation_threshold);
    assert_eq!(detector(""), (true, 0.5));
    assert_eq!(detector("detector on\n reputation-threshold 0"), (true, 0.0));
    assert_eq!(detector("detector off\n reputation-threshold 0.75"), (false, 0.75));
}

#[test]
fn every_filter_has_its_word() {
    let filter = |lines: &str| node(lines).filter;
    assert_eq!(filter(""), Mode::Auto);
    for (word, expected) in [
        ("auto", Mode::Auto),
        ("socket", Mode::Socket),
        ("tc eth0", Mode::Tc("eth0".to_owned())),
        ("xdp enp3s0f0.100", Mode::Xdp("enp3s0f0.100".to_owned())),
        ("userspace", Mode::Userspace),
        ("off", Mode::Off),
    ] {
        assert_eq!(filter(&format!("filter {word}")), expected);
    }
}

#[cfg(feature = "adversary")]
#[test]
fn adversary_is_named_and_may_be_told_how_late() {
    use std::time::Duration;

    use crate::byzantine_consensus::adversary::Vice;

    assert_eq!(node("").adversary, None);
    assert_eq!(node("adversary equivocator").adversary, Some(Vice::Equivocator));
    assert_eq!(node("adversary late").adversary, Some(Vice::Late(::node::adversary::LATE)));
    assert_eq!(node("adversary late 90ms").adversary, Some(Vice::Late(Duration::from_millis(90))));
}

#[cfg(not(feature = "adversary"))]
#[test]
fn adversary_is_known_to_no_program_for_use() {
    for name in ADVERSARIES {
        assert_eq!(
            errors_of(&format!("{NEEDED}\n adversary {name}")),
            [
                "Corefile:5:12: error: byzantine-consensus: adversary: expected a program that was built with the feature `adversary`, this one was not"
            ]
        );
    }
    let told = told(&block(&format!("{NEEDED}\n adversary late")), folder().path());
    assert!(told.contains("hint: `cargo build --release --features adversary` makes one"), "{told}");
}

#[test]
fn view_change_timeout_is_a_second_or_as_long_as_timeout() {
    let wait = |lines| node(lines).view_change_timeout.as_millis();
    assert_eq!(wait(""), 1000);
    assert_eq!(wait("view-change-timeout 400ms"), 400);
    assert_eq!(wait("timeout 3s"), 3000);
    assert_eq!(wait("view-change-timeout 5s\n timeout 3s"), 5000);
}

#[test]
fn threshold_of_the_fast_path_is_refused_without_the_detector() {
    let folder = folder();
    let expected = "\
Corefile:6:15: error: byzantine-consensus: fast-path: expected no reputation beside `detector off`, got one
    6 |  fast-path on 0.9
      |               ^^^
hint: without statistics no reputation grows, so no answer would ever go out early; write `fast-path on`, or `detector on`
";
    assert_eq!(told(&block(&format!("{NEEDED}\n detector off\n fast-path on 0.9")), folder.path()), expected);
}

#[test]
fn node_is_started_with_what_the_directive_says() {
    let mut identity = super::four::Four::new(|_| {}).identity(1);
    identity.settings.fast_path = FastPath::Off;
    identity.settings.view_change_timeout = std::time::Duration::from_millis(700);
    let config = crate::byzantine_consensus::nodes::config(&identity);
    assert_eq!((config.fast_path, config.timeouts.view_change_ms), (false, 700));
}

#[test]
fn node_is_told_of_detector_and_filter() {
    let mut identity = super::four::Four::new(|_| {}).identity(1);
    identity.settings.fast_path = FastPath::AtLeast(0.9);
    identity.settings.detector = false;
    identity.settings.reputation_threshold = 0.25;
    identity.settings.filter = Mode::Tc("eth0".to_owned());
    let config = crate::byzantine_consensus::nodes::config(&identity);
    assert_eq!((config.detector, config.reputation_threshold), (false, 0.25));
    assert_eq!((config.filter, config.fast_path), (Mode::Tc("eth0".to_owned()), true));
}
