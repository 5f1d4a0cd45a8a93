//! Certificates as people get them, checked by our program and by a verifier that shares no line with it.

use std::path::Path;

use system_tests::clients::{dig, python};
use system_tests::cluster::Demo;
use system_tests::program::{run, stderr, stdout};
use tempfile::TempDir;

const NAME: &str = "www.example.org";

fn save(demo: &Demo, folder: &Path, name: &str, rtype: &str) -> String {
    let path = folder.join(format!("{name}-{rtype}.qrt")).to_str().unwrap().to_owned();
    let server = format!("@127.0.0.1:{}", demo.ports(0).dns);
    let output = run(&["query", name, rtype, &server, "--cluster", &demo.cluster_file(), "--save", &path]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    path
}

#[test]
fn saved_certificate_is_valid_for_both_verifiers_and_expires_for_both() {
    let demo = Demo::start(&[]);
    let cluster = demo.cluster_file();
    let folder = TempDir::new().unwrap();
    for (name, rtype) in [(NAME, "A"), ("nosuch.example.org", "AAAA"), ("example.org", "TXT")] {
        let path = save(&demo, folder.path(), name, rtype);
        let ours = run(&["verify", &path, "--cluster", &cluster, "--name", name, "--type", rtype]);
        assert_eq!(ours.status.code(), Some(0), "{}{}", stdout(&ours), stderr(&ours));
        let theirs = python("verify.py", &[&cluster, &path, "--name", name, "--type", rtype]);
        assert_eq!(theirs.status.code(), Some(0), "{}{}", stdout(&theirs), stderr(&theirs));
        // In the year 2100.
        let later = "4102444800000";
        let ours = run(&["verify", &path, "--cluster", &cluster, "--at", later]);
        assert_eq!(ours.status.code(), Some(2), "{}", stdout(&ours));
        let theirs = python("verify.py", &[&cluster, &path, "--at", later]);
        assert_eq!(theirs.status.code(), Some(2), "{}", stdout(&theirs));
    }
}

#[test]
fn damaged_certificate_is_refused_by_both_verifiers() {
    let demo = Demo::start(&[]);
    let cluster = demo.cluster_file();
    let folder = TempDir::new().unwrap();
    let path = save(&demo, folder.path(), NAME, "A");
    let whole = std::fs::read(&path).unwrap();
    // The library tests flip every bit; here a few, through the commands.
    for place in [5, 40, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let ours = run(&["verify", &path, "--cluster", &cluster]);
        assert!(
            matches!(ours.status.code(), Some(1 | 3)),
            "byte {place}: {}{}",
            stdout(&ours),
            stderr(&ours)
        );
        let theirs = python("verify.py", &[&cluster, &path]);
        assert!(matches!(theirs.status.code(), Some(1 | 3)), "byte {place}: {}", stdout(&theirs));
    }
}

#[test]
fn certificate_for_another_question_is_refused() {
    let demo = Demo::start(&[]);
    let folder = TempDir::new().unwrap();
    let path = save(&demo, folder.path(), NAME, "A");
    let output = run(&["verify", &path, "--cluster", &demo.cluster_file(), "--name", "mail.example.org"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("another question"), "{}", stdout(&output));
}

#[test]
fn class_below_the_least_has_an_exit_code_of_its_own() {
    let demo = Demo::start(&[]);
    let folder = TempDir::new().unwrap();
    let path = save(&demo, folder.path(), NAME, "A");
    let output = run(&["verify", &path, "--cluster", &demo.cluster_file(), "--min-class", "secure"]);
    assert_eq!(output.status.code(), Some(4), "{}", stdout(&output));
}

#[test]
fn certificate_in_dig_output_can_be_verified() {
    let demo = Demo::start(&[]);
    let cluster = demo.cluster_file();
    let folder = TempDir::new().unwrap();
    let port = demo.ports(0).dns;
    let txt = dig(port, &["+tcp", "+short", "TXT", &format!("_certificate.{NAME}")]);
    let option = dig(port, &["+tcp", "+ednsopt=65321:01", NAME, "A"]);
    for (form, printed) in [("TXT", txt), ("option", option)] {
        let path = folder.path().join(form);
        std::fs::write(&path, &printed).unwrap();
        let output = run(&["verify", path.to_str().unwrap(), "--cluster", &cluster, "--name", NAME]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{form}: {printed}\n{}{}",
            stdout(&output),
            stderr(&output)
        );
    }
}

#[test]
fn datagram_carries_the_reference_and_every_replica_gives_the_same() {
    let demo = Demo::start(&[]);
    let reference = |id: usize| {
        let printed = dig(demo.ports(id).dns, &["+ednsopt=65321:02", NAME, "A"]);
        let line = printed.lines().find(|line| line.contains("OPT=65321")).map(str::to_owned);
        line.unwrap_or_else(|| panic!("no option in {printed}"))
    };
    let first = reference(0);
    assert!(first.contains("02 "), "{first}");
    assert_eq!(reference(2), first);
}

#[test]
fn nobody_gets_a_certificate_unasked() {
    let demo = Demo::start(&[]);
    assert!(!dig(demo.ports(0).dns, &[NAME, "A", "+tcp"]).contains("OPT=65321"));
}

#[test]
fn cached_answer_keeps_its_certificate() {
    let demo = Demo::start(&[]);
    let port = demo.ports(0).dns;
    let option = || {
        let printed = dig(port, &["+tcp", "+ednsopt=65321:01", NAME, "A"]);
        printed.lines().find(|line| line.contains("OPT=65321")).map(str::to_owned).expect("a certificate")
    };
    let first = option();
    assert_eq!(option(), first, "the second comes from the cache, with the same certificate");
}
