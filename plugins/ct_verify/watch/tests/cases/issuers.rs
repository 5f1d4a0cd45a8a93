//! Certificates that were seen: their issuers are fetched, their revocation lists are watched, where the operator allows it.

use std::time::Duration;

use ct_log::{Authority, Clock, Lie, Site};
use ct_watch::{Watch, WatchConfig};
use rustls_pki_types::CertificateDer;
use tokio::runtime::Handle;

use crate::stand::{NOW, watch_config};

/// Waits until the inputs are such.
async fn until(watch: &Watch, holds: impl Fn(&Watch) -> bool) {
    let mut changed = watch.changed();
    let holding = async {
        while !holds(watch) {
            changed.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), holding).await.expect("the inputs change");
}

fn der(bytes: &[u8]) -> CertificateDer<'static> {
    CertificateDer::from(bytes.to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn issuer_and_revocation_list_of_a_lone_certificate_are_found() {
    let clock = Clock::at(NOW);
    let (authority, site) = (Authority::new("Alder CA", &clock), Site::start());
    let issuer_url = site.put("/ca.cer", authority.issuer_der());
    let crl_url = site.put("/ca.crl", authority.crl());
    let issued =
        authority.leaf("www.example.org").with_issuer_at(&issuer_url).with_crl_at(&crl_url).issue(&[]);
    let watch = Watch::start(watch_config(&clock), Handle::current()).unwrap();
    watch.attend(&[der(&issued.chain[0])]);
    until(&watch, |watch| watch.inputs().intermediates.value.len() == 1).await;
    until(&watch, |watch| watch.inputs().crls.value.identity().lists == 1).await;
    let asked = site.control().asked("/ca.cer");
    watch.attend(&[der(&issued.chain[0])]);
    assert_eq!((site.control().asked("/ca.cer"), asked), (1, 1), "what was seen is not asked for again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_list_of_a_whole_chain_is_found_by_the_issuer_in_it() {
    let clock = Clock::at(NOW);
    let (authority, site) = (Authority::new("Alder CA", &clock), Site::start());
    let crl_url = site.put("/ca.crl", authority.crl());
    let issued = authority.leaf("www.example.org").with_crl_at(&crl_url).issue(&[]);
    let watch = Watch::start(watch_config(&clock), Handle::current()).unwrap();
    watch.attend(&issued.chain.iter().map(|one| der(one)).collect::<Vec<_>>());
    until(&watch, |watch| watch.inputs().crls.value.identity().lists == 1).await;
    assert_eq!(watch.inputs().intermediates.value.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificate_of_another_key_is_not_taken_for_the_issuer() {
    let clock = Clock::at(NOW);
    let (authority, impostor) = (Authority::new("Alder CA", &clock), Authority::new("Alder CA", &clock));
    let (site, good) = (Site::start(), Site::start());
    let url = site.put("/ca.cer", impostor.issuer_der());
    let issued = authority.leaf("www.example.org").with_issuer_at(&url).issue(&[]);
    let watch = Watch::start(watch_config(&clock), Handle::current()).unwrap();
    watch.attend(&[der(&issued.chain[0])]);
    let url = good.put("/ca.cer", authority.issuer_der());
    let other = authority.leaf("mail.example.org").with_issuer_at(&url).issue(&[]);
    watch.attend(&[der(&other.chain[0])]);
    until(&watch, |watch| watch.inputs().intermediates.value.len() == 1).await;
    assert_eq!(watch.counters()["issuer_looks_failed"], 1);
    assert_eq!(site.control().asked("/ca.cer"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn issuer_that_was_not_to_be_had_is_asked_for_again_later() {
    let clock = Clock::at(NOW);
    let (authority, site) = (Authority::new("Alder CA", &clock), Site::start());
    let url = site.put("/ca.cer", authority.issuer_der());
    let issued = authority.leaf("www.example.org").with_issuer_at(&url).issue(&[]);
    let watch = Watch::start(watch_config(&clock), Handle::current()).unwrap();
    site.lie(Lie::Status(503));
    let leaf = [der(&issued.chain[0])];
    let attended = |holds: fn(&Watch) -> bool| {
        let (watch, leaf) = (&watch, &leaf);
        let holding = async move {
            while !holds(watch) {
                watch.attend(leaf);
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), holding)
    };
    attended(|watch| watch.counters().contains_key("issuer_looks_failed")).await.expect("it is looked for");
    (0..100).for_each(|_| watch.attend(&leaf));
    assert_eq!(site.control().asked("/ca.cer"), 1, "not asked for at once again");
    site.control().be_honest();
    clock.advance(600);
    attended(|watch| watch.inputs().intermediates.value.len() == 1).await.expect("it is asked for again");
    assert_eq!(site.control().asked("/ca.cer"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_that_are_not_allowed_are_never_asked() {
    let clock = Clock::at(NOW);
    let (authority, site) = (Authority::new("Alder CA", &clock), Site::start());
    site.lie(Lie::Garbage);
    let (issuer_url, crl_url) = (site.url("/ca.cer"), site.url("/ca.crl"));
    let issued =
        authority.leaf("www.example.org").with_issuer_at(&issuer_url).with_crl_at(&crl_url).issue(&[]);
    let config = WatchConfig { hosts: vec!["crl.example.org".to_owned()], ..watch_config(&clock) };
    let watch = Watch::start(config, Handle::current()).unwrap();
    watch.attend(&[der(&issued.chain[0])]);
    let failed = async {
        while !watch.counters().contains_key("issuer_looks_failed") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), failed).await.expect("the issuer is looked for");
    assert_eq!(site.control().asked(""), 0);
}
