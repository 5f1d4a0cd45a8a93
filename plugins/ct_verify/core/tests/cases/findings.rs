//! What is found out later, and by one alone: promises of logs, networks.

use transparency::chain::Purpose;
use transparency::inclusion::{Audited, Inclusion};
use transparency::revocation::{CrlSet, RevocationMode};
use transparency::score::Networks;
use transparency::{Conclusion, Pinned, Question, Verdict};

use crate::bench::*;
use crate::place::own;

/// What was found out about the promise of this timestamp.
fn finding(verdict: &Verdict, position: usize, inclusion: Inclusion) -> Audited {
    let sct = &verdict.ct.scts[position];
    Audited { log: sct.log_id.unwrap(), leaf: sct.leaf_hash.unwrap(), inclusion }
}

#[test]
fn a_broken_promise_is_invalid_and_worth_nothing() {
    let bare = own_judged("good", &|_, _| {});
    let audited = |inclusion| [finding(&bare, 0, inclusion)];
    let broken = own_judged("good", &|question, _| {
        question.audited = audited(Inclusion::BrokenPromise).to_vec().leak();
    });
    assert_eq!((broken.verdict, broken.score.total), (Conclusion::Invalid, 0));
    assert_eq!(codes(&broken), ["broken_promise"]);
    let one =
        own_judged("good", &|question, _| question.audited = audited(Inclusion::Proved).to_vec().leak());
    assert_eq!(
        (one.verdict, one.score.total, one.ct.inclusion),
        (Conclusion::Valid, 60, Inclusion::NotChecked)
    );
    let all = [0, 1].map(|position| finding(&bare, position, Inclusion::Proved));
    let both = own_judged("good", &|question, _| question.audited = all.to_vec().leak());
    assert_eq!((both.score.total, both.ct.inclusion), (75, Inclusion::Proved));
}

#[test]
fn other_networks_that_saw_a_valid_certificate_count_in_the_score_alone() {
    let seen = |id: &str, agreeing| {
        own_judged(id, &|_, _| {}).with_findings(&[], Some(Networks { agreeing, looked: 4 }))
    };
    let points = |verdict: &Verdict| (verdict.score.networks, verdict.score.total);
    assert_eq!([1, 3, 4].map(|agreeing| points(&seen("good", agreeing))), [(0, 60), (10, 70), (15, 75)]);
    assert_eq!(seen("good", 4).reasons, own_judged("good", &|_, _| {}).reasons);
    assert_eq!(
        (seen("bad-expired", 4).verdict, points(&seen("bad-expired", 4))),
        (Conclusion::Invalid, (0, 0))
    );
}

#[test]
fn findings_brought_in_later_say_what_a_judgement_with_them_says() {
    use Inclusion::{BrokenPromise, NotChecked, Pending, Proved};
    let stale = list(&own().join("log_list_stale.json"));
    let (words, mut cases) = ([NotChecked, Pending, Proved, BrokenPromise], 0);
    let names = [
        "good",
        "good-retired",
        "bad-one",
        "bad-flipped",
        "bad-retired",
        "bad-twice",
        "bad-expired",
        "bad-two-lists",
        "bad-none",
    ];
    for (name, host) in
        names.into_iter().flat_map(|name| [None, Some("good.example.org")].map(|host| (name, host)))
    {
        for way in 0..5 {
            let change = |question: &mut Question<'_>, pinned: &mut Pinned<'_>| {
                question.name = host;
                match way {
                    0 => {}
                    1 => pinned.log_list = None,
                    2 => pinned.log_list = Some(Box::leak(Box::new(stale.clone()))),
                    3 => {
                        (pinned.crls, pinned.revocation) =
                            (Box::leak(Box::new(CrlSet::new([]))), RevocationMode::Required);
                    }
                    _ => question.purpose = Purpose::Client,
                }
            };
            let bare = own_judged(name, &change);
            for (first, second) in words.into_iter().flat_map(|first| words.map(|second| (first, second))) {
                let found = [first, second].into_iter().enumerate().filter_map(|(position, inclusion)| {
                    let sct = bare.ct.scts.get(position)?;
                    Some(Audited { log: sct.log_id?, leaf: sct.leaf_hash?, inclusion })
                });
                let found: Vec<Audited> = found.collect();
                for networks in [None, Some(Networks { agreeing: 3, looked: 4 })] {
                    let judged = own_judged(name, &|question, pinned| {
                        change(question, pinned);
                        (question.audited, question.networks) = (found.clone().leak(), networks);
                    });
                    let later = bare.clone().with_findings(&found, networks);
                    assert_eq!(ordered(&later), ordered(&judged), "{name} {host:?} {way} {found:?}");
                    assert_eq!(ordered(&later.with_findings(&[], None)), ordered(&bare), "and back");
                    cases += 1;
                }
            }
        }
    }
    println!("{cases} verdicts");
}

/// The verdict with reasons of equal weight in the order of their texts.
fn ordered(verdict: &Verdict) -> Verdict {
    let mut verdict = verdict.clone();
    verdict.reasons.sort_by_key(|reason| (std::cmp::Reverse(reason.severity()), reason.to_string()));
    verdict
}

#[test]
fn what_was_found_out_about_one_log_says_nothing_of_another() {
    let bare = own_judged("good", &|_, _| {});
    let other = bare.ct.scts[1].log_id.unwrap();
    let found = [Audited { log: other, ..finding(&bare, 0, Inclusion::BrokenPromise) }];
    assert_eq!(
        bare.clone().with_findings(&found, None),
        bare,
        "two logs that promised at once promised one leaf"
    );
}
