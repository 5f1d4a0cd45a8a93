//! What a cluster says in the main interactions of Castro & Liskov 1999, message by message.

use certificate::{Digest, Sequence};

use super::bench::*;
use super::cluster::*;
use super::toy::*;
use crate::*;

/// What a cluster says, one line for each message and all who send it, each once: kind, view, slot, the digest by a letter.
fn transcript(cluster: &Cluster, from: usize) -> Vec<String> {
    let mut letters: Vec<Digest> = Vec::new();
    let mut name = |sequence: Sequence, digest: Digest| {
        if certificate::SlotHeader::null(sequence, Digest::of(b"cluster file")).digest() == digest {
            return "null".to_string();
        }
        let known = letters.iter().position(|it| *it == digest);
        let place = known.unwrap_or_else(|| {
            letters.push(digest);
            letters.len() - 1
        });
        char::from(b'a' + place as u8).to_string()
    };
    let mut lines: Vec<(String, Vec<usize>)> = Vec::new();
    for (sender, _, message) in &cluster.said[from..] {
        let what = match message {
            Message::PrePrepare(it) => format!(
                "v{} s{} {}",
                it.view,
                it.header.sequence,
                name(it.header.sequence, it.header.digest())
            ),
            Message::Prepare(it) | Message::Commit(it) => {
                format!("v{} s{} {}", it.view, it.sequence, name(it.sequence, it.digest))
            }
            Message::Checkpoint(it) => format!("s{} {}", it.sequence, name(it.sequence, it.digest)),
            Message::ViewChange(it) => {
                let mut text = format!("v{} base {}", it.view, it.base(3));
                for slot in &it.slots {
                    let claim = it.claim(slot.sequence);
                    let prepared = claim.prepared.map(|(view, digest)| {
                        format!(" P s{} {} v{view}", slot.sequence, name(slot.sequence, digest))
                    });
                    let voted = claim.voted.map(|(view, digest)| {
                        format!(" Q s{} {} v{view}", slot.sequence, name(slot.sequence, digest))
                    });
                    text.extend(prepared.into_iter().chain(voted));
                }
                text
            }
            Message::NewView(it) => {
                let of: Vec<String> = it.view_changes.iter().map(|(of, _)| of.to_string()).collect();
                // The runs below have their base at genesis.
                let fixed = it
                    .proposals
                    .iter()
                    .zip(1..)
                    .map(|((digest, _), slot)| format!(" s{slot} {}", name(Sequence(slot), *digest)));
                format!("v{} of {}{}", it.view, of.join(" "), fixed.collect::<String>())
            }
            Message::FetchBatch { sequence, digest } => format!("s{sequence} {}", name(*sequence, *digest)),
            Message::Batch { header, .. } => {
                format!("s{} {}", header.sequence, name(header.sequence, header.digest()))
            }
            Message::Resolve { .. } | Message::Observe(_) => String::new(),
            _ => continue,
        };
        let line = format!("{} {what}", kind_of(message)).trim().to_string();
        match lines.iter_mut().find(|(before, _)| *before == line) {
            Some((_, senders)) if senders.contains(sender) => {}
            Some((_, senders)) => senders.push(*sender),
            None => lines.push((line, vec![*sender])),
        }
    }
    lines
        .into_iter()
        .map(|(line, senders)| {
            format!("{line}: {}", senders.iter().map(usize::to_string).collect::<Vec<_>>().join(" "))
        })
        .collect()
}

/// §4.2, figure 1, with the observations before it.
#[test]
fn transcript_of_the_normal_case() {
    let mut cluster = Cluster::calm(4, 1);
    let from = cluster.said.len();
    cluster.request(2, 7);
    cluster.run_for(100);
    assert_eq!(
        transcript(&cluster, from),
        [
            "resolve: 2",
            "observe: 2 0 1 3",
            "pre-prepare v0 s1 a: 0",
            "prepare v0 s1 a: 1 2 3",
            "commit v0 s1 a: 2 3 0 1",
        ]
    );
}

/// §4.3.
#[test]
fn transcript_of_a_checkpoint() {
    let mut cluster = Cluster::new(1, CALM, |id| tiny(parameters(id, 4, 1)));
    for number in 1..=4 {
        cluster.request(2, number);
        cluster.run_for(50);
    }
    let from = cluster
        .said
        .iter()
        .position(|(_, _, message)| matches!(message, Message::Commit(vote) if vote.sequence == Sequence(4)));
    assert_eq!(transcript(&cluster, from.unwrap()), ["commit v0 s4 a: 2 3 0 1", "checkpoint s4 b: 0 1 2 3",]);
}

/// §4.4, with a slot that two backups had prepared when the primary went, and of which the third knows nothing.
#[test]
fn transcript_of_a_view_change_with_a_prepared_slot() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.request(2, 7);
    cluster.run_for(7);
    cluster.cut.insert((0, 3));
    cluster.run_for(2);
    cluster.crash(0, 0);
    let from = cluster.said.len();
    cluster.run_for(400);
    assert!((1..4).all(|id| cluster.operations(id) == [7]));
    assert_eq!(
        transcript(&cluster, from),
        [
            "observe: 3",
            "prepare v0 s1 a: 1 2",
            "commit v0 s1 a: 1 2",
            "view-change v1 base 0 P s1 a v0 Q s1 a v0: 1 2",
            "view-change v1 base 0: 3",
            "new-view v1 of 1 2 3 s1 a: 1",
            "prepare v1 s1 a: 2 3",
            "fetch-batch s1 a: 3",
            "pre-prepare v1 s1 a: 1",
            "batch s1 a: 1",
            "commit v1 s1 a: 3 1 2",
        ]
    );
}

/// §4.4, with a gap: the faulty primary proposed slot 2 and never slot 1.
#[test]
fn transcript_of_a_view_change_with_a_null_slot() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.liars.insert(0);
    let mut bench = Bench::new(0);
    bench.now = cluster.now;
    let batch = bench.batch_of(7, &[1, 2, 3]);
    let proposal = Message::PrePrepare(bench.signed(0, bench.header_over(2, &batch), batch));
    let from = cluster.said.len();
    (1..4).for_each(|to| cluster.whisper(0, to, &proposal));
    cluster.run_for(400);
    assert!((1..4).all(|id| cluster.operations(id) == [7]));
    assert_eq!(
        transcript(&cluster, from),
        [
            "prepare v0 s2 a: 1 2 3",
            "commit v0 s2 a: 2 3 1",
            "view-change v1 base 0 P s2 a v0 Q s2 a v0: 1 2 3",
            "new-view v1 of 1 2 3 s1 null s2 a: 1",
            "prepare v1 s1 null: 2 3",
            "prepare v1 s2 a: 2 3",
            "pre-prepare v1 s1 null: 1",
            "pre-prepare v1 s2 a: 1",
            "commit v1 s1 null: 3 1 2",
            "commit v1 s2 a: 3 1 2",
        ]
    );
}
