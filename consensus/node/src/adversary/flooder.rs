//! Sends far more than it needs to. Over its connections: bursts of questions beyond its quota, and a stream of messages that ask for work. At
//! the peer ports: datagrams that look like the beginning of QUIC, from its own address and from that of a stranger.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use certificate::{Digest, Sequence};
use pbft::{Item, Message, Operation, PeerStatus, Recipients};

use super::voice::STIR_EVERY;
use super::{Adversary, Liar, Said};

/// Questions in a burst: several times what a peer takes of one origin.
const QUESTIONS: u64 = 2560;
/// How often there is a burst.
const BURST_EVERY: Duration = Duration::from_secs(4);
/// Other messages at a time: a thousand a second.
const MESSAGES: u64 = 25;
/// Datagrams to each peer at a time, of each kind: eight hundred a second.
const DATAGRAMS: u64 = 20;
/// Bytes of a datagram that looks like the beginning of a connection: RFC 9000 §14.1.
const INITIAL_BYTES: usize = 1200;
/// Letters of a question that are changed to make another one.
const CHANGED_LETTERS: usize = 6;

#[derive(Default)]
pub(super) struct Flooder {
    /// What a question looks like.
    question: Option<Operation>,
    asked: u64,
    datagrams: u64,
    stirs: u128,
    /// From where a stranger would send.
    stranger: Option<UdpSocket>,
}

impl Adversary for Flooder {
    fn speak(&mut self, _: &Liar, to: Recipients, message: Message) -> Vec<Said> {
        self.learn(&message);
        vec![(to, message, Duration::ZERO)]
    }

    fn hear(&mut self, _: &Liar, message: &Message) {
        self.learn(message);
    }

    fn stir(&mut self, liar: &Liar) -> Vec<Said> {
        // It begins when the cluster is in use.
        let Some(question) = self.question.clone() else { return Vec::new() };
        self.send_datagrams(liar);
        let messages = self.messages(&question);
        messages.into_iter().map(|message| (Recipients::All, message, Duration::ZERO)).collect()
    }
}

impl Flooder {
    fn learn(&mut self, message: &Message) {
        if self.question.is_some() {
            return;
        }
        self.question = match message {
            Message::Resolve { operation, .. } => Some(operation.clone()),
            Message::Observe(set) => set.items.iter().find_map(|item| match item {
                Item::Full(observation) => Some(observation.operation.clone()),
                Item::Pruned(_) => None,
            }),
            _ => None,
        };
    }

    /// What it says this time.
    fn messages(&mut self, question: &Operation) -> Vec<Message> {
        let mut messages: Vec<Message> = (0..MESSAGES).map(work).collect();
        if self.stirs.is_multiple_of(BURST_EVERY.as_millis() / STIR_EVERY.as_millis()) {
            let ask = |number| Message::Resolve { operation: another(question, number), after: Sequence(0) };
            messages.extend((self.asked..self.asked + QUESTIONS).map(ask));
            self.asked += QUESTIONS;
        }
        self.stirs += 1;
        messages
    }

    fn send_datagrams(&mut self, liar: &Liar) {
        if self.stranger.is_none() {
            let any: SocketAddr = match liar.others.first() {
                Some(SocketAddr::V6(_)) => ([0_u16; 8], 0).into(),
                Some(SocketAddr::V4(_)) | None => ([0_u8; 4], 0).into(),
            };
            self.stranger = UdpSocket::bind(any).and_then(|it| it.set_nonblocking(true).map(|()| it)).ok();
        }
        for _ in 0..DATAGRAMS {
            self.datagrams += 1;
            let datagram = initial(self.datagrams);
            for other in &liar.others {
                // A full buffer loses what does not fit: that is a flood, too.
                let _ = liar.socket.send_to(&datagram, other);
                let _ = self.stranger.as_ref().map(|stranger| stranger.send_to(&datagram, other));
            }
        }
    }
}

/// A message that makes a peer look for something.
fn work(number: u64) -> Message {
    match number % 4 {
        0 => Message::Fetch { from: Sequence(1) },
        1 => Message::FetchBatch { sequence: Sequence(1), digest: Digest::ZERO },
        2 => Message::Status(PeerStatus::default()),
        _ => Message::Answer { operation: Digest::ZERO, bytes: vec![7; 256] },
    }
}

/// The question with other letters in the same places: a name that nobody asked for, of the same form.
fn another(question: &Operation, mut number: u64) -> Operation {
    let mut subject = question.subject.clone();
    // Its first byte is a length, whatever it looks like; no later one is, since no label is as long as a letter's number.
    let letters = subject.iter_mut().skip(1).filter(|byte| byte.is_ascii_lowercase());
    for letter in letters.take(CHANGED_LETTERS) {
        *letter = b'a' + (number % 26) as u8;
        number /= 26;
    }
    Operation { subject, ..question.clone() }
}

/// The beginning of a QUIC connection, whose contents are noise: RFC 9000 §17.2.2.
fn initial(number: u64) -> Vec<u8> {
    let mut datagram = vec![0xc3, 0, 0, 0, 1, 8];
    datagram.extend(number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    datagram.extend([0, 0, 0x44, 0x9e]);
    datagram.resize(INITIAL_BYTES, number as u8);
    datagram
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use certificate::OperationKind;
    use pbft::OPEN_REQUESTS_PER_ORIGIN_MAX;

    use super::*;

    fn question() -> Operation {
        let subject = b"\x11\x03www\x07example\x03org\x00\x00\x01\x00\x01\x00".to_vec();
        Operation { kind: OperationKind::Resolve, subject }
    }

    #[test]
    fn questions_of_a_flood_differ_and_keep_their_form() {
        let asked: BTreeSet<Vec<u8>> = (0..5000).map(|number| another(&question(), number).subject).collect();
        assert_eq!(asked.len(), 5000);
        let form = |subject: &[u8]| subject.iter().map(|byte| byte.is_ascii_lowercase()).collect::<Vec<_>>();
        assert!(asked.iter().all(|subject| form(subject) == form(&question().subject)));
    }

    #[test]
    fn burst_passes_the_quota_and_messages_go_on_between_bursts() {
        let mut flooder = Flooder::default();
        let is_question = |message: &&Message| matches!(message, Message::Resolve { .. });
        let burst = flooder.messages(&question());
        assert!(burst.iter().filter(is_question).count() > OPEN_REQUESTS_PER_ORIGIN_MAX);
        let between = flooder.messages(&question());
        assert_eq!((between.len(), between.iter().filter(is_question).count()), (MESSAGES as usize, 0));
    }
}
