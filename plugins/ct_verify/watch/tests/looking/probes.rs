//! What a replica remembers of its targets, and what it says when the cluster has decided.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ct_log::{Authority, Clock, Issued};
use ct_watch::context::Context;
use ct_watch::names::{Caa, NameTable, Names, NamesError, TlsaAnswer};
use ct_watch::probe::{
    Decided, Essence, LOOKS_AT_ONCE_MAX, Outcome, ProbeConfig, ProbeError, Prober, SLOTS_KEPT, Slots,
};
use ct_watch::served::{Looking, Protocol, Target};
use tokio::io::AsyncReadExt as _;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use transparency::Conclusion;
use transparency::digest::Sha256;
use transparency::score::Networks;

use crate::peers::{HOST, Trusting, context, here, looking, serve, serve_tls, target, tlsa};

struct Case {
    clock: Clock,
    issued: Issued,
    target: Target,
    prober: Arc<Prober>,
    context: Arc<Context>,
}

impl Case {
    async fn new<N: Names>(names: impl FnOnce(&Issued, &Target) -> N, looking: Looking) -> Self {
        // The middle of a slot, when all looks of it are due.
        let clock = Clock::at("2026-08-01T00:05:00Z");
        let authority = Authority::new("Alder CA", &clock);
        let issued = authority.leaf(HOST).valid(clock.now(), 90).issue(&[]);
        let target = target(serve_tls(&issued).await, Protocol::Tls);
        let config = ProbeConfig { targets: vec![target.clone()], slots: Slots::new(600), looking, seed: 7 };
        let (context, names) = (context(&clock), Arc::new(names(&issued, &target)));
        let prober = Prober::new(config, context.clone(), names, Trusting::in_authority(&authority)).unwrap();
        Case { clock, issued, target, prober, context }
    }

    async fn simple() -> Self {
        Self::new(|_, _| here(), looking()).await
    }

    fn slot(&self) -> u64 {
        self.prober.slots().slot(self.clock.now())
    }

    fn essence(&self) -> Essence {
        self.prober.seen(&self.target, self.slot()).unwrap().essence
    }

    fn told(&self) -> Vec<&'static str> {
        self.context.events.recent(100).into_iter().map(|event| event.code).collect()
    }
}

fn strong(essence: Essence) -> Decided {
    Decided::Agreed { essence, strong: true, networks: Networks { agreeing: 3, looked: 4 } }
}

#[tokio::test]
async fn a_target_is_looked_at_once_a_slot() {
    let case = Case::simple().await;
    assert_eq!(case.prober.round().await, 1);
    assert_eq!(case.prober.round().await, 0);
    let seen = case.prober.seen(&case.target, case.slot()).unwrap();
    assert_eq!(seen.essence.leaf_sha256, Sha256::of(case.issued.der()));
    assert_eq!(seen.essence.conclusion, Conclusion::Valid);
    assert_eq!(seen.addresses.len(), 1);
    case.clock.advance(600);
    assert_eq!(case.prober.round().await, 1);
    assert_eq!(case.prober.looks()["seen"], 2);
}

#[tokio::test]
async fn nothing_is_looked_at_before_it_is_due() {
    let case = Case::simple().await;
    case.clock.advance(300);
    // The slot begins now; the replica's own time in it comes within two minutes.
    assert_eq!(case.prober.round().await, 0);
    case.clock.advance(120);
    assert_eq!(case.prober.round().await, 1);
}

#[tokio::test]
async fn old_slots_are_forgotten() {
    let case = Case::simple().await;
    let first = case.slot();
    for _ in 0..=SLOTS_KEPT {
        case.prober.round().await;
        case.clock.advance(600);
    }
    assert!(case.prober.seen(&case.target, first).is_none());
    assert!(case.prober.seen(&case.target, first + 1).is_some());
}

#[tokio::test]
async fn what_the_cluster_saw_too_is_corroborated_without_an_event() {
    let case = Case::simple().await;
    case.prober.round().await;
    assert_eq!(case.prober.outcome(&case.target), Outcome::Undecided);
    case.prober.told(&case.target, case.slot(), strong(case.essence()));
    assert_eq!(case.prober.outcome(&case.target), Outcome::Corroborated { slot: case.slot() });
    assert_eq!(case.told(), [""; 0]);
}

#[tokio::test]
async fn a_replica_that_sees_another_key_than_the_cluster_says_so_once() {
    let case = Case::simple().await;
    case.prober.round().await;
    let theirs = Essence { leaf_sha256: Sha256([1; 32]), key_sha256: Sha256([2; 32]), ..case.essence() };
    case.prober.told(&case.target, case.slot(), strong(theirs));
    let outcome = case.prober.outcome(&case.target);
    assert!(matches!(outcome, Outcome::WeDiffer { grave: true, .. }), "{outcome:?}");
    case.clock.advance(600);
    case.prober.round().await;
    case.prober.told(&case.target, case.slot(), strong(theirs));
    assert_eq!(case.told(), ["we_differ"]);
    assert!(case.context.events.recent(1)[0].grave);
}

#[tokio::test]
async fn a_decision_of_an_earlier_slot_changes_no_outcome() {
    let case = Case::simple().await;
    case.prober.round().await;
    case.prober.told(&case.target, case.slot(), strong(case.essence()));
    case.prober.told(&case.target, case.slot() - 1, Decided::NoAgreement);
    assert_eq!(case.prober.outcome(&case.target).code(), "corroborated");
}

#[tokio::test]
async fn a_decision_of_a_slot_that_has_not_begun_or_is_forgotten_is_of_no_use() {
    let case = Case::simple().await;
    case.prober.round().await;
    let slots = [case.slot() + 1, u64::from(u32::MAX), case.slot() - SLOTS_KEPT as u64];
    for slot in slots {
        assert!(!case.prober.awaits(&case.target, slot));
        case.prober.told(&case.target, slot, Decided::NoAgreement);
        assert_eq!(case.prober.outcome(&case.target), Outcome::Undecided, "{slot}");
    }
    assert!(case.prober.awaits(&case.target, case.slot() + 1 - SLOTS_KEPT as u64));
    case.prober.told(&case.target, case.slot(), strong(case.essence()));
    assert_eq!(case.prober.outcome(&case.target), Outcome::Corroborated { slot: case.slot() });
}

#[tokio::test]
async fn a_server_that_cannot_be_seen_is_told_of_once_and_found_missing() {
    let case = Case::new(|_, _| NameTable::default(), looking()).await;
    case.prober.round().await;
    case.clock.advance(600);
    case.prober.round().await;
    assert_eq!(case.told(), ["not_seen"]);
    assert_eq!(case.prober.looks()["no_address"], 2);
    let theirs =
        Essence { leaf_sha256: Sha256([1; 32]), key_sha256: Sha256([2; 32]), conclusion: Conclusion::Valid };
    case.prober.told(&case.target, case.slot(), strong(theirs));
    assert_eq!(case.prober.outcome(&case.target), Outcome::NotSeenHere { slot: case.slot() });
}

#[tokio::test]
async fn warnings_are_told_when_they_are_new() {
    let with_tlsa = |issued: &Issued, target: &Target| {
        let mut names = here();
        names.tlsa.insert(target.tlsa_owner(), tlsa(&[issued.tlsa_record(3, 1, 1)], true));
        names
    };
    let case = Case::new(with_tlsa, looking()).await;
    case.prober.round().await;
    case.clock.advance(600);
    case.prober.round().await;
    assert_eq!(case.told(), ["no_rollover_record"]);
    let json = case.prober.to_json();
    let report = &json["targets"][case.target.to_string()]["report"];
    assert_eq!(report["dane"]["state"], "matches");
    assert_eq!(report["warnings"][0], "no_rollover_record");
}

#[tokio::test]
async fn keys_of_a_host_are_those_that_were_seen() {
    let case = Case::simple().await;
    assert!(case.prober.keys_of(HOST).is_empty());
    case.prober.round().await;
    assert_eq!(case.prober.keys_of(HOST), [case.essence().key_sha256]);
    assert!(case.prober.keys_of("other.example.org").is_empty());
}

#[tokio::test]
async fn too_many_targets_are_refused() {
    let targets = (1..=33).map(|port| target(port, Protocol::Tls)).collect();
    let looking = Looking::new(true, Duration::from_secs(1));
    let config = ProbeConfig { targets, slots: Slots::new(600), looking, seed: 7 };
    let clock = Clock::at("2026-08-01T00:00:00Z");
    let trusting = Trusting::in_authority(&Authority::new("Alder CA", &clock));
    let refused = Prober::new(config, context(&clock), Arc::new(here()), trusting);
    assert_eq!(refused.err(), Some(ProbeError::TooMany(33)));
}

#[tokio::test]
async fn a_decision_that_comes_before_our_look_is_compared_after_it() {
    let case = Case::simple().await;
    let theirs =
        Essence { leaf_sha256: Sha256([1; 32]), key_sha256: Sha256([2; 32]), conclusion: Conclusion::Valid };
    case.prober.told(&case.target, case.slot(), strong(theirs));
    case.prober.round().await;
    assert_eq!(case.told(), ["not_seen_here", "we_differ"]);
}

#[tokio::test]
async fn a_decision_that_comes_again_is_counted_once() {
    let case = Case::simple().await;
    case.prober.round().await;
    (0..3).for_each(|_| case.prober.told(&case.target, case.slot(), strong(case.essence())));
    assert_eq!(case.prober.outcomes(), [("corroborated", 1)].into());
}

#[tokio::test]
async fn networks_are_those_of_the_newest_decision_on_that_certificate() {
    let case = Case::simple().await;
    case.prober.round().await;
    let (leaf, seen) = (Sha256::of(case.issued.der()), case.essence());
    let networks = |host: &str, leaf: &Sha256| {
        let found = case.prober.networks(host, leaf)?;
        Some((found.agreeing, found.looked))
    };
    assert_eq!(networks(HOST, &leaf), None, "nothing is decided");
    case.prober.told(&case.target, case.slot(), strong(seen));
    assert_eq!(networks(HOST, &leaf), Some((3, 4)));
    assert_eq!(networks(HOST, &Sha256([1; 32])), None, "another certificate");
    assert_eq!(networks("other.example.org", &leaf), None);
    case.clock.advance(600);
    case.prober.told(&case.target, case.slot(), Decided::NoAgreement);
    assert_eq!(networks(HOST, &leaf), None, "the newest decision counts");
    case.prober.told(&case.target, case.slot(), strong(seen));
    assert_eq!(networks(HOST, &leaf), Some((3, 4)));
    case.clock.advance(600 * SLOTS_KEPT as u64);
    assert_eq!(networks(HOST, &leaf), None, "what was decided long ago says nothing of now");
}

/// A server that says nothing, and who is told of each connection to it.
async fn silent() -> (u16, mpsc::UnboundedReceiver<()>) {
    let (told, connected) = mpsc::unbounded_channel();
    let port = serve(move |mut stream| {
        let told = told.clone();
        async move {
            let _nobody_waits = told.send(());
            let _closed = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    (port.await, connected)
}

/// A prober of these targets, in the middle of a slot.
fn prober(clock: &Clock, authority: &Authority, targets: Vec<Target>, names: NameTable) -> Arc<Prober> {
    let config = ProbeConfig { targets, slots: Slots::new(600), looking: looking(), seed: 7 };
    let trusting = Trusting::in_authority(authority);
    Prober::new(config, context(clock), Arc::new(names), trusting).unwrap()
}

#[tokio::test]
async fn a_silent_target_holds_up_no_other() {
    let clock = Clock::at("2026-08-01T00:05:00Z");
    let authority = Authority::new("Alder CA", &clock);
    let issued = authority.leaf(HOST).valid(clock.now(), 90).issue(&[]);
    let good = target(serve_tls(&issued).await, Protocol::Tls);
    let (port, mut connected) = silent().await;
    let prober = prober(&clock, &authority, vec![good.clone(), target(port, Protocol::Tls)], here());
    prober.start(&Handle::current());
    connected.recv().await.unwrap();
    clock.advance(600);
    let slot = prober.slots().slot(clock.now());
    let seen = async {
        while prober.seen(&good, slot).is_none() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), seen).await.expect("the other is looked at in the next slot");
    prober.stop();
}

#[tokio::test]
async fn a_target_that_is_being_looked_at_is_not_looked_at_again_until_that_is_over() {
    let clock = Clock::at("2026-08-01T00:05:00Z");
    let (port, mut connected) = silent().await;
    let prober =
        prober(&clock, &Authority::new("Alder CA", &clock), vec![target(port, Protocol::Tls)], here());
    let round = || {
        let prober = prober.clone();
        tokio::spawn(async move { prober.round().await })
    };
    let first = round();
    connected.recv().await.unwrap();
    clock.advance(600);
    assert_eq!(prober.round().await, 0);
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let again = async {
        loop {
            tokio::select! {
                _ = connected.recv() => break,
                _ = round() => {}
            }
        }
    };
    timeout(Duration::from_secs(10), again).await.expect("it is looked at again");
}

#[tokio::test]
async fn a_target_that_waited_until_the_slot_was_over_is_looked_at_in_the_next() {
    let clock = Clock::at("2026-08-01T00:05:00Z");
    let authority = Authority::new("Alder CA", &clock);
    let issued = authority.leaf(HOST).valid(clock.now(), 90).issue(&[]);
    let (mut targets, mut connected, over) = (Vec::new(), Vec::new(), Arc::new(Notify::new()));
    while targets.len() < LOOKS_AT_ONCE_MAX {
        let (told, connection) = mpsc::unbounded_channel();
        let over = over.clone();
        let port = serve(move |stream| {
            let (told, over) = (told.clone(), over.clone());
            async move {
                let until = over.notified();
                let _nobody_waits = told.send(());
                until.await;
                drop(stream);
            }
        });
        targets.push(target(port.await, Protocol::Tls));
        connected.push(connection);
    }
    // Targets are looked at in the order of their names.
    let last = "zzz.example.org";
    let good = Target::new(last, serve_tls(&issued).await, Protocol::Tls).unwrap();
    targets.push(good.clone());
    let mut names = here();
    names.addresses.insert(last.to_owned(), names.addresses[HOST].clone());
    let prober = prober(&clock, &authority, targets, names);
    let before = prober.slots().slot(clock.now());
    let first = {
        let prober = prober.clone();
        tokio::spawn(async move { prober.round().await })
    };
    for connection in &mut connected {
        connection.recv().await.unwrap();
    }
    clock.advance(600);
    over.notify_waiters();
    assert_eq!(first.await.unwrap(), LOOKS_AT_ONCE_MAX + 1);
    assert!(prober.seen(&good, before).is_none());
    let next = {
        let prober = prober.clone();
        tokio::spawn(async move { prober.round().await })
    };
    let seen = async {
        while prober.seen(&good, before + 1).is_none() {
            over.notify_waiters();
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), seen).await.expect("it is looked at in the slot of now");
    next.abort();
}

/// DNS that gives addresses once it has been asked for TLSA records.
struct TlsaFirst(NameTable, Notify);

#[async_trait]
impl Names for TlsaFirst {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NamesError> {
        self.1.notified().await;
        self.0.addresses(host).await
    }

    async fn tlsa(&self, owner: &str) -> Result<TlsaAnswer, NamesError> {
        self.1.notify_one();
        self.0.tlsa(owner).await
    }

    async fn caa(&self, owner: &str) -> Result<Vec<Caa>, NamesError> {
        self.0.caa(owner).await
    }

    async fn exists(&self, name: &str) -> Result<bool, NamesError> {
        self.0.exists(name).await
    }
}

#[tokio::test]
async fn tlsa_records_are_asked_for_while_the_server_is_looked_at() {
    let case = Case::new(|_, _| TlsaFirst(here(), Notify::new()), looking()).await;
    case.prober.round().await;
    assert_eq!(case.prober.looks(), [("seen", 1)].into());
}
