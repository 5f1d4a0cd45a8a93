//! Revocation lists: expired, forged, huge, rolled back; found by the certificates that name them.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ct_log::{Authority, Clock, Lie, Site};
use ct_watch::bundle;
use ct_watch::crl::{ListError, RevocationSource, check_list};
use ct_watch::issuers::Issuers;
use ct_watch::{Source, Watch, WatchConfig};
use rustls_pki_types::CertificateDer;
use tokio::runtime::Handle;
use transparency::Moment;

use crate::stand::{NOW, Stand, watch_config};

fn der(bytes: &[u8]) -> CertificateDer<'static> {
    CertificateDer::from(bytes.to_vec())
}

fn source(stand: &Stand, authority: &Authority, places: Vec<Source>) -> Arc<RevocationSource> {
    let issuers = Issuers::open(stand.context.clone(), vec![der(authority.issuer_der())], Vec::new());
    Arc::new(RevocationSource::start(stand.context.clone(), Arc::new(issuers), places))
}

fn lists(stand: &Stand) -> usize {
    stand.context.inputs().crls.value.identity().lists
}

#[tokio::test]
async fn list_that_its_issuer_signed_is_taken() {
    let clock = Clock::at(NOW);
    let (stand, authority, site) = (Stand::new(&clock), Authority::new("Alder CA", &clock), Site::start());
    let list = authority.crl();
    let url = site.put("/ca.crl", list.clone());
    let source = source(&stand, &authority, vec![Source::Url(url)]);
    source.look().await;
    assert_eq!(bundle::decode(&stand.context.inputs().crls.bytes).unwrap(), [list]);
    assert_eq!(lists(&stand), 1);
}

#[test]
fn list_must_be_signed_be_valid_now_and_be_one() {
    let clock = Clock::at(NOW);
    let (authority, impostor) = (Authority::new("Alder CA", &clock), Authority::new("Alder CA", &clock));
    let issuers = [der(authority.issuer_der())];
    let now = clock.now();
    let list = authority.crl();
    assert!(check_list(&list, &issuers, now).is_ok());
    let forged = check_list(&impostor.crl(), &issuers, now);
    assert!(matches!(forged, Err(ListError::Signature(_))), "{forged:?}");
    let both = [der(impostor.issuer_der()), der(authority.issuer_der())];
    assert!(check_list(&list, &both, now).is_ok(), "another issuer of that name does not hide the right one");
    assert!(matches!(check_list(&list, &[], now), Err(ListError::UnknownIssuer(_))));
    assert!(matches!(check_list(&list, &issuers, now.plus_seconds(7 * 86_400)), Err(ListError::Expired(_))));
    let before = Moment::from_seconds(now.seconds() as i64 - 301);
    assert!(matches!(check_list(&list, &issuers, before), Err(ListError::Future(_))));
    assert!(matches!(check_list(&[&list[..], b"x"].concat(), &issuers, now), Err(ListError::Malformed)));
    assert!(matches!(check_list(authority.issuer_der(), &issuers, now), Err(ListError::Malformed)));
    for cut in 0..list.len() {
        assert!(check_list(&list[..cut], &issuers, now).is_err(), "{cut}");
    }
}

#[test]
fn list_that_is_partial_is_none() {
    let clock = Clock::at(NOW);
    let authority = Authority::new("Alder CA", &clock);
    let list = authority.crl();
    let (number, base) = ([0x06, 0x03, 0x55, 0x1d, 0x14], [0x06, 0x03, 0x55, 0x1d, 0x1b]);
    let at = list.windows(number.len()).position(|window| window == number).unwrap();
    let delta = [&list[..at], &base, &list[at + number.len()..]].concat();
    let taken = check_list(&delta, &[der(authority.issuer_der())], clock.now());
    assert!(
        matches!(taken, Err(ListError::Malformed)),
        "its form is looked at before its signature: {taken:?}"
    );
}

#[tokio::test]
async fn bad_list_from_a_place_leaves_the_good_one_from_there() {
    let clock = Clock::at(NOW);
    let (stand, authority, site) = (Stand::new(&clock), Authority::new("Alder CA", &clock), Site::start());
    let impostor = Authority::new("Alder CA", &clock);
    let old = authority.crl();
    clock.advance(3600);
    let url = site.put("/ca.crl", authority.crl());
    let source = source(&stand, &authority, vec![Source::Url(url)]);
    source.look().await;
    let good = stand.context.inputs().crls.digest;
    site.put("/ca.crl", impostor.crl());
    source.look().await;
    site.put("/ca.crl", old);
    source.look().await;
    assert_eq!(stand.count("crl_refused"), 2);
    site.put("/ca.crl", vec![0x30; 1000]);
    source.look().await;
    for lie in [Lie::Oversize(100 << 20), Lie::GzipBomb(100 << 20), Lie::Status(500), Lie::Cut] {
        site.lie(lie);
        source.look().await;
        site.control().be_honest();
    }
    assert_eq!(stand.context.inputs().crls.digest, good);
    clock.advance(60);
    authority.revoke(1);
    site.put("/ca.crl", authority.crl());
    source.look().await;
    assert_ne!(stand.context.inputs().crls.digest, good);
    assert_eq!(lists(&stand), 1);
}

#[tokio::test]
async fn lists_outlive_a_restart_but_not_their_time() {
    let clock = Clock::at(NOW);
    let (stand, authority, site) = (Stand::new(&clock), Authority::new("Alder CA", &clock), Site::start());
    let place = Source::Url(site.put("/ca.crl", authority.crl()));
    source(&stand, &authority, vec![place.clone()]).look().await;
    let good = stand.context.inputs().crls.digest;
    let stand = stand.restart();
    source(&stand, &authority, vec![place.clone()]);
    assert_eq!(stand.context.inputs().crls.digest, good);
    clock.advance(8 * 86_400);
    let stand = stand.restart();
    source(&stand, &authority, vec![place]);
    assert_eq!(lists(&stand), 0);
}

#[tokio::test]
async fn list_in_a_file_may_be_in_pem() {
    let clock = Clock::at(NOW);
    let (stand, authority) = (Stand::new(&clock), Authority::new("Alder CA", &clock));
    let path = stand.folder.path().join("ca.crl");
    let text = STANDARD.encode(authority.crl());
    std::fs::write(&path, format!("-----BEGIN X509 CRL-----\n{text}\n-----END X509 CRL-----\n")).unwrap();
    source(&stand, &authority, vec![Source::File(path)]);
    assert_eq!(lists(&stand), 1);
}

/// A source that believes the lists of these authorities.
fn source_of_all(stand: &Stand, authorities: &[&Authority], places: Vec<Source>) -> Arc<RevocationSource> {
    let known = authorities.iter().map(|authority| der(authority.issuer_der())).collect();
    let issuers = Issuers::open(stand.context.clone(), known, Vec::new());
    Arc::new(RevocationSource::start(stand.context.clone(), Arc::new(issuers), places))
}

#[tokio::test]
async fn all_lists_of_a_file_in_pem_are_taken_and_kept() {
    let clock = Clock::at(NOW);
    let (stand, alder, birch) =
        (Stand::new(&clock), Authority::new("Alder CA", &clock), Authority::new("Birch CA", &clock));
    let path = stand.folder.path().join("all.pem");
    let pem = |authority: &Authority| {
        format!("-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n", STANDARD.encode(authority.crl()))
    };
    std::fs::write(&path, format!("# all of ours\n{}{}", pem(&alder), pem(&birch))).unwrap();
    source_of_all(&stand, &[&alder, &birch], vec![Source::File(path.clone())]);
    assert_eq!(lists(&stand), 2);
    let stand = stand.restart();
    std::fs::write(&path, "nothing").unwrap();
    let source = source_of_all(&stand, &[&alder, &birch], vec![Source::File(path.clone())]);
    assert_eq!(lists(&stand), 2, "a file that cannot be read leaves what was taken");
    std::fs::write(&path, pem(&alder)).unwrap();
    source.look().await;
    assert_eq!(lists(&stand), 1, "a file has what the operator wants");
}

#[tokio::test]
async fn list_of_another_signer_replaces_none_that_is_valid() {
    let clock = Clock::at(NOW);
    let (stand, alder, birch) =
        (Stand::new(&clock), Authority::new("Alder CA", &clock), Authority::new("Birch CA", &clock));
    let site = Site::start();
    let url = site.put("/ca.crl", alder.crl());
    let source = source_of_all(&stand, &[&alder, &birch], vec![Source::Url(url)]);
    source.look().await;
    let good = stand.context.inputs().crls.digest;
    clock.advance(60);
    site.put("/ca.crl", birch.crl());
    source.look().await;
    assert_eq!((stand.context.inputs().crls.digest, stand.count("crl_refused")), (good, 1));
    clock.advance(8 * 86_400);
    site.put("/ca.crl", birch.crl());
    source.look().await;
    assert_ne!(stand.context.inputs().crls.digest, good, "a new signer is taken once the old list is over");
    assert_eq!(lists(&stand), 1);
}

#[tokio::test(start_paused = true)]
async fn file_that_changes_is_read_within_seconds() {
    let clock = Clock::at(NOW);
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new("Alder CA", &clock));
    let path = folder.path().join("ca.crl");
    std::fs::write(&path, authority.crl()).unwrap();
    let (crls, intermediates) = (vec![Source::File(path.clone())], vec![der(authority.issuer_der())]);
    let config = WatchConfig { crls, intermediates, ..watch_config(&clock) };
    let watch = Watch::start(config, Handle::current()).unwrap();
    let digest = watch.inputs().crls.digest;
    let mut changed = watch.changed();
    // By the runtime's clock, which goes on by itself while there is nothing to do: the first look is over.
    let first = tokio::time::timeout(Duration::from_secs(1), changed.changed()).await;
    assert!(first.is_err(), "a file that is the same changes nothing");
    authority.revoke(1);
    std::fs::write(&path, authority.crl()).unwrap();
    let other = async {
        while watch.inputs().crls.digest == digest {
            changed.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(10), other).await.expect("the file is read");
}
