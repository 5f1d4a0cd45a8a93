//! What is accepted as a proof, and every way in which a file is not one.

use std::sync::Arc;

use certificate::{Digest, Epoch, MessageType, OperationKind, ReplicaId, Sequence, View};
use pbft::{Application, Counted, Fault, NewView, NewViewError, Operation, SignedVote, ViewChange};

use super::cases::{A, B, CULPRIT, Case};
use crate::evidence::{EvidenceError, EvidenceFile, EvidenceKind, EvidenceSyntaxError, Exhibit};

/// Every fault that is a proof without any application, as replicas raise it.
fn proofs(case: &Case) -> Vec<Fault> {
    vec![
        case.equivocation(MessageType::PrePrepare),
        case.equivocation(MessageType::Prepare),
        case.equivocation(MessageType::Commit),
        case.checkpoints(),
        case.view_changes(),
        case.new_views(),
        case.null_observation(),
        case.invalid_view_change(),
        case.undecided_view_change(),
        case.short_new_view(),
        case.forgetful_new_view(),
        case.gullible_new_view(),
        case.misplaced_new_view(),
        case.misplaced_prepare(),
        case.misplaced_proposal(),
        case.misplaced_checkpoint(),
    ]
}

fn verify(case: &Case, exhibit: Exhibit) -> Result<Fault, EvidenceError> {
    let file = EvidenceFile { exhibit, ..case.file(&case.checkpoints()) };
    file.verify(&case.cluster).map(|proven| proven.fault)
}

#[test]
fn every_proof_is_written_read_back_and_proven_by_the_cluster_file_alone() {
    let case = Case::new();
    let mut kinds = Vec::new();
    for fault in proofs(&case) {
        assert!(fault.is_proof());
        let written = case.file(&fault);
        let read = EvidenceFile::parse(&written.to_text()).unwrap();
        assert_eq!(read, written);
        let proven = read.verify(&case.cluster).unwrap_or_else(|error| panic!("{fault}: {error}"));
        assert_eq!((proven.replica, &proven.fault), (ReplicaId(CULPRIT), &fault));
        assert_eq!(Some(proven.kind), EvidenceKind::of(&fault));
        kinds.push(proven.kind);
    }
    kinds.dedup();
    let expected: Vec<EvidenceKind> = EvidenceKind::ALL.into_iter().filter(|kind| kind.is_proof()).collect();
    assert_eq!(kinds, expected, "every kind of proof is here");
}

#[test]
fn verdict_names_view_and_slot_where_there_are_any() {
    let case = Case::new();
    let place = |fault: Fault| {
        let proven = case.file(&fault).verify(&case.cluster).unwrap();
        (proven.view, proven.sequence)
    };
    assert_eq!(place(case.equivocation(MessageType::Commit)), (Some(View(6)), Some(Sequence(9))));
    assert_eq!(place(case.checkpoints()), (None, Some(Sequence(100))));
    assert_eq!(place(case.new_views()), (Some(View(6)), None));
    assert_eq!(place(case.null_observation()), (None, None));
}

#[test]
fn evidence_of_another_cluster_or_epoch_is_refused() {
    let case = Case::new();
    let file = case.file(&case.checkpoints());
    let mut other = case.cluster.clone();
    other.name = "other".to_owned();
    assert!(matches!(file.verify(&other), Err(EvidenceError::Cluster { .. })));
    let mut later = case.cluster.clone();
    (later.cluster_id, later.epoch) = (Some(case.cluster.id()), Epoch(2));
    let epochs = EvidenceError::Epoch { ours: Epoch(2), theirs: Epoch(1) };
    assert_eq!(file.verify(&later), Err(epochs));
    for pretended in [Digest([9; 32]), other.id()] {
        let mut forged = file.clone();
        forged.domain.cluster_id = pretended;
        assert!(matches!(forged.verify(&case.cluster), Err(EvidenceError::Cluster { .. })));
    }
}

#[test]
fn signatures_for_another_cluster_file_of_the_same_id_do_not_hold() {
    let case = Case::new();
    let mut keys_changed = case.cluster.clone();
    keys_changed.cluster_id = Some(case.cluster.id());
    keys_changed.members[usize::from(CULPRIT)].public_key = keys_changed.members[0].public_key;
    let replica = ReplicaId(CULPRIT);
    let file = case.file(&case.checkpoints());
    assert_eq!(file.verify(&keys_changed), Err(EvidenceError::Signature { part: 1, replica }));
}

#[test]
fn nobody_is_condemned_by_what_another_signed() {
    let case = Case::new();
    let (accused, shown) = (ReplicaId(1), ReplicaId(CULPRIT));
    for fault in proofs(&case) {
        let file = EvidenceFile { replica: accused, ..case.file(&fault) };
        assert_eq!(
            file.verify(&case.cluster),
            Err(EvidenceError::OtherReplica { accused, shown }),
            "{fault}"
        );
        let nobody = EvidenceFile { replica: ReplicaId(4), ..case.file(&fault) };
        assert_eq!(nobody.verify(&case.cluster), Err(EvidenceError::UnknownReplica(ReplicaId(4))));
    }
}

#[test]
fn votes_that_do_not_contradict_each_other_prove_nothing() {
    let case = Case::new();
    let vote = |phase, view, sequence, digest| case.vote(phase, view, sequence, digest, CULPRIT);
    let first = vote(MessageType::Prepare, 6, 9, A);
    let what = "slot, view and phase";
    let refused = |second: SignedVote| verify(&case, Exhibit::Equivocation { first, second }).unwrap_err();
    for second in [
        vote(MessageType::Commit, 6, 9, B),
        vote(MessageType::Prepare, 7, 9, B),
        vote(MessageType::Prepare, 6, 10, B),
    ] {
        assert_eq!(refused(second), EvidenceError::NoContradiction { what });
    }
    assert_eq!(refused(first), EvidenceError::Same);
    let forged = SignedVote { phase: MessageType::Prepare, ..vote(MessageType::Commit, 6, 9, B) };
    let replica = ReplicaId(CULPRIT);
    assert_eq!(refused(forged), EvidenceError::Signature { part: 2, replica });
    let mixed = case.vote(MessageType::Prepare, 6, 9, B, 1);
    assert!(matches!(refused(mixed), EvidenceError::OtherReplica { .. }), "two replicas may differ");
}

#[test]
fn checkpoints_and_view_changes_that_do_not_contradict_each_other_prove_nothing() {
    let case = Case::new();
    let first = case.checkpoint(100, A);
    let checkpoints = |second| verify(&case, Exhibit::CheckpointEquivocation { first, second }).unwrap_err();
    assert_eq!(checkpoints(case.checkpoint(200, B)), EvidenceError::NoContradiction { what: "slot" });
    assert_eq!(checkpoints(first), EvidenceError::Same);
    let first = case.view_change(CULPRIT, 3, vec![]);
    let moves = |second: Arc<ViewChange>| {
        let first = first.clone();
        verify(&case, Exhibit::ViewChangeEquivocation { first, second }).unwrap_err()
    };
    let later = case.view_change(CULPRIT, 4, vec![case.claim(1, A)]);
    assert_eq!(moves(later), EvidenceError::NoContradiction { what: "view" });
    assert_eq!(moves(first.clone()), EvidenceError::Same);
    let other = case.view_change(CULPRIT, 3, vec![case.claim(1, A)]);
    let forged = ViewChange { signature: first.signature, ..(*other).clone() };
    assert!(matches!(moves(Arc::new(forged)), EvidenceError::Signature { part: 2, .. }));
}

#[test]
fn new_views_that_do_not_contradict_each_other_prove_nothing() {
    let case = Case::new();
    let first = Arc::new(case.new_view(&case.three()));
    let both = |second: Arc<NewView>| {
        let first = first.clone();
        verify(&case, Exhibit::NewViewEquivocation { first, second }).unwrap_err()
    };
    assert_eq!(both(first.clone()), EvidenceError::Same);
    let later = case.resigned(NewView { view: View(10), ..(*first).clone() });
    assert_eq!(both(later), EvidenceError::NoContradiction { what: "view" });
    let of_another = case.resigned(NewView { view: View(7), ..(*first).clone() });
    assert!(matches!(both(of_another), EvidenceError::OtherReplica { .. }), "not the primary of that view");
    let forged = NewView { proposals: Vec::new(), ..(*first).clone() };
    assert!(matches!(both(Arc::new(forged)), EvidenceError::Signature { part: 2, .. }));
}

#[test]
fn sound_view_changes_and_new_views_prove_nothing() {
    let case = Case::new();
    let message = case.view_change(CULPRIT, 3, vec![case.claim(1, A)]);
    let sound = EvidenceError::Sound { what: "view change" };
    assert_eq!(verify(&case, Exhibit::InvalidViewChange { message }), Err(sound));
    let three = case.three();
    let message = Arc::new(case.new_view(&three));
    let exhibit = Exhibit::InvalidNewView { message, view_changes: three.to_vec() };
    assert_eq!(verify(&case, exhibit), Err(EvidenceError::Sound { what: "new view" }));
}

#[test]
fn votes_and_checkpoints_in_their_place_prove_nothing() {
    let case = Case::new();
    let vote =
        |phase, view| verify(&case, Exhibit::MisplacedVote { vote: case.vote(phase, view, 9, A, CULPRIT) });
    for (phase, view) in [(MessageType::PrePrepare, 6), (MessageType::Prepare, 7), (MessageType::Commit, 6)] {
        assert_eq!(vote(phase, view), Err(EvidenceError::Sound { what: "vote" }), "{phase:?} in view {view}");
    }
    let checkpoint = |sequence, signed| {
        let vote = pbft::CheckpointVote { sequence: Sequence(sequence), ..case.checkpoint(signed, A) };
        verify(&case, Exhibit::MisplacedCheckpoint { vote })
    };
    assert_eq!(checkpoint(100, 100), Err(EvidenceError::Sound { what: "checkpoint" }));
    assert!(matches!(checkpoint(99, 100), Err(EvidenceError::Signature { part: 1, .. })));
    assert!(checkpoint(0, 0).is_ok(), "the beginning has none");
    let mut vote = case.vote(MessageType::Prepare, 6, 9, A, CULPRIT);
    vote.phase = MessageType::PrePrepare;
    let forged = verify(&case, Exhibit::MisplacedVote { vote });
    assert!(matches!(forged, Err(EvidenceError::Signature { part: 1, .. })));
}

#[test]
fn new_view_is_condemned_only_with_the_view_changes_that_it_names() {
    let case = Case::new();
    let Fault::InvalidNewView { message, view_changes, .. } = case.forgetful_new_view() else { panic!() };
    let shown = |view_changes: Vec<Arc<ViewChange>>| {
        let message = message.clone();
        verify(&case, Exhibit::InvalidNewView { message, view_changes }).unwrap_err()
    };
    assert_eq!(shown(vec![]), EvidenceError::Missing(ReplicaId(0)));
    assert_eq!(shown(view_changes[..2].to_vec()), EvidenceError::Missing(ReplicaId(3)));
    // A third party cannot bring a bad view change along.
    let mut foreign = view_changes;
    foreign[1] = case.view_change(1, 6, vec![case.lie(1)]);
    assert_eq!(shown(foreign), EvidenceError::NotNamed { part: 3 });
}

#[test]
fn view_changes_named_by_a_new_view_are_looked_at_whole() {
    let case = Case::new();
    let proven = |view_changes: [Arc<ViewChange>; 3]| {
        let message = case.resigned(case.new_view(&view_changes));
        let exhibit = Exhibit::InvalidNewView { message, view_changes: view_changes.to_vec() };
        let Fault::InvalidNewView { error, .. } = verify(&case, exhibit).unwrap() else { panic!() };
        error
    };
    let mut elsewhere = case.three();
    elsewhere[0] = case.view_change(0, 7, vec![]);
    assert_eq!(proven(elsewhere), NewViewError::View(ReplicaId(0)));
    let mut unsigned = case.three();
    let signature = unsigned[0].signature;
    unsigned[1] = Arc::new(ViewChange { signature, ..(*unsigned[1]).clone() });
    assert_eq!(proven(unsigned), NewViewError::ViewChange(ReplicaId(1)));
}

/// Takes nothing that begins with `bad`.
struct Judge;

impl Application for Judge {
    fn check(&self, _: &Operation, _: ReplicaId, payload: &[u8]) -> bool {
        !payload.starts_with(b"bad")
    }

    fn settled(&self, _: &Operation, _: &[Counted<'_>]) -> bool {
        false
    }

    fn decide(&self, _: &Operation, _: &[Counted<'_>]) -> Vec<u8> {
        Vec::new()
    }
}

#[test]
fn content_of_an_observation_is_judged_by_the_application_alone() {
    let case = Case::new();
    let operation = || Operation { kind: OperationKind::Resolve, subject: vec![1] };
    let bad = case.file(&case.observations(operation(), b"bad"));
    assert_eq!(bad.verify(&case.cluster), Err(EvidenceError::NeedsApplication));
    assert_eq!(bad.verify_with(&case.cluster, &Judge).unwrap().kind, EvidenceKind::MalformedObservation);
    let good = case.file(&case.observations(operation(), b"good"));
    let sound = EvidenceError::Sound { what: "observations" };
    assert_eq!(good.verify_with(&case.cluster, &Judge), Err(sound));
    let long = case.file(&case.observations(operation(), &[0; 8192]));
    assert!(long.verify(&case.cluster).is_ok(), "its length is judged by the cluster file");
    let null = case.file(&case.null_observation());
    let Exhibit::MalformedObservation { mut set } = null.exhibit.clone() else { panic!() };
    set.signature.0[9] ^= 1;
    let forged = EvidenceFile { exhibit: Exhibit::MalformedObservation { set }, ..null };
    assert!(matches!(forged.verify(&case.cluster), Err(EvidenceError::Signature { part: 1, .. })));
}

#[test]
fn refused_proposal_is_signed_and_no_proof() {
    let case = Case::new();
    let file = case.file(&case.refused_proposal());
    assert!(file.to_text().contains("proof: no\n"));
    assert_eq!(file.verify(&case.cluster), Err(EvidenceError::NoProof));
    let Exhibit::RefusedProposal { mut proposal } = file.exhibit.clone() else { panic!() };
    proposal.vote.signature.0[9] ^= 1;
    let forged = EvidenceFile { exhibit: Exhibit::RefusedProposal { proposal }, ..file };
    assert!(matches!(forged.verify(&case.cluster), Err(EvidenceError::Signature { .. })));
}

/// The lines that no signature covers: the clock of the finder, and the fault in words.
fn unsigned(line: &str) -> bool {
    line.starts_with("time-ms: ") || line.starts_with("fault: ")
}

#[test]
fn every_character_that_is_changed_makes_the_file_worthless() {
    let case = Case::new();
    for fault in proofs(&case) {
        let text = case.file(&fault).to_text();
        let lines: Vec<&str> = text.lines().collect();
        for (place, line) in lines.iter().enumerate().filter(|(_, line)| !unsigned(line)) {
            // Long parts are changed at some places only; their bounds are odd, so that all fields are met.
            let step = 1 + line.len() / 97;
            for at in (0..line.len()).step_by(step) {
                let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
                let other = if line.as_bytes()[at] == b'1' { "3" } else { "1" };
                changed[place].replace_range(at..=at, other);
                let verdict = EvidenceFile::parse(&(changed.join("\n") + "\n"))
                    .map(|file| file.verify(&case.cluster).is_ok());
                assert_ne!(verdict, Ok(true), "{fault}: line {} at {at}", place + 1);
            }
        }
    }
}

#[test]
fn cut_or_longer_texts_are_refused() {
    let case = Case::new();
    let text = case.file(&case.equivocation(MessageType::Prepare)).to_text();
    for length in 0..text.len() {
        assert!(EvidenceFile::parse(&text[..length]).is_err(), "cut at {length}");
    }
    for beyond in ["\n", " ", "prepare: \n", "note: 00\n", "prepare: 0\n"] {
        assert!(EvidenceFile::parse(&format!("{text}{beyond}")).is_err(), "{beyond:?}");
    }
    let doubled = format!("{text}{text}");
    assert!(EvidenceFile::parse(&doubled).is_err());
    let long = " ".repeat(crate::evidence::EVIDENCE_BYTES_MAX + 1);
    assert!(matches!(EvidenceFile::parse(&long), Err(EvidenceSyntaxError::TooLong(_))));
}

#[test]
fn lines_in_another_form_are_refused_with_their_number() {
    let case = Case::new();
    let text = case.file(&case.equivocation(MessageType::Prepare)).to_text();
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        EvidenceFile::parse(&text.replacen(from, to, 1)).unwrap_err().to_string()
    };
    for (from, to, line) in [
        ("quorate-evidence: 2", "quorate-evidence: 3", 1),
        ("quorate-evidence: 2", "quorate-evidence: 02", 1),
        ("epoch: 1", "epoch: +1", 3),
        ("epoch: 1", "epoch: 01", 3),
        ("epoch: 1\n", "", 3),
        ("epoch: 1", "epoch: 1 ", 3),
        ("kind: equivocation", "kind: treason", 5),
        ("replica: 2", "replica: 256", 6),
        ("fault: ", "fault: \u{1b}[31m", 7),
        ("proof: yes", "proof: no", 8),
        ("proof: yes", "proof: true", 8),
        ("prepare: 00", "prepare: 0g", 9),
        ("prepare: 00", "prepare: 0A", 9),
        ("prepare: 00", "prepare:00", 9),
        ("prepare: 00", "prepare: ", 9),
        ("prepare: 00", "checkpoint: 00", 9),
    ] {
        let error = refused(from, to);
        assert!(error.starts_with(&format!("line {line}: ")), "{from} -> {to}: {error}");
    }
    let cluster = format!("cluster: {}", case.cluster.id());
    let upper = format!("cluster: {}", case.cluster.id().to_string().to_uppercase());
    assert!(refused(&cluster, &upper).starts_with("line 2: expected `cluster: DIGEST`"));
    assert_eq!(
        refused("kind: equivocation", "kind: invalid-new-view"),
        "line 9: expected one `new-view`, then `view-change` in evidence of kind `invalid-new-view`"
    );
}

#[test]
fn files_of_version_1_are_still_read_and_verified() {
    let case = Case::new();
    let of_version_1 = [
        case.equivocation(MessageType::PrePrepare),
        case.equivocation(MessageType::Commit),
        case.checkpoints(),
        case.view_changes(),
        case.null_observation(),
    ];
    for fault in of_version_1 {
        let file = case.file(&fault);
        let old = version_1(&file);
        assert_eq!(EvidenceFile::parse(&old).unwrap(), file, "{old}");
    }
    let refused = case.file(&case.refused_proposal());
    assert_eq!(EvidenceFile::parse(&version_1(&refused)).unwrap(), refused);
}

/// The text as version 1 wrote it.
pub fn version_1(file: &EvidenceFile) -> String {
    let text = file.to_text();
    let lines = text.lines().filter(|line| !line.starts_with("kind: ") && !line.starts_with("replica: "));
    let old = lines.map(|line| match line {
        "quorate-evidence: 2" => "quorate-evidence: 1\n".to_owned(),
        line => format!("{}\n", line.replacen("pre-prepare: ", "preprepare: ", 1)),
    });
    old.collect()
}
