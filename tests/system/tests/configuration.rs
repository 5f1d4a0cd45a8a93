//! What an admin meets: commands, their errors and their exit codes.

use std::fs;
use std::time::Duration;

use system_tests::data;
use system_tests::program::{eventually, root, run, stderr, stdout};
use system_tests::server::{Server, free_port};
use tempfile::TempDir;

/// Longer than a change takes to be noticed on a busy machine.
const WAIT: Duration = Duration::from_secs(60);

fn check(text: &str) -> (Option<i32>, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("Corefile");
    fs::write(&path, text).unwrap();
    let output = run(&["check", path.to_str().unwrap()]);
    let said = format!("{}{}", stdout(&output), stderr(&output));
    (output.status.code(), said.replace(&format!("{}/", folder.path().display()), ""))
}

#[test]
fn good_corefile_passes() {
    let (code, said) = check(".:1053 {\n    bind 127.0.0.1\n    whoami\n}\n");
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn all_errors_come_at_once_with_place_and_hint() {
    let (code, said) = check(".:1053 {\n    cache 0\n    forwrad . 192.0.2.1\n}\n");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Corefile:2:11"), "{said}");
    assert!(said.contains("Corefile:3:5"), "{said}");
    assert!(said.contains("unknown directive `forwrad`"), "{said}");
    assert!(said.contains("did you mean `forward`?"), "{said}");
}

#[test]
fn broken_corefile_is_said_once_and_a_mended_one_is_taken_without_a_signal() {
    let corefile = |line: &str| {
        format!(".:{} {{\n    bind 127.0.0.1\n    reload 2s 0s\n    whoami\n{line}}}\n", free_port())
    };
    let mut server = Server::start(&corefile(""), &[]);
    let write = |text: &str| fs::write(server.folder().join("Corefile"), text).unwrap();
    let says = |what: &str| eventually(what, WAIT, || server.stderr().contains(what).then_some(()));
    write(&corefile("    nosuch\n"));
    says("the running configuration is kept");
    write(&corefile(""));
    says("reloaded");
    let said = server.stderr();
    assert_eq!(said.matches("Corefile:5:5: error: unknown directive `nosuch`").count(), 1, "{said}");
    assert_eq!(said.matches("the running configuration is kept").count(), 1, "{said}");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn zone_served_twice_is_refused_with_the_place_of_the_first() {
    let (code, said) = check("example.org:1053 {\n    whoami\n}\nexample.org:1053 {\n    whoami\n}\n");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("already defined") && said.contains("Corefile:1"), "{said}");
}

#[test]
fn corefile_of_a_new_cluster_passes() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("cluster");
    let made = run(&[
        "cluster",
        "new",
        "--dir",
        dir.to_str().unwrap(),
        "--replicas",
        "7",
        "--upstream",
        "192.0.2.1",
    ]);
    assert!(made.status.success(), "{}", stderr(&made));
    for id in 0..7 {
        let corefile = dir.join(format!("replica-{id}/Corefile"));
        let checked = run(&["check", corefile.to_str().unwrap()]);
        assert_eq!(checked.status.code(), Some(0), "{}{}", stdout(&checked), stderr(&checked));
    }
}

#[test]
fn key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("cluster");
    let made = run(&["cluster", "new", "--dir", dir.to_str().unwrap(), "--upstream", "192.0.2.1"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let key = dir.join("replica-0/replica.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let checked = run(&["check", dir.join("replica-0/Corefile").to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(1));
    let said = format!("{}{}", stdout(&checked), stderr(&checked));
    assert!(said.contains("readable by its owner alone"), "{said}");
}

#[test]
fn cluster_with_too_few_replicas_for_its_faults_is_refused() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("cluster");
    let made = run(&["cluster", "new", "--dir", dir.to_str().unwrap(), "--replicas", "6", "--faults", "2"]);
    assert!(!made.status.success());
    assert!(stderr(&made).contains("expected at least 7 replicas"), "{}", stderr(&made));
}

#[test]
fn example_corefile_passes_beside_the_files_that_it_names() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("cluster");
    let made = run(&["cluster", "new", "--dir", dir.to_str().unwrap(), "--upstream", "192.0.2.1"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let replica = dir.join("replica-0");
    fs::copy(root().join("Corefile.example"), replica.join("Corefile.example")).unwrap();
    fs::create_dir(replica.join("zones")).unwrap();
    fs::copy(root().join("zones/example.org.zone"), replica.join("zones/example.org.zone")).unwrap();
    let checked = run(&["check", replica.join("Corefile.example").to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "{}{}", stdout(&checked), stderr(&checked));
}

#[test]
fn real_corefiles_get_a_verdict_and_never_a_crash() {
    let Some(folder) = data::folder("corefiles") else { return };
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "Corefile") {
            let output = run(&["check", path.to_str().unwrap()]);
            assert!(matches!(output.status.code(), Some(0 | 1)), "{}: {:?}", path.display(), output.status);
        }
    }
}

#[test]
fn missing_corefile_is_an_error_with_a_hint() {
    let folder = TempDir::new().unwrap();
    let output = run(&["serve", "-c", folder.path().join("Corefile").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("Corefile"), "{}", stderr(&output));
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in
        [&["serve"][..], &["check"], &["cluster", "new"], &["demo"], &["query"], &["verify"], &["plugins"]]
    {
        let output = run(&[command, &["--help"]].concat());
        assert!(output.status.success(), "{command:?}");
        assert!(stdout(&output).contains("quorate "), "{command:?}: {}", stdout(&output));
    }
    assert!(stdout(&run(&["--version"])).starts_with("quorate "));
}

#[test]
fn plugins_are_listed_in_the_order_of_the_chain() {
    let listed = stdout(&run(&["plugins"]));
    let place = |name: &str| listed.find(name).unwrap_or_else(|| panic!("no {name} in\n{listed}"));
    assert!(place("cache") < place("byzantine-consensus"));
    assert!(place("byzantine-consensus") < place("forward"));
}
