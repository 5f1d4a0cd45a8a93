//! What an operator chooses for a cluster, and what becomes of a cluster file that is changed later.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use system_tests::clients::{answers, dig};
use system_tests::cluster::{Cluster, READY};
use system_tests::program::{eventually, run, stderr, stdout};
use system_tests::upstream::Upstream;
use tempfile::TempDir;

const SETTINGS: &str = r#"
pipeline = 2
history = "0s"
ttl-max = "5m"

[agreement]
"strong.example.org" = "strong"
"corroborated.example.org" = "corroborated"
"observe.example.org" = "observe"
"bypass.example.org" = "bypass"

[[replica]]
id = 1
name = "ams"
upstream-group = "isp-a"
"#;

/// What upstream `id` says: `same` is the same everywhere, `one` differs at 3, `half` at 2 and 3, and of `each` only one record is everywhere.
fn zone(id: u8) -> String {
    let mut text = "$ORIGIN example.org.\n$TTL 300\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 192.0.2.53\n".to_owned();
    for zone in ["strong", "corroborated", "observe", "bypass", "default"] {
        text += &format!(
            "same.{zone} IN A 192.0.2.80\none.{zone} IN A 192.0.2.{}\nhalf.{zone} IN A 192.0.2.{}\n\
             each.{zone} IN A 192.0.2.80\neach.{zone} IN A 192.0.2.{}\n",
            81 + id / 3,
            81 + id / 2,
            90 + id,
        );
    }
    text
}

fn ask(cluster: &Cluster, id: usize, name: &str) -> String {
    dig(cluster.dns(id), &[&format!("{name}.example.org"), "A"])
}

/// Asks until the answer is this: a replica that was late may be missing from the first decision, and that is remembered for a second.
fn gets(cluster: &Cluster, id: usize, name: &str, expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|last| format!("A 192.0.2.{last}")).collect();
    eventually(&format!("{name} at replica {id}"), READY, || {
        (answers(&ask(cluster, id, name)) == expected).then_some(())
    });
}

/// Asks with `quorate query --json`; what it says, and its exit code.
fn query(cluster: &Cluster, id: usize, name: &str) -> (Option<i32>, Value, String) {
    let file = cluster.dir.join("cluster.toml");
    let server = format!("@127.0.0.1:{}", cluster.dns(id));
    let name = format!("{name}.example.org");
    let output = run(&["query", &name, "A", &server, "--json", "--cluster", file.to_str().unwrap()]);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), stderr(&output))
}

/// Class and policy by `quorate query`.
fn is_certified(cluster: &Cluster, id: usize, name: &str, class: &str, policy: &str) {
    let (code, said, error) = query(cluster, id, name);
    assert_eq!(code, Some(0), "{name}: {said} {error}");
    assert_eq!((said["class"].as_str(), said["policy"].as_str()), (Some(class), Some(policy)), "{name}");
}

fn is_refused_with(cluster: &Cluster, id: usize, name: &str, reason: &str) {
    eventually(&format!("{name} to be refused at replica {id}"), READY, || {
        let printed = ask(cluster, id, name);
        assert!(printed.contains("status: SERVFAIL"), "{name}: {printed}");
        printed.contains(reason).then_some(())
    });
}

#[test]
fn every_policy_that_was_chosen_does_what_it_says() {
    let folder = TempDir::new().unwrap();
    let settings = folder.path().join("settings.toml");
    fs::write(&settings, SETTINGS).unwrap();
    let upstreams: Vec<Upstream> = (0..4).map(|id| Upstream::serve("example.org.", &zone(id))).collect();
    let addresses: Vec<String> = upstreams.iter().map(|upstream| upstream.address.to_string()).collect();
    let chosen = ["--settings", settings.to_str().unwrap(), "--policy", ".=records"];
    let mut cluster = Cluster::choosing(4, &addresses, &chosen);
    let file = fs::read_to_string(cluster.folder(0).join("cluster.toml")).unwrap();
    for line in [
        "\"strong.example.org.\" = \"strong\"",
        "name = \"ams\"",
        "upstream-group = \"isp-a\"",
        "upstream-group = \"path-0\"",
    ] {
        assert!(file.lines().any(|found| found == line), "no {line} in {file}");
    }
    assert!(file.contains("pipeline = 2 ") && file.contains("history = \"0s\" "), "{file}");
    cluster.start_all();

    // Four replicas that answer, three of whom agree at best.
    gets(&cluster, 0, "same.strong", &["80"]);
    gets(&cluster, 3, "one.strong", &["81"]);
    is_certified(&cluster, 0, "same.strong", "strong", "strong");
    is_refused_with(&cluster, 0, "half.strong", "no 3 of them alike)");
    gets(&cluster, 3, "one.corroborated", &["81"]);
    gets(&cluster, 3, "same.corroborated", &["80"]);
    is_certified(&cluster, 0, "same.corroborated", "strong", "corroborated");
    gets(&cluster, 1, "each.default", &["80"]);
    is_certified(&cluster, 1, "each.default", "records", "records");

    // Each replica's own answer, at once; the decision follows, and who differs says so.
    gets(&cluster, 0, "one.observe", &["81"]);
    gets(&cluster, 3, "one.observe", &["82"]);
    gets(&cluster, 2, "half.observe", &["82"]);
    let held = "/v1/certificates?name=same.observe.example.org&type=A";
    gets(&cluster, 0, "same.observe", &["80"]);
    eventually("replica 1 to hold the decision", READY, || {
        cluster.http(1, held).filter(|(status, _)| *status == 200)
    });
    is_certified(&cluster, 1, "same.observe", "strong", "observe");
    eventually("replica 3 to say that it differs", READY, || {
        let (_, metrics) = cluster.http(3, "/metrics")?;
        let differs =
            |line: &str| line.starts_with("quorate_consensus_differences_total") && !line.ends_with(" 0");
        metrics.lines().any(differs).then_some(())
    });

    // Nobody is asked.
    for (id, own) in [(0, "90"), (3, "93")] {
        gets(&cluster, id, "each.bypass", &["80", own]);
    }
    let (code, _, said) = query(&cluster, 0, "same.bypass");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("without a certificate"), "{said}");

    // Three replicas that answer: two alike are a majority, and no quorum.
    cluster.kill_replica(3);
    gets(&cluster, 0, "half.corroborated", &["81"]);
    is_certified(&cluster, 1, "half.corroborated", "corroborated", "corroborated");
    is_refused_with(&cluster, 1, "half.strong", "3 of 4 replicas answered, no 3 of them alike)");
}

/// A cluster's files, and `quorate check` of replica 0.
fn made() -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("cluster");
    let made = run(&["cluster", "new", "--dir", dir.to_str().unwrap(), "--upstream", "192.0.2.1"]);
    assert!(made.status.success(), "{}", stderr(&made));
    (folder, dir.join("replica-0"))
}

fn check(replica: &Path) -> (Option<i32>, String) {
    let output: Output = run(&["check", replica.join("Corefile").to_str().unwrap()]);
    (output.status.code(), format!("{}{}", stdout(&output), stderr(&output)))
}

fn edit(replica: &Path, old: &str, new: &str) {
    let path = replica.join("cluster.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{text}");
    fs::write(path, text.replace(old, new)).unwrap();
}

#[test]
fn check_names_the_place_of_what_is_wrong_with_a_cluster_file() {
    let (_folder, replica) = made();
    let (code, said) = check(&replica);
    assert_eq!((code, said.contains(": ok, ")), (Some(0), true), "{said}");
    for (policy, expected) in
        [("strng", "did you mean `strong`?"), ("dnssec", "the strictest policy that it has is `strong`")]
    {
        edit(&replica, "\".\" = \"records\"", &format!("\".\" = \"{policy}\""));
        let text = fs::read_to_string(replica.join("cluster.toml")).unwrap();
        let line = text.lines().position(|line| line.starts_with("\".\"")).unwrap() + 1;
        let (code, said) = check(&replica);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&format!("cluster.toml:{line}:7: ")) && said.contains(expected), "{said}");
        edit(&replica, policy, "records");
    }
}

#[test]
fn check_says_that_a_changed_cluster_file_is_not_that_of_the_log() {
    let (_folder, replica) = made();
    edit(&replica, "[agreement]", "[agreement]\n\"example.org.\" = \"strong\"");
    let (code, said) = check(&replica);
    assert_eq!(code, Some(1), "{said}");
    let corefile = fs::read_to_string(replica.join("Corefile")).unwrap();
    let line = corefile.lines().position(|line| line.trim() == "state state").unwrap() + 1;
    assert!(said.contains(&format!("Corefile:{line}:15: error: byzantine-consensus: state: ")), "{said}");
    assert!(said.contains("found that of replica 0 under another"), "{said}");
    assert!(said.contains("quorate cluster new --settings cluster.toml"), "{said}");
}

#[test]
fn check_says_that_a_replica_without_a_log_will_learn_and_makes_none() {
    let (_folder, replica) = made();
    fs::remove_dir_all(replica.join("state")).unwrap();
    let (code, said) = check(&replica);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("warning: byzantine-consensus: state: no log in ")
            && said.contains("nobody votes, ever"),
        "{said}"
    );
    assert!(!replica.join("state").exists());
}

#[test]
fn start_under_a_changed_cluster_file_is_refused_and_forgets_nothing() {
    let upstream = Upstream::serve("example.org.", &zone(0));
    let mut cluster = Cluster::start(4, &[upstream.address.to_string()]);
    cluster.grow_log(0, 3, "first");
    let known = cluster.folder(3).join("state/reputation");
    cluster.signal(3, libc::SIGTERM);
    eventually("replica 3 to end", READY, || (!cluster.runs(3)).then_some(()));
    let before = fs::read(&known).expect("it says what it knows of the others");
    edit(&cluster.folder(3), "ttl-max = \"1h\"", "ttl-max = \"2h\"");
    cluster.start_replica(3);
    eventually("it to be refused", READY, || (!cluster.runs(3)).then_some(()));
    let log = cluster.log(3);
    assert!(log.contains("found that of replica 3 under another"), "{log}");
    assert_eq!(fs::read(&known).expect("it is still there"), before);
    edit(&cluster.folder(3), "ttl-max = \"2h\"", "ttl-max = \"1h\"");
    cluster.start_replica(3);
    cluster.wait_until_ready(3);
}

#[test]
fn changed_file_of_a_cluster_makes_a_new_one_that_answers() {
    let upstream = Upstream::serve("example.org.", &zone(0));
    let old = Cluster::choosing(4, &[upstream.address.to_string()], &["--name", "ours"]);
    let file = old.folder(0).join("cluster.toml");
    edit(&old.folder(0), "[agreement]", "[agreement]\n\"example.org.\" = \"strong\"");
    let mut cluster = Cluster::like(&file, 4, &[upstream.address.to_string()]);
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let address = |text: &str| {
        text.lines().filter(|line| line.starts_with("address")).map(str::to_owned).collect::<Vec<_>>()
    };
    let (was, is) = (read(&file), read(&cluster.folder(0).join("cluster.toml")));
    assert!(is.contains("name = \"ours\""), "{is}");
    assert_eq!(address(&was), address(&is));
    cluster.start_all();
    is_certified(&cluster, 0, "same.default", "strong", "strong");
}
