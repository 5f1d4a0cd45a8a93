//! Logs of both kinds, honest or not: heads, growth, promises, and what outlives a restart.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ct_log::{Authority, Clock, Issued, Kind, Lie, TestLog};
use ct_watch::logs::audit::{OPEN_SECONDS_MAX, PROMISES_MAX};
use ct_watch::logs::{Condition, Promised, SignedHead, WatchedLog};
use transparency::digest::{LogId, Sha256};
use transparency::inclusion::Inclusion;

use crate::stand::{NOW, Stand, lies, promises, unreachable};

const BOTH: [Kind; 2] = [Kind::Rfc6962, Kind::StaticCt];

struct Scene {
    clock: Clock,
    log: TestLog,
    authority: Authority,
    stand: Stand,
    watched: WatchedLog,
}

/// A log with some entries, merged, and a replica that watches it.
fn scene(kind: Kind, entries: usize) -> Scene {
    let clock = Clock::at(NOW);
    let log = TestLog::start("alder", kind, &clock);
    let authority = Authority::new("Alder CA", &clock);
    let stand = Stand::new(&clock);
    let watched = stand.watch(log.listed());
    let scene = Scene { clock, log, authority, stand, watched };
    scene.grow(entries);
    scene
}

impl Scene {
    /// Adds entries and merges them, a minute later.
    fn grow(&self, entries: usize) {
        (0..entries).for_each(|_| drop(self.issue()));
        self.clock.advance(60);
        self.log.merge();
    }

    fn issue(&self) -> Issued {
        self.authority.leaf("www.example.org").issue(&[&self.log])
    }

    fn promise(&self, issued: &Issued) -> Promised {
        promises(issued, &[&self.log], self.clock.now())[0]
    }

    fn size(&self) -> Option<u64> {
        self.watched.latest().map(|latest| latest.head.size)
    }

    fn inclusion(&self, leaf: Sha256) -> Option<Inclusion> {
        self.stand
            .auditor
            .audited(&[(self.watched.log.key.id(), leaf)])
            .first()
            .map(|audited| audited.inclusion)
    }

    fn restart(self) -> Self {
        let stand = self.stand.restart();
        let watched = stand.watch(self.log.listed());
        Scene { stand, watched, ..self }
    }
}

#[tokio::test]
async fn head_of_a_growing_log_is_followed() {
    for kind in BOTH {
        let scene = scene(kind, 3);
        for (entries, size) in [(0, 3), (1, 4), (0, 4), (300, 304), (1, 305), (250, 555)] {
            scene.grow(entries);
            scene.watched.look().await;
            assert_eq!((scene.size(), scene.watched.condition()), (Some(size), Condition::Ok), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn log_that_begins_empty_is_followed() {
    for kind in BOTH {
        let scene = scene(kind, 0);
        scene.watched.look().await;
        assert_eq!(scene.size(), Some(0), "{kind:?}");
        scene.grow(2);
        scene.watched.look().await;
        assert_eq!((scene.size(), scene.watched.condition()), (Some(2), Condition::Ok), "{kind:?}");
    }
}

#[tokio::test]
async fn head_that_the_log_has_not_signed_is_not_taken() {
    for kind in BOTH {
        let scene = scene(kind, 3);
        scene.watched.look().await;
        scene.grow(1);
        scene.log.lie(Lie::BadSignature);
        scene.watched.look().await;
        assert_eq!(scene.size(), Some(3), "{kind:?}");
        assert!(matches!(scene.watched.condition(), Condition::Lying(_)), "{kind:?}");
        scene.log.be_honest();
        scene.watched.look().await;
        assert_eq!((scene.size(), scene.watched.condition()), (Some(4), Condition::Ok), "{kind:?}");
    }
}

#[tokio::test]
async fn answer_that_is_no_head_or_of_the_future_by_our_clock_is_no_lie() {
    for kind in BOTH {
        let scene = scene(kind, 3);
        scene.watched.look().await;
        scene.grow(1);
        for lie in [Lie::Garbage, Lie::Future(3600)] {
            scene.log.lie(lie.clone());
            scene.watched.look().await;
            assert!(unreachable(&scene.watched, ""), "{kind:?} {lie:?} {:?}", scene.watched.condition());
            assert_eq!(scene.size(), Some(3), "{kind:?} {lie:?}");
            scene.log.be_honest();
        }
    }
}

#[tokio::test]
async fn text_of_a_checkpoint_has_the_signature_of_the_log_alone() {
    let scene = scene(Kind::StaticCt, 3);
    scene.watched.look().await;
    let (log, head) = (&scene.watched.log, scene.watched.latest().unwrap());
    let (body, signature) = head.text.split_once("\n\n").unwrap();
    let padding = |bytes: usize| format!("\u{2014} {} {}\n", log.origin(), STANDARD.encode(vec![7; bytes]));
    let padded = format!("{body}\n\n{}{signature}{}", padding(40), padding(4000));
    let verified = SignedHead::verify(log, padded.as_bytes(), scene.clock.now()).unwrap();
    assert_eq!(verified, head);
    assert_eq!(head.text.lines().count(), 5);
}

#[tokio::test]
async fn checkpoint_of_another_origin_is_not_taken() {
    let scene = scene(Kind::StaticCt, 3);
    scene.log.lie(Lie::Origin("other.example.org".to_owned()));
    scene.watched.look().await;
    assert!(lies(&scene.watched, "other.example.org"));
    assert_eq!(scene.size(), None);
}

#[tokio::test]
async fn larger_tree_without_a_proof_that_holds_is_not_taken() {
    for kind in BOTH {
        let scene = scene(kind, 3);
        scene.watched.look().await;
        scene.grow(2);
        scene.log.lie(Lie::BadProof);
        scene.watched.look().await;
        assert!(lies(&scene.watched, "do not fit"), "{kind:?} {:?}", scene.watched.condition());
        assert_eq!((scene.size(), scene.stand.count("log_lying")), (Some(3), 1), "{kind:?}");
        assert!(scene.stand.files().is_empty(), "a bad proof proves nothing");
    }
}

#[tokio::test]
async fn log_that_does_not_answer_as_it_should_is_unreachable_and_keeps_its_head() {
    for kind in BOTH {
        let scene = scene(kind, 3);
        scene.watched.look().await;
        scene.grow(1);
        for (lie, why) in [
            (Lie::Status(500), "status 500"),
            (Lie::Oversize(100 << 20), "more than"),
            (Lie::GzipBomb(1 << 20), "more than"),
            (Lie::Endless, "more than"),
            (Lie::Cut, ""),
        ] {
            scene.log.lie(lie.clone());
            scene.watched.look().await;
            assert!(unreachable(&scene.watched, why), "{kind:?} {lie:?} {:?}", scene.watched.condition());
            assert_eq!(scene.size(), Some(3), "{kind:?} {lie:?}");
            scene.log.be_honest();
        }
    }
}

#[tokio::test]
async fn log_whose_head_is_old_is_behind() {
    for kind in BOTH {
        let scene = scene(kind, 3);
        scene.clock.advance(scene.watched.log.mmd_seconds + 500);
        scene.watched.look().await;
        assert_eq!(scene.watched.condition(), Condition::Ok, "{kind:?}");
        scene.clock.advance(200);
        scene.watched.look().await;
        assert!(matches!(scene.watched.condition(), Condition::Behind(_)), "{kind:?}");
    }
}

#[tokio::test]
async fn shrunken_tree_leaves_evidence_that_verifies_and_outlives_a_restart() {
    for kind in BOTH {
        let scene = scene(kind, 5);
        scene.watched.look().await;
        scene.clock.advance(60);
        scene.log.merge();
        scene.log.lie(Lie::Shrink(4));
        scene.watched.look().await;
        assert!(lies(&scene.watched, "proven"), "{kind:?} {:?}", scene.watched.condition());
        assert_eq!((scene.size(), scene.stand.files().len()), (Some(5), 1), "{kind:?}");
        let scene = scene.restart();
        scene.log.be_honest();
        scene.watched.look().await;
        assert!(lies(&scene.watched, "Shrunk"), "{kind:?} {:?}", scene.watched.condition());
    }
}

#[tokio::test]
async fn heads_outlive_a_restart_and_growth_is_proved_from_them() {
    for kind in BOTH {
        let scene = scene(kind, 5);
        scene.watched.look().await;
        let scene = scene.restart();
        assert_eq!(scene.size(), Some(5), "{kind:?}");
        // Another tree of the same size, after the restart: known to be a lie by what was kept.
        scene.log.show_fork(true);
        scene.watched.look().await;
        assert!(lies(&scene.watched, "Equivocation"), "{kind:?} {:?}", scene.watched.condition());
        assert_eq!(scene.stand.files().len(), 1);
    }
}

#[tokio::test]
async fn kept_head_that_was_tampered_with_is_forgotten() {
    let scene = scene(Kind::Rfc6962, 5);
    scene.watched.look().await;
    let path = scene.stand.folder.path().join(format!("logs/{}.json", scene.log.id().0));
    let kept = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, kept.replace("\\\"tree_size\\\":5", "\\\"tree_size\\\":9")).unwrap();
    assert_ne!(std::fs::read_to_string(&path).unwrap(), kept);
    let scene = scene.restart();
    assert_eq!(scene.size(), None);
}

#[tokio::test]
async fn log_that_never_shows_how_a_told_head_fits_is_reported_after_its_merge_delay() {
    for (kind, part) in [(Kind::Rfc6962, "get-sth-consistency"), (Kind::StaticCt, "tile/")] {
        let scene = scene(kind, 3);
        let peer = Stand::new(&scene.clock);
        let peer = peer.watch(scene.log.listed());
        peer.look().await;
        scene.grow(2);
        scene.watched.look().await;
        scene.watched.told(peer.latest().unwrap());
        scene.log.control().lie_at(part, Lie::Status(404));
        let quarter = scene.watched.log.mmd_seconds / 4;
        for quarters in 0..6 {
            scene.watched.look().await;
            let owes = unreachable(&scene.watched, "a peer was shown");
            assert_eq!(owes, 4 <= quarters, "{kind:?} {quarters} {:?}", scene.watched.condition());
            assert_eq!(scene.stand.count("log_head_not_shown"), u64::from(owes), "{kind:?} {quarters}");
            scene.clock.advance(quarter);
            scene.log.merge();
        }
        scene.log.be_honest();
        scene.watched.look().await;
        assert_eq!(scene.watched.condition(), Condition::Ok, "{kind:?}");
    }
}

#[tokio::test]
async fn promise_is_pending_until_it_is_merged_and_proved_from_then_on() {
    for kind in BOTH {
        let scene = scene(kind, 3);
        let issued = scene.issue();
        let promise = scene.promise(&issued);
        assert!(scene.stand.auditor.take(promise));
        scene.watched.look().await;
        assert_eq!(scene.inclusion(promise.leaf), Some(Inclusion::Pending), "{kind:?}");
        scene.grow(2);
        scene.watched.look().await;
        assert_eq!(scene.inclusion(promise.leaf), Some(Inclusion::Proved), "{kind:?}");
        let scene = scene.restart();
        assert_eq!(scene.inclusion(promise.leaf), Some(Inclusion::Proved), "{kind:?}");
    }
}

#[tokio::test]
async fn dropped_entry_is_a_broken_promise_once_the_merge_delay_is_over() {
    for kind in BOTH {
        let scene = scene(kind, 3);
        scene.log.drop_next(1);
        let promise = scene.promise(&scene.issue());
        scene.stand.auditor.take(promise);
        if kind == Kind::Rfc6962 {
            scene.grow(1);
            scene.watched.look().await;
            assert_eq!(scene.inclusion(promise.leaf), Some(Inclusion::Pending), "{kind:?}");
        }
        scene.clock.advance(scene.watched.log.mmd_seconds);
        scene.grow(1);
        scene.watched.look().await;
        assert_eq!(scene.inclusion(promise.leaf), Some(Inclusion::BrokenPromise), "{kind:?}");
        assert_eq!(scene.stand.count("broken_promise"), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn log_that_denies_a_leaf_which_its_own_entries_show_keeps_its_promise() {
    let scene = scene(Kind::Rfc6962, 3);
    let promise = scene.promise(&scene.issue());
    scene.stand.auditor.take(promise);
    scene.clock.advance(scene.watched.log.mmd_seconds);
    scene.grow(1);
    scene.log.control().lie_at("get-proof-by-hash", Lie::Status(404));
    scene.watched.look().await;
    assert_eq!(scene.inclusion(promise.leaf), Some(Inclusion::Proved));
}

#[tokio::test]
async fn entries_that_do_not_lead_to_the_signed_root_break_no_promise() {
    let scene = scene(Kind::Rfc6962, 3);
    scene.log.drop_next(1);
    let promise = scene.promise(&scene.issue());
    scene.stand.auditor.take(promise);
    scene.clock.advance(scene.watched.log.mmd_seconds);
    scene.grow(1);
    scene.log.control().lie_at("get-entries", Lie::BadEntries);
    scene.watched.look().await;
    assert_eq!(scene.inclusion(promise.leaf), None);
}

#[tokio::test]
async fn bad_proof_of_inclusion_proves_nothing_and_is_reported() {
    for kind in BOTH {
        let scene = scene(kind, 3);
        let promise = scene.promise(&scene.issue());
        scene.grow(1);
        scene.stand.auditor.take(promise);
        scene.log.lie(Lie::BadProof);
        scene.watched.look().await;
        assert_eq!(scene.inclusion(promise.leaf), None, "{kind:?}");
        assert!(lies(&scene.watched, "proof of inclusion"), "{kind:?} {:?}", scene.watched.condition());
    }
}

#[test]
fn promise_that_is_open_for_longer_than_certificates_live_makes_room() {
    let stand = Stand::new(&Clock::at(NOW));
    let first = Sha256([0; 32]).base64();
    let broken = format!(
        r#"[{{"log":"{first}","leaf":"{first}","index":null,"promised_ms":0,"inclusion":"broken_promise"}}]"#
    );
    std::fs::write(stand.folder.path().join("audits.json"), broken).unwrap();
    let stand = stand.restart();
    let promise = |number: usize| Promised {
        log: LogId(Sha256([1; 32])),
        leaf: Sha256::of(&number.to_be_bytes()),
        index: None,
        promised: stand.clock.now(),
    };
    assert!((1..PROMISES_MAX).all(|number| stand.auditor.take(promise(number))));
    stand.clock.advance(OPEN_SECONDS_MAX);
    let new = promise(PROMISES_MAX);
    assert!(!stand.auditor.take(new), "their certificates may be in use");
    stand.clock.advance(1);
    assert!(stand.auditor.take(new));
    let counts = stand.auditor.counts();
    assert_eq!((counts["not_checked"], counts["broken_promise"]), (PROMISES_MAX - 1, 1));
}
