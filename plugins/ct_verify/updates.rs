//! Inputs that are to be put in force: whether this replica accepts them, and what it makes of the cluster's decision.
//!
//! Log list and trust are accepted when this replica has the same from its own sources. Revocation lists are accepted from others, too; whoever
//! they are from, they must not take back what is in force.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ct_watch::crl::check_list;
use rustls_pki_types::CertificateDer;
use transparency::content::{LISTS_MAX, decode_lists};
use transparency::digest::Sha256;
use transparency::operation::{Answer, InputKind, InputSubject};
use transparency::skeleton::Skeleton;
use transparency::{Moment, snapshot};

use super::aside::{beside, with_room};
use super::handler::Core;
use super::in_force::Decided;
use super::inputs::Input;
use super::validator::{Observed, verdict};
use crate::validator::{CONTENT_BYTES_MAX, Library};

impl Core {
    /// Whether this replica accepts an input.
    pub(super) async fn observe_input(
        &self,
        subject: &InputSubject,
        now_ms: u64,
        library: &dyn Library,
    ) -> Observed {
        let own = self.own.materials().input(subject.kind);
        let is_ours = own.as_ref().is_some_and(|own| own.digest() == subject.digest);
        let answer = match subject.kind {
            InputKind::Lists => self.answer_lists(subject, is_ours, now_ms, library).await?,
            _ if is_ours => Answer::Accepted,
            _ if own.is_none() => Answer::Refused("none_here".to_owned()),
            _ => Answer::Refused("differs".to_owned()),
        };
        let ttl = if answer == Answer::Accepted { INPUT_TTL_SECONDS } else { REFUSAL_TTL_SECONDS };
        Ok(verdict(ttl, answer.encode()))
    }

    /// Whether a snapshot of revocation lists may follow the one in force. Signatures of our own were checked when they were taken.
    async fn answer_lists(
        &self,
        subject: &InputSubject,
        is_ours: bool,
        now_ms: u64,
        library: &dyn Library,
    ) -> Result<Answer, String> {
        let InputSubject { kind, digest } = *subject;
        let in_force = match self.in_force.now(kind) {
            Some(now) => {
                let subject = InputSubject { kind, digest: now.digest };
                Some(self.input_in_force(subject, now_ms, library).await?)
            }
            None => None,
        };
        let bytes =
            self.fetched(&self.contents, &digest, library).await.ok_or("the lists are not to be had")?;
        let (materials, roots) = (self.own.materials(), self.plan.root_certificates.clone());
        let now = Moment::from_milliseconds(now_ms);
        let judged = with_room(&self.operations, move || {
            let old = match &in_force {
                Some(Input::Lists(lists)) => &lists.value.ders[..],
                _ => &[],
            };
            let own = materials.lists.as_ref().map_or(&[][..], |lists| &lists.value.ders);
            let trusted = &materials.trust.value.intermediates;
            let fetched = materials.issuers.iter().flat_map(|issuers| issuers.value.iter());
            let issuers = roots.iter().chain(trusted.iter()).chain(fetched);
            check_lists((old, own), &bytes, (!is_ours).then_some(issuers), now)
        });
        let refused = judged.await.ok_or("the judgement was broken off")?.err();
        Ok(refused.map_or(Answer::Accepted, |code| Answer::Refused(code.to_owned())))
    }

    /// The cluster has put this input in force.
    pub(super) fn put_in_force(&self, subject: &InputSubject, time_ms: u64) {
        let InputSubject { kind, digest } = *subject;
        let input = self.own.materials().input(kind).filter(|own| own.digest() == digest);
        let now_ms = self.clock.now().milliseconds();
        if self.in_force.decide(kind, Decided { digest, time_ms, input }, now_ms) {
            tracing::info!(input = kind.word(), %digest, "an input is in force");
            // What is here and not read yet is read beside: the next decision may come meanwhile.
            if let Some(content) = self.held(&digest) {
                self.take_found(digest, content);
            }
        }
    }

    /// Takes content that is in force and was not here.
    pub(super) fn take_found(&self, digest: Sha256, content: Bytes) {
        let Some(reading) = self.in_force.begin_reading(&digest) else { return };
        beside(move || {
            let is_right = content.len() <= CONTENT_BYTES_MAX && Sha256::of(&content) == digest;
            if !is_right || !reading.is_wanted() {
                return;
            }
            let kind = reading.subject.kind;
            let input = Input::read(kind, content);
            if input.is_none() {
                tracing::warn!(input = kind.word(), %digest, "an input in force cannot be read");
            }
            reading.end(input);
        });
    }
}

/// Whether the snapshot in `bytes` may follow the one of `old`, and with `issuers` whether these signed it.
///
/// Others may bring what this replica neither has of its `own` nor in force only while the whole takes no more than half of the room. Genuine lists
/// of issuers that nobody here needs are many; if they filled it, no new list could come into force beside them.
///
/// What costs little is looked at first; with it, no more lists than issuers and their shards get as far as signatures.
///
/// # Errors
/// The code of what speaks against it.
fn check_lists<'a>(
    (old, own): (&[Vec<u8>], &[Vec<u8>]),
    bytes: &[u8],
    issuers: Option<impl Iterator<Item = &'a CertificateDer<'static>>>,
    now: Moment,
) -> Result<(), &'static str> {
    let lists = decode_lists(bytes).map_err(|_| "malformed")?;
    snapshot::check_successor(old, &lists, now).map_err(snapshot::SnapshotProblem::code)?;
    let is_large = CONTENT_BYTES_MAX / 2 < bytes.len() || LISTS_MAX / 2 < lists.len();
    if is_large && snapshot::covers_more(&lists, old.iter().chain(own)) {
        return Err("lists_too_long");
    }
    let Some(issuers) = issuers else { return Ok(()) };
    let mut by_name: BTreeMap<&[u8], Vec<&CertificateDer<'static>>> = BTreeMap::new();
    for issuer in issuers {
        if let Ok(read) = Skeleton::parse(issuer) {
            by_name.entry(read.subject).or_default().push(issuer);
        }
    }
    // What is in force was signed when it came into force, and may have expired since.
    let in_force: BTreeSet<&Vec<u8>> = old.iter().collect();
    let is_signed = |list: &Vec<u8>| {
        if in_force.contains(list) {
            return true;
        }
        let named = snapshot::issuer(list).and_then(|name| by_name.get(name));
        named.is_some_and(|named| check_list(list, named.iter().copied(), now).is_ok())
    };
    if lists.iter().all(is_signed) { Ok(()) } else { Err("list_invalid") }
}

/// For how long it holds that an input is accepted, in seconds. What is in force stays so until something else is; but who goes back to an
/// earlier input must not be told the decision of before.
const INPUT_TTL_SECONDS: u32 = 60;
/// For how long a refusal holds, in seconds: what a replica has not got yet it may have soon, and the cluster is asked again only then.
const REFUSAL_TTL_SECONDS: u32 = 5;

#[cfg(test)]
mod tests {
    use rcgen::{
        CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
        CrlIssuingDistributionPoint, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber,
        date_time_ymd,
    };
    use transparency::content::encode_lists;

    use super::*;

    /// So many lists of one issuer, each for its own distribution point.
    fn lists(count: usize) -> (CertificateDer<'static>, Vec<Vec<u8>>) {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        let list = |number: usize| {
            let uris = vec![format!("http://crl.example.org/{number}")];
            let list = CertificateRevocationListParams {
                this_update: date_time_ymd(2026, 8, 1),
                next_update: date_time_ymd(2026, 8, 8),
                crl_number: SerialNumber::from(1),
                issuing_distribution_point: Some(CrlIssuingDistributionPoint {
                    distribution_point: CrlDistributionPoint { uris },
                    scope: None,
                }),
                revoked_certs: Vec::new(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            list.signed_by(&issuer).unwrap().der().to_vec()
        };
        (certificate, (0..count).map(list).collect())
    }

    #[test]
    fn what_is_in_force_may_stay_though_it_has_expired_and_its_issuer_is_gone() {
        let (issuer, lists) = lists(2);
        let bytes = encode_lists(&lists);
        let check = |old: &[Vec<u8>], day: &str| {
            check_lists((old, &[]), &bytes, Some(std::iter::empty()), day.parse().unwrap())
        };
        assert_eq!(check(&lists, "2026-08-09T00:00:00Z"), Ok(()));
        assert_eq!(check(&lists[1..], "2026-08-09T00:00:00Z"), Err("list_expired"));
        assert_eq!(
            check(&lists[1..], "2026-08-02T00:00:00Z"),
            Err("list_invalid"),
            "nobody here knows who signed it"
        );
        let now = "2026-08-02T00:00:00Z".parse().unwrap();
        assert_eq!(check_lists((&lists[1..], &[]), &bytes, Some([&issuer].into_iter()), now), Ok(()));
    }

    #[test]
    fn lists_of_others_take_half_of_the_room_at_most() {
        let (issuer, lists) = lists(LISTS_MAX / 2 + 1);
        let now: Moment = "2026-08-02T00:00:00Z".parse().unwrap();
        let (all, half) = (encode_lists(&lists), encode_lists(&lists[1..]));
        let check = |old: &[Vec<u8>], own: &[Vec<u8>], bytes: &[u8]| {
            check_lists((old, own), bytes, Some([&issuer].into_iter()), now)
        };
        assert_eq!(check(&[], &[], &half), Ok(()));
        assert_eq!(check(&lists[1..], &[], &all), Err("lists_too_long"));
        assert_eq!(check(&lists[1..], &lists[..1], &all), Ok(()), "what is our own may take all of it");
        assert_eq!(check(&lists, &[], &all), Ok(()), "and what is in force may be followed");
    }
}
