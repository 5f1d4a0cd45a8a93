//! Tests of `tls`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use crate::rehearsal::{messages, set_up};

/// A folder with `a.pem`, `a.key`, `b.pem`, `b.key` and `empty.pem`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        let made = rcgen::generate_simple_self_signed(vec![format!("{name}.example.org")]).unwrap();
        write(folder.path(), &format!("{name}.pem"), &made.cert.pem(), 0o644);
        write(folder.path(), &format!("{name}.key"), &made.signing_key.serialize_pem(), 0o600);
    }
    write(folder.path(), "empty.pem", "nothing\n", 0o600);
    folder
}

fn write(folder: &Path, name: &str, text: &str, mode: u32) {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What `tls WORDS` has to say, with `root` set to `folder`, whose path is left out.
fn told(folder: &TempDir, words: &str) -> Vec<String> {
    let path = folder.path().display().to_string();
    let texts = messages(&format!("root {path}\ntls {words}"));
    texts.iter().map(|text| text.replace(&format!("{path}/"), "")).collect()
}

#[test]
fn pair_is_accepted_and_found_from_the_root() {
    let folder = folder();
    assert_eq!(told(&folder, "a.pem a.key"), [""; 0]);
    let text = format!("root {}\ntls a.pem a.key", folder.path().display());
    let files = set_up(&text, |block| block.settings.tls.clone()).1.unwrap();
    assert_eq!((files.certificate, files.key), (folder.path().join("a.pem"), folder.path().join("a.key")));
}

#[test]
fn both_files_are_watched_even_when_they_cannot_be_used() {
    let folder = folder();
    let watched = |words: &str| {
        let text = format!("root {}\ntls {words}", folder.path().display());
        set_up(&text, |block| block.settings.watched.values().map(Option::is_some).collect::<Vec<_>>()).1
    };
    assert_eq!(watched("a.pem a.key"), [true, true]);
    assert_eq!(watched("a.pem b.key"), [true, true], "the right key may come a moment later");
    assert_eq!(watched("a.pem no.key"), [true, false]);
}

#[test]
fn files_that_are_missing_or_hold_something_else_are_told() {
    let folder = folder();
    let missing = "Corefile:3:5: error: tls: cannot read `no.pem`: No such file or directory (os error 2)";
    assert_eq!(told(&folder, "no.pem a.key"), [missing]);
    assert_eq!(
        told(&folder, "empty.pem a.key"),
        ["Corefile:3:5: error: tls: `empty.pem` holds no certificate"]
    );
    assert_eq!(
        told(&folder, "a.pem empty.pem"),
        ["Corefile:3:11: error: tls: `empty.pem` holds no private key"]
    );
    assert_eq!(
        told(&folder, "a.pem"),
        ["Corefile:3:10: error: tls: expected a path, got the end of the line"]
    );
}

#[test]
fn key_of_another_certificate_is_refused() {
    let expected = "Corefile:3:11: error: tls: the key is not that of the certificate";
    assert_eq!(told(&folder(), "a.pem b.key"), [expected]);
}

#[test]
fn key_that_others_can_read_gets_a_warning() {
    let folder = folder();
    fs::set_permissions(folder.path().join("a.key"), fs::Permissions::from_mode(0o640)).unwrap();
    let expected = "Corefile:3:11: warning: tls: others can read the key, its mode is 0640";
    assert_eq!(told(&folder, "a.pem a.key"), [expected]);
}
