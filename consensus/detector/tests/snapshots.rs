//! What survives a restart, and what is refused.

mod stage;

use detector::*;
use stage::*;

fn restored(text: &str, now_ms: u64) -> Result<Detector, RestoreError> {
    let stage = Stage::new(4, 1);
    Detector::restore(id(0), stage.replicas, Settings::default(), Now { monotonic_ms: 5, ..at(now_ms) }, text)
}

fn eventful() -> Stage {
    let mut stage = Stage::new(4, 1);
    stage.slots(400);
    (0..BAD_SIGNATURES_MIN).for_each(|_| stage.fault(&invalid_signature(3, 1)));
    stage.pass(SIGNATURES_SPAN_MS);
    stage.fault(&equivocation(2, 7));
    stage
}

#[test]
fn reputation_quarantines_strikes_and_proofs_survive() {
    let mut stage = eventful();
    let text = stage.detector.snapshot(at(stage.now_ms));
    let hour = 3_600_000;
    let mut again = restored(&text, stage.now_ms + hour).unwrap();
    let now = Now { monotonic_ms: 5, ..at(stage.now_ms + hour) };
    let after = &again.assessments(now)[1];
    assert_eq!(after.quarantined, stage.assessment(2).quarantined);
    assert!(after.indicators.contains(&Indicator::Proven));
    let (before, after) = (stage.assessment(1).reputation, &again.assessments(now)[0].reputation);
    assert!(after.score > PRIOR && after.score < before.score, "an hour has faded");
    assert_eq!((after.interactions, &after.history), (before.interactions, &before.history));
    assert!(
        again
            .observe(now, Event::Fault(&equivocation(2, 7)))
            .iter()
            .all(|step| { !matches!(step, Step::Quarantine { .. }) })
    );
    let steps: Vec<Step> = (0..BAD_SIGNATURES_MIN)
        .flat_map(|_| again.observe(now, Event::Fault(&invalid_signature(3, 1))))
        .collect();
    assert!(steps.iter().any(|step| matches!(step, Step::Spared { .. })), "the proof holds the one place");
    again.lift(now, id(2));
    let steps: Vec<Step> = (0..BAD_SIGNATURES_MIN)
        .flat_map(|_| again.observe(now, Event::Fault(&invalid_signature(3, 1))))
        .collect();
    assert!(steps.iter().any(|step| matches!(step, Step::Quarantine { strike: 2, .. })), "{steps:?}");
    stage.pass(1000);
}

#[test]
fn quarantine_goes_on_where_it_was_and_ends() {
    let stage = eventful();
    let text = stage.detector.snapshot(at(stage.now_ms));
    let almost = PROVEN_SPAN_MS - 1000;
    let mut again = restored(&text, stage.now_ms + almost).unwrap();
    let later = |ms: u64| Now { monotonic_ms: 5 + ms, wall_ms: WALL_MS + stage.now_ms + almost + ms };
    assert!(again.tick(later(900)).iter().all(|step| !matches!(step, Step::Release { .. })));
    let released = Step::Release { replica: id(2), why: Release::Expired };
    assert!(again.tick(later(1000)).contains(&released));
    let long_after = restored(&text, stage.now_ms + PROVEN_SPAN_MS).unwrap();
    assert!(long_after.assessments(later(0)).iter().all(|one| one.quarantined.is_none()));
}

#[test]
fn wall_clock_that_stepped_back_shortens_and_lengthens_nothing() {
    let stage = eventful();
    let text = stage.detector.snapshot(at(stage.now_ms));
    let stepped = Now { monotonic_ms: 5, wall_ms: 17 };
    let replicas = stage.replicas;
    let mut again = Detector::restore(id(0), replicas, Settings::default(), stepped, &text).unwrap();
    let shown = again.assessments(stepped)[1].quarantined.unwrap();
    assert_eq!(shown.until_ms, 17 + PROVEN_SPAN_MS, "the filter is told what is left of it");
    let at_end = Now { monotonic_ms: 5 + PROVEN_SPAN_MS, wall_ms: 17 };
    let before = Now { monotonic_ms: 5 + PROVEN_SPAN_MS - 1, wall_ms: 17 };
    assert!(again.tick(before).iter().all(|step| !matches!(step, Step::Release { .. })));
    assert!(again.tick(at_end).iter().any(|step| matches!(step, Step::Release { .. })));
}

#[test]
fn later_version_is_refused() {
    let text = eventful().detector.snapshot(at(0)).replacen("quorate-detector 1", "quorate-detector 2", 1);
    let error = restored(&text, 0).unwrap_err();
    assert_eq!(error, RestoreError::Version("quorate-detector 2".to_owned()));
    assert_eq!(
        error.to_string(),
        "line 1: expected `quorate-detector` with a version up to 1, found `quorate-detector 2`"
    );
    assert!(matches!(restored("", 0), Err(RestoreError::Version(_))));
}

#[test]
fn snapshot_of_another_replica_is_refused() {
    let text = eventful().detector.snapshot(at(0)).replacen("cluster 0 4 1", "cluster 1 4 1", 1);
    let error = restored(&text, 0).unwrap_err().to_string();
    assert_eq!(error, "line 2: expected `cluster 0 4 1`, found `cluster 1 4 1`");
}

#[test]
fn snapshot_that_is_cut_off_anywhere_is_refused() {
    let text = eventful().detector.snapshot(at(0));
    for length in (0..text.len() - 1).filter(|length| text.is_char_boundary(*length)) {
        assert!(restored(&text[..length], 0).is_err(), "cut at {length}");
    }
    assert_eq!(restored(text.strip_suffix("end\n").unwrap(), 0).unwrap_err(), RestoreError::CutOff);
}

#[test]
fn line_that_says_nothing_is_refused_with_its_number() {
    let text = eventful().detector.snapshot(at(0));
    let with = |line: &str| text.replacen("\nend\n", &format!("\n{line}\nend\n"), 1);
    let last = text.lines().count();
    for (line, expected) in [
        ("wisdom 1 2", "a fact of this version"),
        ("offence 1 theft 3", "the name of an offence"),
        ("offence 0 gone 3", "another replica of the cluster"),
        ("offence 9 gone 3", "another replica of the cluster"),
        ("offence 1 gone", "a count"),
        ("offence 1 gone 3 4", "the end of the line"),
        ("offence 1 gone -3", "a count"),
        ("reputation 1 1.5 0 0 0 0 0", "a score from 0 to 1"),
        ("reputation 1 NaN 0 0 0 0 0", "a score from 0 to 1"),
        ("trust 1 2 7", "an edge from 0 to 1"),
        ("proof 1 xyz", "a fingerprint"),
        ("strikes 1 felony 1 1", "`proven` or `signatures`"),
        ("quarantine 1 5 60000 signatures 3 1", "no more replicas than f in quarantine"),
    ] {
        let error = restored(&with(line), 0).unwrap_err();
        let found = line.to_owned();
        assert_eq!(error, RestoreError::Line { line: last, expected, found });
    }
}

#[test]
fn snapshot_is_bounded_by_lines_of_each_kind() {
    let text = eventful().detector.snapshot(at(0));
    let many = |line: &str, times: usize| {
        let lines = format!("{line}\n").repeat(times);
        text.replacen("\nend\n", &format!("\n{lines}end\n"), 1)
    };
    assert!(restored(&many("proof 1 00ff", PROOFS_MAX), 0).is_ok());
    assert!(restored(&many("proof 1 00ff", PROOFS_MAX + 1), 0).is_err());
    assert!(restored(&many("change 2 1 late 0 0.5", HISTORY_MAX + 1), 0).is_err());
    let long = " ".repeat(SNAPSHOT_BYTES_MAX + 1);
    assert_eq!(restored(&long, 0).unwrap_err(), RestoreError::TooLong(SNAPSHOT_BYTES_MAX + 1));
}

#[test]
fn proofs_that_are_remembered_are_bounded() {
    let mut stage = Stage::new(4, 1);
    (0..2 * PROOFS_MAX as u64).for_each(|sequence| stage.fault(&equivocation(2, sequence)));
    let text = stage.detector.snapshot(at(stage.now_ms));
    assert_eq!(text.lines().filter(|line| line.starts_with("proof 2 ")).count(), PROOFS_MAX);
    assert!(restored(&text, stage.now_ms).is_ok());
}

#[test]
fn flipped_characters_never_panic() {
    let text = eventful().detector.snapshot(at(0));
    let mut random = Random(5);
    for _ in 0..4000 {
        let mut bytes = text.clone().into_bytes();
        for _ in 0..1 + random.below(3) {
            let place = random.below(bytes.len() as u64) as usize;
            bytes[place] = b" 0123456789abcdefnot-.\n"[random.below(23) as usize];
        }
        let text = String::from_utf8(bytes).unwrap();
        if let Ok(mut detector) = restored(&text, 1000) {
            detector.tick(Now { monotonic_ms: u64::MAX, wall_ms: u64::MAX });
            detector.assessments(at(0));
        }
    }
}
