//! Snapshots of revocation lists, and content that is in force and not here.

use bytes::Bytes;
use certificate::Digest;
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use transparency::content::encode_lists;
use transparency::digest::Sha256;
use transparency::operation::{Answer, InputKind, InputSubject};

use super::agreeing::{Peers, answer, idle, observe, pem, put, update, why_not};
use super::{MATERIALS, august_ms, plugin, vectors};
use crate::ct_verify::CtVerify;
use crate::validator::Validator;

pub fn list(name: &str) -> Vec<u8> {
    let pem = std::fs::read(vectors().join(format!("crl/{name}.crl"))).unwrap();
    CertificateRevocationListDer::from_pem_slice(&pem).unwrap().to_vec()
}

pub fn with_lists(lines: &str) -> CtVerify {
    plugin(&format!("{MATERIALS}intermediates chains/good.pem\n{lines}"))
}

#[tokio::test]
async fn own_lists_take_nothing_back_that_is_in_force() {
    let plugin = with_lists("crl crl/current.crl");
    let own = plugin.core.own.materials().lists.clone().unwrap();
    let alone = update(InputKind::Lists, own.digest);
    assert_eq!(answer(&observe(&plugin, &alone, &Peers::default()).await), Answer::Accepted);
    let both = Bytes::from(encode_lists(&[list("current"), list("root-good")]));
    put(&plugin, InputKind::Lists, plugin.core.contents.put(both), august_ms());
    let said = observe(&plugin, &alone, &Peers::default()).await;
    assert_eq!(answer(&said), Answer::Refused("list_gone".to_owned()));
}

#[tokio::test]
async fn two_lists_for_the_same_are_refused_before_signatures_are_looked_at() {
    let plugin = with_lists("");
    let mut forged = list("current");
    *forged.last_mut().unwrap() ^= 1;
    let content = Bytes::from(encode_lists(&[list("current"), forged]));
    let task = update(InputKind::Lists, Sha256::of(&content));
    let said = observe(&plugin, &task, &Peers::with(&[content])).await;
    assert_eq!(answer(&said), Answer::Refused("lists_ambiguous".to_owned()));
}

#[tokio::test]
async fn lists_are_not_judged_while_those_in_force_are_not_to_be_had() {
    let plugin = with_lists("crl crl/current.crl");
    let both = Bytes::from(encode_lists(&[list("current"), list("root-good")]));
    put(&plugin, InputKind::Lists, Sha256::of(&both), august_ms());
    let own = plugin.core.own.materials().lists.clone().unwrap();
    assert!(!plugin.core.wishes(august_ms()).contains(&update(InputKind::Lists, own.digest)));
    let task = update(InputKind::Lists, own.digest);
    let said = observe(&plugin, &task, &Peers::default()).await;
    assert!(why_not(&said).ends_with("is not to be had"), "{said:?}");
    let said = observe(&plugin, &task, &Peers::with(&[both])).await;
    assert_eq!(answer(&said), Answer::Refused("list_gone".to_owned()));
}

#[test]
fn content_in_force_that_is_not_here_is_missing_until_it_is_found() {
    let plugin = with_lists("");
    let content = Bytes::from(encode_lists(&[list("current")]));
    let digest = Digest(Sha256::of(&content).0);
    assert_eq!(plugin.core.missing(), []);
    plugin.core.found(&digest, content.clone());
    put(&plugin, InputKind::Lists, Sha256(digest.0), august_ms());
    assert_eq!(plugin.core.missing(), [digest]);
    plugin.core.found(&digest, Bytes::from_static(b"something else"));
    plugin.core.found(&Digest([7; 32]), content.clone());
    assert_eq!(plugin.core.missing(), [digest]);
    plugin.core.found(&digest, content);
    assert_eq!(plugin.core.missing(), []);
    assert!(plugin.core.in_force.now(InputKind::Lists).unwrap().input.is_some());
}

#[test]
fn content_that_cannot_be_read_is_not_asked_for_again() {
    let plugin = with_lists("");
    let content = Bytes::from_static(b"of a later version");
    let digest = Digest(Sha256::of(&content).0);
    put(&plugin, InputKind::Lists, Sha256(digest.0), august_ms());
    plugin.core.found(&digest, content);
    assert_eq!(plugin.core.missing(), []);
    assert!(plugin.core.in_force.now(InputKind::Lists).unwrap().input.is_none());
}

#[tokio::test]
async fn chains_that_are_handed_in_drive_out_no_lists_that_are_wished_for() {
    let plugin = with_lists("crl crl/current.crl");
    let theirs = Bytes::from(encode_lists(&[list("root-good")]));
    put(&plugin, InputKind::Lists, plugin.core.contents.put(theirs), august_ms());
    idle(&plugin).await;
    plugin.core.wishes(august_ms());
    idle(&plugin).await;
    let wish = plugin.core.wishes(august_ms() + 10_000).pop().unwrap();
    let digest = Digest(InputSubject::decode(&wish.subject).unwrap().digest.0);
    let (good, fetched) = (pem("good"), plugin.core.contents.put(Bytes::from_static(b"fetched")));
    for number in 0..4100 {
        let more = format!("-----BEGIN CERTIFICATE-----\nAAAA{number:04}\n-----END CERTIFICATE-----\n");
        plugin.core.compose("", &[&good, more.as_bytes()].concat(), august_ms()).unwrap();
    }
    assert!(plugin.core.contents.get(&fetched).is_some());
    for fill in 0..5 {
        plugin.core.contents.put(Bytes::from(vec![fill; 16 << 20]));
    }
    assert!(plugin.core.content(&digest).is_some(), "peers can have what is wished");
}
