//! What the detector makes of replicas that behave badly, and of honest ones to whom bad things happen.

mod stage;

use certificate::{ReplicaId, ReplicaSet, Sequence};
use detector::*;
use pbft::{Fault, Refusal};
use stage::*;

#[test]
fn steady_cluster_is_trusted_and_nobody_is_labelled() {
    let mut stage = Stage::new(4, 1);
    stage.slots(2000);
    assert_eq!(stage.steps, []);
    for replica in 1..4 {
        let assessment = stage.assessment(replica);
        assert_eq!(assessment.indicators, []);
        assert_eq!((assessment.pattern, assessment.action), (Pattern::Steady, Action::None));
        assert!(assessment.reputation.score > 0.95, "{}", assessment.reputation.score);
        assert!(assessment.statistics.participation > 0.99 && assessment.confidence > 0.8);
        assert!(assessment.trust > 0.99, "{}", assessment.trust);
    }
    assert_eq!(stage.detector.trusted(at(stage.now_ms), 0.9), ReplicaSet(0b1111));
}

#[test]
fn proven_contradiction_labels_and_shuts_out_for_a_day() {
    let mut stage = Stage::new(4, 1);
    stage.slots(1200);
    assert!(stage.assessment(2).reputation.score > 0.9);
    stage.fault(&equivocation(2, 7));
    assert_eq!((stage.labelled(), stage.quarantined()), (vec![2], vec![2]));
    let (assessment, now_ms) = (stage.assessment(2), stage.now_ms);
    assert_eq!((assessment.confidence, assessment.pattern), (1.0, Pattern::Contradictory));
    assert_eq!(assessment.action, Action::Quarantine);
    assert!(assessment.reputation.score < 0.36);
    let until_ms = assessment.quarantined.unwrap().until_ms;
    assert_eq!(until_ms, WALL_MS + now_ms + PROVEN_SPAN_MS);
    assert_eq!(stage.detector.trusted(at(now_ms), 0.0), ReplicaSet(0b1011));
    stage.pass(PROVEN_SPAN_MS - 1000);
    assert_eq!(stage.quarantined(), [2]);
    stage.pass(2000);
    assert!(stage.steps.contains(&Step::Release { replica: id(2), why: Release::Expired }));
    assert!(stage.quarantined().is_empty());
}

#[test]
fn proof_that_comes_again_is_no_new_strike() {
    let mut stage = Stage::new(4, 1);
    stage.fault(&equivocation(2, 7));
    let before = (stage.detector.clone(), stage.steps.len());
    (0..50).for_each(|_| stage.fault(&equivocation(2, 7)));
    assert_eq!(stage.steps.len(), before.1);
    assert_eq!(stage.detector.snapshot(at(stage.now_ms)), before.0.snapshot(at(stage.now_ms)));
    let now = at(stage.now_ms);
    assert_eq!(stage.detector.lift(now, id(2)), [Step::Release { replica: id(2), why: Release::Lifted }]);
    stage.fault(&equivocation(2, 7));
    assert!(stage.quarantined().is_empty(), "what was lifted stays so until there is a new proof");
    stage.fault(&equivocation(2, 8));
    assert_eq!(stage.quarantined(), [2]);
    assert_eq!(stage.assessment(2).action, Action::Replace);
}

#[test]
fn forger_is_shut_out_and_longer_each_time() {
    let mut stage = Stage::new(4, 1);
    stage.slots(40);
    for strike in 1..=3u32 {
        (0..BAD_SIGNATURES_MIN).for_each(|_| stage.fault(&invalid_signature(3, 1)));
        assert_eq!(stage.quarantined(), [3], "strike {strike}");
        let mut spans = stage.steps.iter().filter_map(|step| match step {
            Step::Quarantine { span_ms, strike, .. } => Some((*span_ms, *strike)),
            _ => None,
        });
        assert_eq!(spans.next_back(), Some((SIGNATURES_SPAN_MS << (strike - 1), strike)));
        stage.pass(SIGNATURES_SPAN_MS << (strike - 1));
        assert!(stage.quarantined().is_empty());
    }
    assert_eq!(stage.labelled(), [3]);
    assert_eq!(stage.assessment(3).pattern, Pattern::Forging);
}

#[test]
fn liar_is_labelled_and_never_shut_out() {
    let mut stage = Stage::new(4, 1);
    let mut judged = 0;
    while stage.labelled().is_empty() {
        stage.slots(1);
        for replica in 1..4 {
            stage.event(Event::Accuracy { replica: id(replica), agreed: replica != 1 });
        }
        judged += 1;
        assert!(judged <= JUDGED_MIN);
    }
    assert_eq!(stage.labelled(), [1]);
    assert_eq!(stage.assessment(1).pattern, Pattern::Lying);
    stage.slots(500);
    assert!(stage.quarantined().is_empty());
    assert!(stage.assessment(2).indicators.is_empty());
}

#[test]
fn late_replica_is_slowed_step_by_step_and_neither_labelled_nor_shut_out() {
    let mut stage = Stage::new(4, 1);
    stage.delays[2] = Some(900);
    stage.slots(4 * 600);
    let factors: Vec<u32> = stage
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::Tighten { replica: ReplicaId(2), factor, reason: Indicator::LateVotes, .. } => {
                Some(*factor)
            }
            _ => None,
        })
        .collect();
    assert_eq!(factors, [2, 4, 8]);
    let assessment = stage.assessment(2);
    assert_eq!((assessment.pattern, assessment.action), (Pattern::Slow, Action::Limit));
    assert!((assessment.statistics.latency.p50 - 895.0).abs() < 90.0, "{:?}", assessment.statistics.latency);
    assert!(!assessment.is_byzantine && assessment.quarantined.is_none());
    stage.delays[2] = Some(7);
    stage.slots(4 * 700);
    assert!(stage.steps.contains(&Step::Loosen { replica: id(2) }));
    assert_eq!(stage.assessment(2).indicators, []);
}

#[test]
fn replica_at_the_other_side_of_the_earth_is_not_late() {
    let mut stage = Stage::new(4, 1);
    stage.delays[2] = Some(350);
    stage.slots(1000);
    assert_eq!(stage.assessment(2).indicators, []);
}

#[test]
fn silent_replica_is_noticed_and_not_labelled() {
    let mut stage = Stage::new(4, 1);
    stage.delays[3] = None;
    stage.slots(400);
    let assessment = stage.assessment(3);
    assert!(assessment.indicators.contains(&Indicator::LowParticipation));
    assert_eq!((assessment.pattern, assessment.is_byzantine), (Pattern::Silent, false));
    assert!(assessment.statistics.offences.iter().any(|(offence, _)| *offence == Offence::MissedVote));
    assert!(stage.assessment(1).trust > assessment.trust);
}

#[test]
fn flooder_is_slowed_and_not_labelled() {
    let mut stage = Stage::new(4, 1);
    for _ in 0..60 {
        stage.slots(4);
        (0..2000).for_each(|_| stage.event(Event::Message { from: id(1) }));
    }
    assert_eq!(stage.assessment(1).pattern, Pattern::Flooding);
    assert!(stage.steps.iter().any(|step| {
        matches!(step, Step::Tighten { replica: ReplicaId(1), reason: Indicator::Flood, .. })
    }));
    assert!(stage.labelled().is_empty() && stage.quarantined().is_empty());
}

#[test]
fn replica_that_asks_for_far_more_than_its_quota_floods() {
    let over = |count: u32| {
        let mut stage = Stage::new(4, 1);
        stage.pass(COMPARE_MS);
        (0..count).for_each(|_| stage.fault(&Fault::OverQuota { from: id(1) }));
        stage.pass(COMPARE_MS);
        assert!(stage.labelled().is_empty());
        stage.assessment(1).indicators.contains(&Indicator::Flood)
    };
    assert!(over(OVER_QUOTA_MIN) && !over(OVER_QUOTA_MIN - 1));
}

#[test]
fn partitioned_replica_is_away_and_nothing_else() {
    let mut stage = Stage::new(4, 1);
    stage.slots(100);
    for _ in 0..20 {
        stage.event(Event::Disconnected(id(2)));
        stage.delays[2] = None;
        stage.slots(120);
        stage.event(Event::Connected(id(2)));
        stage.delays[2] = Some(7);
        stage.slots(40);
    }
    let assessment = stage.assessment(2);
    assert!(assessment.indicators.contains(&Indicator::LowUptime));
    assert!(!assessment.indicators.contains(&Indicator::LowParticipation), "{:?}", assessment.statistics);
    assert_eq!((assessment.pattern, assessment.is_byzantine), (Pattern::Absent, false));
}

#[test]
fn own_partition_is_held_against_nobody() {
    let mut stage = Stage::new(4, 1);
    stage.slots(400);
    let before = stage.assessment(2).reputation.interactions;
    stage.others().into_iter().for_each(|replica| stage.event(Event::Disconnected(replica)));
    stage.pass(60_000);
    for replica in 1..4 {
        let assessment = stage.assessment(replica);
        assert!(assessment.statistics.offences.is_empty(), "{:?}", assessment.statistics);
    }
    assert_eq!(stage.assessment(2).reputation.interactions, before);
}

#[test]
fn sleep_of_this_process_is_held_against_nobody() {
    let mut stage = Stage::new(4, 1);
    stage.slots(100);
    let before = stage.assessment(1).statistics;
    for _ in 0..50 {
        // One vote came before the sleep, the others after it.
        stage.sequence += 1;
        let sequence = Sequence(stage.sequence);
        stage.event(Event::Vote { from: id(1), sequence, phase: Phase::Commit });
        stage.now_ms += PAUSE_MS + 1;
        for from in [id(2), id(3)] {
            stage.event(Event::Vote { from, sequence, phase: Phase::Commit });
        }
        stage.event(Event::Decided { sequence, signers: ReplicaSet(0b1110) });
        stage.now_ms += 2 * PAUSE_MS;
    }
    stage.pass(10_000);
    for replica in 1..4 {
        let assessment = stage.assessment(replica);
        assert!(assessment.statistics.offences.is_empty(), "{:?}", assessment.statistics);
        assert_eq!(assessment.indicators, []);
    }
    assert_eq!(stage.assessment(1).statistics.uptime, before.uptime);
}

#[test]
fn slots_that_were_decided_out_of_earshot_say_nothing() {
    let mut stage = Stage::new(4, 1);
    for _ in 0..100 {
        stage.sequence += 1;
        let sequence = Sequence(stage.sequence);
        stage.event(Event::Vote { from: id(1), sequence, phase: Phase::Commit });
        stage.event(Event::Decided { sequence, signers: ReplicaSet(0b0111) });
        stage.pass(250);
    }
    stage.pass(5000);
    assert_eq!(stage.assessment(3).statistics.slots, 0);
}

#[test]
fn slots_right_after_a_sleep_say_nothing() {
    let mut stage = Stage::new(4, 1);
    stage.slots(100);
    stage.pass(5000);
    let before = stage.assessment(3).statistics.slots;
    stage.now_ms += PAUSE_MS + 1;
    stage.delays[3] = None;
    stage.slots(SETTLE_MS / 250);
    stage.pass(5000);
    assert_eq!(stage.assessment(3).statistics.slots, before);
    stage.slots(10);
    stage.pass(5000);
    assert_eq!(stage.assessment(3).statistics.slots, before + 10);
}

#[test]
fn cluster_that_is_slow_together_labels_and_slows_nobody() {
    let mut stage = Stage::new(4, 1);
    stage.delays = vec![Some(900), Some(1200), Some(700), Some(1100)];
    stage.slots(1000);
    assert_eq!(stage.steps, []);
}

#[test]
fn more_than_f_that_look_byzantine_without_proof_are_none() {
    let mut stage = Stage::new(4, 1);
    stage.slots(10);
    for _ in 0..JUDGED_MIN + 5 {
        for replica in [1, 2, 3] {
            stage.event(Event::Accuracy { replica: id(replica), agreed: false });
        }
    }
    assert!(stage.labelled().is_empty() && stage.detector.is_doubtful());
    assert!(stage.steps.iter().any(|step| matches!(step, Step::Doubtful { replicas } if replicas.len() > 1)));
    stage.fault(&equivocation(2, 7));
    assert_eq!(stage.labelled(), [2], "a proof needs no opinion of ours");
}

#[test]
fn replica_that_diverged_judges_nobody_by_its_own_opinion() {
    let mut stage = Stage::new(4, 1);
    let diverged = all_faults(1).into_iter().find(|fault| matches!(fault, Fault::Diverged { .. })).unwrap();
    stage.fault(&diverged);
    for _ in 0..100 {
        stage.fault(&refused(1, Refusal::LeavesRoot));
        stage.event(Event::Accuracy { replica: id(1), agreed: false });
    }
    assert!(stage.labelled().is_empty());
    let assessment = stage.assessment(1);
    assert_eq!((assessment.statistics.judged, assessment.reputation.interactions), (0, 0));
}

#[test]
fn faults_that_are_nobodys_misbehaviour_change_nothing() {
    let mut stage = Stage::new(4, 1);
    stage.slots(40);
    let before = stage.assessment(1);
    let notices = all_faults(1).into_iter().filter(|fault| Offence::of(fault).is_none());
    let harmless: Vec<Fault> = notices.filter(|fault| !Notice::of(fault).unwrap().discredits_us()).collect();
    assert_eq!(harmless.len(), 4);
    (0..500).for_each(|_| harmless.iter().for_each(|fault| stage.fault(fault)));
    assert_eq!(stage.assessment(1), before);
    assert_eq!(stage.detector.notices().map(|(_, count)| count).sum::<u64>(), 2000);
    assert!(!stage.detector.is_doubtful());
}

#[test]
fn rule_breaker_is_labelled() {
    let mut stage = Stage::new(4, 1);
    stage.slots(40);
    (0..VIOLATIONS_MIN).for_each(|_| stage.fault(&refused(1, Refusal::LeavesRoot)));
    assert_eq!(stage.labelled(), [1]);
    assert_eq!(stage.assessment(1).pattern, Pattern::Unruly);
    assert!(stage.quarantined().is_empty());
}

#[test]
fn replica_that_sends_what_cannot_be_read_is_labelled_and_never_shut_out() {
    let mut stage = Stage::new(4, 1);
    stage.slots(40);
    (1..VIOLATIONS_MIN).for_each(|_| stage.event(Event::Unreadable(id(1))));
    assert_eq!(stage.labelled(), [0_u8; 0]);
    stage.event(Event::Unreadable(id(1)));
    assert_eq!((stage.labelled(), stage.quarantined()), (vec![1], vec![]));
    let assessment = stage.assessment(1);
    assert_eq!(assessment.statistics.offences, [(Offence::Unreadable, VIOLATIONS_MIN.into())]);
    assert_eq!(assessment.pattern, Pattern::Unruly);
}

#[test]
fn label_ends_a_minute_after_its_reasons() {
    let mut stage = Stage::new(4, 1);
    (0..VIOLATIONS_MIN).for_each(|_| stage.fault(&refused(1, Refusal::LeavesRoot)));
    assert_eq!(stage.labelled(), [1]);
    stage.pass(2 * OFFENCES_HALF_LIFE_MS);
    assert!(stage.labelled().is_empty());
    assert!(stage.steps.contains(&Step::Unlabelled { replica: id(1) }));
}

#[test]
fn labels_are_confirmed_by_a_proof_before_or_after_and_by_nothing_else() {
    let mut stage = Stage::new(4, 1);
    let count = |stage: &Stage| {
        let figures = stage.assessment(1).statistics;
        (figures.labels, figures.labels_confirmed)
    };
    let accuse = |stage: &mut Stage| {
        (0..VIOLATIONS_MIN).for_each(|_| stage.fault(&refused(1, Refusal::LeavesRoot)));
        stage.pass(1000);
    };
    accuse(&mut stage);
    assert_eq!(count(&stage), (1, 0), "the word of this replica alone");
    stage.pass(2 * OFFENCES_HALF_LIFE_MS);
    accuse(&mut stage);
    assert_eq!(count(&stage), (2, 0), "a label that was taken and given again is another");
    stage.fault(&equivocation(1, 7));
    assert_eq!(count(&stage), (2, 2), "it was faulty all along");
    stage.pass(2 * PROVEN_SPAN_MS);
    assert_eq!(stage.labelled(), [0_u8; 0]);
    accuse(&mut stage);
    assert_eq!(count(&stage), (3, 3));
    let others = stage.assessment(2).statistics;
    assert_eq!((others.labels, others.labels_confirmed), (0, 0));
}

#[test]
fn detector_that_is_off_acts_on_proofs_alone() {
    let mut stage = Stage::with(4, 1, Settings { enabled: false, ..Settings::default() });
    stage.delays[2] = None;
    stage.slots(200);
    for _ in 0..100 {
        stage.fault(&invalid_signature(1, 1));
        stage.fault(&refused(1, Refusal::LeavesRoot));
        stage.event(Event::Accuracy { replica: id(1), agreed: false });
    }
    assert_eq!(stage.steps, []);
    stage.fault(&equivocation(3, 7));
    assert_eq!((stage.quarantined(), stage.labelled()), (vec![3], vec![3]));
}

#[test]
fn primary_that_is_voted_out_over_work_is_charged_with_lateness() {
    let mut stage = Stage::new(4, 1);
    stage.event(Event::ViewChanged { from_primary: id(1), proposable: false });
    assert!(stage.assessment(1).statistics.offences.is_empty());
    (0..50).for_each(|_| stage.event(Event::ViewChanged { from_primary: id(1), proposable: true }));
    assert_eq!(stage.assessment(1).statistics.offences, [(Offence::VotedOut, 50)]);
    assert!((stage.assessment(1).reputation.score - 0.4).abs() < 0.001);
    assert!(stage.labelled().is_empty());
}

#[test]
fn every_fault_is_an_offence_or_a_notice_and_proofs_are_proofs() {
    for fault in all_faults(1) {
        match Offence::of(&fault) {
            Some((replica, offence)) => {
                assert_eq!((Some(replica), offence.class()), (fault.replica(), FaultClass::Byzantine));
                assert_eq!(offence.is_proof(), fault.is_proof(), "{fault}");
                assert_eq!(Notice::of(&fault), None);
            }
            None => assert!(Notice::of(&fault).is_some() && !fault.is_proof(), "{fault}"),
        }
    }
}

#[test]
fn names_of_offences_are_their_own() {
    for (place, offence) in Offence::ALL.into_iter().enumerate() {
        assert_eq!((offence as usize, Offence::named(offence.name())), (place, Some(offence)));
    }
}
