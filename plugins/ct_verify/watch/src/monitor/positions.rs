//! What outlives a restart: where the monitor stands in each log, and which certificates it has told of.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use transparency::digest::Sha256;

use super::frontier::{Frontier, KeptFrontier};
use super::zones::digest_from_hex;

/// Certificates that were told of, by the digest that pre-certificate and certificate share. The oldest are forgotten.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    order: VecDeque<Sha256>,
    all: BTreeSet<Sha256>,
}

impl Known {
    /// Whether the certificate is new; it is known from now on.
    pub fn is_new(&mut self, certificate: Sha256) -> bool {
        if !self.all.insert(certificate) {
            return false;
        }
        self.order.push_back(certificate);
        if self.order.len() > KNOWN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
        true
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    version: u32,
    /// By the log's identity in base64.
    logs: BTreeMap<String, KeptFrontier>,
    /// Certificates that were told of, the oldest first.
    known: Vec<String>,
}

/// The file's content.
pub(super) fn write<'a>(logs: impl Iterator<Item = (String, &'a Frontier)>, known: &Known) -> Vec<u8> {
    let logs = logs.take(LOGS_MAX).map(|(id, frontier)| (id, KeptFrontier::from(frontier))).collect();
    let known = known.order.iter().map(Sha256::to_string).collect();
    serde_json::to_vec(&Kept { version: VERSION, logs, known }).expect("numbers and texts are JSON")
}

/// What a file says; `None` when it is none of ours.
pub(super) fn read(bytes: &[u8]) -> Option<(BTreeMap<String, Frontier>, Known)> {
    let kept: Kept = serde_json::from_slice(bytes).ok().filter(|kept: &Kept| kept.version == VERSION)?;
    let logs = kept.logs.iter().take(LOGS_MAX);
    let logs = logs.filter_map(|(id, frontier)| Some((id.clone(), frontier.read()?))).collect();
    let mut known = Known::default();
    for certificate in kept.known.iter().filter_map(|digits| digest_from_hex(digits)) {
        known.is_new(certificate);
    }
    Some((logs, known))
}

/// The file's name in the state folder.
pub(super) const FILE: &str = "monitor.json";
/// How long the file may be, in bytes.
pub(super) const FILE_BYTES_MAX: usize = 16 << 20;
/// How many certificates are known.
const KNOWN_MAX: usize = 10_000;
const LOGS_MAX: usize = transparency::log_list::LOGS_MAX;
const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut frontier = Frontier::default();
        (0..5).for_each(|number| frontier.push(Sha256([number; 32])));
        let mut known = Known::default();
        assert!(known.is_new(Sha256([7; 32])));
        let bytes = write([("log".to_owned(), &frontier)].into_iter(), &known);
        let (logs, mut known) = read(&bytes).unwrap();
        assert_eq!(logs["log"], frontier);
        assert!(!known.is_new(Sha256([7; 32])));
        assert!(read(b"{}").is_none());
    }

    #[test]
    fn the_oldest_certificates_are_forgotten() {
        let mut known = Known::default();
        let of = |number: usize| Sha256::of(&number.to_be_bytes());
        (0..=KNOWN_MAX).for_each(|number| assert!(known.is_new(of(number))));
        assert_eq!(known.len(), KNOWN_MAX);
        assert!(known.is_new(of(0)));
        assert!(!known.is_new(of(KNOWN_MAX)));
    }
}
