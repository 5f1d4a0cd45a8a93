//! Whether a certified answer is valid. `FORMAT.md`, "Verification", has the same steps in the same order.
//!
//! Decides about certificate and leaf alone. That a DNS answer received beside them says the same is compared by the caller.

use thiserror::Error;

use crate::codec::DecodeError;
use crate::leaf::{Class, Leaf, Policy, Question};
use crate::name::Presentation;
use crate::timestamp::Timestamp;
use crate::{
    CertifiedAnswer, Cluster, Digest, Epoch, OperationKind, QuorumCertificate, ReplicaId, ReplicaSet, merkle,
};

/// How long an expired answer still passes, for clocks that differ and for the way it took.
pub const GRACE_MS: u64 = 5_000;

/// How far ahead of the verifier's clock a time may be.
pub const FUTURE_MS_MAX: u64 = 60_000;

/// What a valid certificate shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// Who signed.
    pub signers: ReplicaSet,
    /// How well the answer is supported.
    pub class: Class,
    /// The zone of the cluster file whose policy judged the question, in wire format; empty for other kinds than `Resolve`.
    pub zone: Vec<u8>,
    /// For how long the answer holds, in milliseconds; 0 within the grace.
    pub remaining_ms: u64,
    /// Whether the answer has expired, but within the grace.
    pub in_grace: bool,
}

/// Why a certificate does not show what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// The bytes are no certificate of this version.
    #[error("not a certificate of this version: {0}")]
    Malformed(#[from] DecodeError),
    /// Another cluster signed, or another file describes it.
    #[error("the certificate is of another cluster: expected cluster id {expected}, found {found}")]
    OtherCluster {
        /// The id of the cluster file.
        expected: Digest,
        /// The id in the certificate.
        found: Digest,
    },
    /// The cluster file has the keys of another epoch.
    #[error(
        "the certificate is of epoch {found}, but the cluster file has the keys of epoch {expected}; verify with the file of epoch {found}"
    )]
    UnknownEpoch {
        /// The epoch of the cluster file.
        expected: Epoch,
        /// The epoch in the certificate.
        found: Epoch,
    },
    /// The replicas judged by another version of the cluster file.
    #[error("the replicas used another cluster file: expected digest {expected}, found {found}")]
    OtherClusterFile {
        /// The digest of the cluster file.
        expected: Digest,
        /// The digest in the header.
        found: Digest,
    },
    /// Not a quorum, or more than one.
    #[error(
        "expected exactly {expected} signers and as many signatures, found {signers} signers and {signatures} signatures"
    )]
    SignerCount {
        /// q
        expected: usize,
        /// Bits in the bitmap.
        signers: usize,
        /// Signatures after it.
        signatures: usize,
    },
    /// A signer that the cluster file does not have.
    #[error("replica {0} signed, but is not in the cluster file")]
    UnknownSigner(ReplicaId),
    /// Not this replica's signature over this slot.
    #[error("the signature of replica {replica} ({name}) does not verify")]
    Signature {
        /// The signer.
        replica: ReplicaId,
        /// Its name in the cluster file.
        name: String,
    },
    /// The leaf is not in the slot that was signed.
    #[error("the answer is not in the signed slot: its inclusion proof does not lead to the signed root")]
    Inclusion,
    /// The leaf is of a kind that the header does not announce.
    #[error("the signed slot has no operation of the answer's kind ({0:?})")]
    Kind(OperationKind),
    /// The leaf contradicts the cluster file, so no honest replica computed it.
    #[error("the answer contradicts the cluster file: {0}")]
    Contradiction(Contradiction),
    /// The answer to another question.
    #[error("the certificate answers another question: asked `{asked}`, found `{found}`")]
    OtherQuestion {
        /// What was asked.
        asked: Question,
        /// What the leaf answers.
        found: Question,
    },
    /// Not an answer to a question at all.
    #[error("the certificate answers no question, but is of kind {0:?}")]
    NotAnAnswer(OperationKind),
    /// A clock is wrong: the verifier's or those of the cluster.
    #[error("the certificate is of {time}, more than {} s after now ({now})", FUTURE_MS_MAX / 1000)]
    Future {
        /// The later of the leaf's time and the slot's.
        time: Timestamp,
        /// The time of verification.
        now: Timestamp,
    },
    /// The answer no longer holds.
    #[error("the answer expired at {not_after}, {} s before now ({now}); {} s of grace were given", (now.0 - not_after.0) / 1000, grace_ms / 1000)]
    Expired {
        /// When it ended.
        not_after: Timestamp,
        /// The time of verification.
        now: Timestamp,
        /// The grace, in milliseconds.
        grace_ms: u64,
    },
    /// Valid, but not good enough.
    #[error("expected an answer of class `{expected}` or better, found `{found}`")]
    ClassTooLow {
        /// The least class that was asked for.
        expected: Class,
        /// The class of the leaf.
        found: Class,
    },
}

/// How a leaf can contradict the cluster file by which it was judged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Contradiction {
    /// Replicas that do not exist.
    #[error("it names observers that are not in the cluster")]
    Observers,
    /// Fewer than q observations were included.
    #[error("expected at least {expected} observers, found {found}")]
    TooFewObservers {
        /// q
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Supporters are observers.
    #[error("it names supporters that are not among its observers")]
    Supporters,
    /// The class promises more support than there is.
    #[error("expected at least {expected} supporters for its class, found {found}")]
    TooFewSupporters {
        /// What the class needs.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The upstream groups are those of the supporters.
    #[error("its upstream groups are not those of its supporters")]
    Groups,
    /// The mark for answers from too few groups is wrong.
    #[error("its mark `single-path` is not what its upstream groups say")]
    SinglePath,
    /// Another policy than that of the zone.
    #[error("zone `{}` has the policy `{expected}`, not `{found}`", Presentation(zone))]
    Policy {
        /// The longest matching zone, in wire format.
        zone: Vec<u8>,
        /// Its policy in the cluster file.
        expected: Policy,
        /// The policy in the leaf.
        found: Policy,
    },
    /// Another policy than that of the operation's kind.
    #[error("operations of kind {kind:?} have the policy `{expected}`, not `{found}`")]
    PolicyOfKind {
        /// The kind of the operation.
        kind: OperationKind,
        /// Its policy, whatever the cluster file says.
        expected: Policy,
        /// The policy in the leaf.
        found: Policy,
    },
    /// The policy cannot give this class.
    #[error("the policy `{policy}` gives no answer of class `{class}`")]
    Class {
        /// The policy.
        policy: Policy,
        /// The class.
        class: Class,
    },
    /// `ttl-max` of the cluster file.
    #[error("expected a TTL of at most {expected} s, found {found} s")]
    Ttl {
        /// `ttl-max`
        expected: u32,
        /// The TTL of the leaf.
        found: u32,
    },
}

impl VerifyError {
    /// The exit code of a command that verifies: 1 invalid, 2 expired, 3 unknown epoch, 4 class too low.
    pub fn exit_code(&self) -> u8 {
        match self {
            VerifyError::Expired { .. } => 2,
            VerifyError::UnknownEpoch { .. } => 3,
            VerifyError::ClassTooLow { .. } => 4,
            _ => 1,
        }
    }

    /// A word for programs, as in the test vectors.
    pub fn code(&self) -> &'static str {
        match self {
            VerifyError::Malformed(_) => "malformed",
            VerifyError::OtherCluster { .. } => "other-cluster",
            VerifyError::UnknownEpoch { .. } => "unknown-epoch",
            VerifyError::OtherClusterFile { .. } => "other-cluster-file",
            VerifyError::SignerCount { .. } => "signer-count",
            VerifyError::UnknownSigner(_) => "unknown-signer",
            VerifyError::Signature { .. } => "signature",
            VerifyError::Inclusion => "inclusion",
            VerifyError::Kind(_) => "kind",
            VerifyError::Contradiction(_) => "contradiction",
            VerifyError::OtherQuestion { .. } => "other-question",
            VerifyError::NotAnAnswer(_) => "not-an-answer",
            VerifyError::Future { .. } => "future",
            VerifyError::Expired { .. } => "expired",
            VerifyError::ClassTooLow { .. } => "class-too-low",
        }
    }
}

/// Verifies `answer` against the cluster file that the verifier trusts.
///
/// `question`: what was asked, compared byte by byte in lower case; `None` accepts an answer to any question. `now_ms`: the time
/// of verification in milliseconds since 1970. `grace_ms`: see `GRACE_MS`. `min_class`: the least class; `NoAgreement` accepts all.
///
/// Errors: the first step of `FORMAT.md` that fails.
pub fn verify(
    answer: &CertifiedAnswer,
    cluster: &Cluster,
    question: Option<&Question>,
    now_ms: u64,
    grace_ms: u64,
    min_class: Class,
) -> Result<Verified, VerifyError> {
    let header = &answer.certificate.header;
    verify_commits(&answer.certificate, cluster)?;
    let leaf = &answer.leaf;
    let (index, count) = (u64::from(answer.index), u64::from(header.entries));
    if !merkle::verify(header.leaves_root, index, count, &crate::codec::Encode::to_bytes(leaf), &answer.proof)
    {
        return Err(VerifyError::Inclusion);
    }
    if !header.kinds.contains(leaf.kind()) {
        return Err(VerifyError::Kind(leaf.kind()));
    }
    let zone = check_leaf(leaf, cluster).map_err(VerifyError::Contradiction)?;
    if let Some(asked) = question {
        check_question(leaf, asked)?;
    }
    let (remaining_ms, in_grace) = check_times(leaf, header.time_ms, now_ms, grace_ms)?;
    if leaf.class < min_class {
        return Err(VerifyError::ClassTooLow { expected: min_class, found: leaf.class });
    }
    Ok(Verified { signers: answer.certificate.signers, class: leaf.class, zone, remaining_ms, in_grace })
}

/// Verifies that a quorum of `cluster` committed the slot of `certificate`.
///
/// Errors: `OtherCluster`, `UnknownEpoch`, `OtherClusterFile`, `SignerCount`, `UnknownSigner`, `Signature`, in this order.
pub fn verify_commits(certificate: &QuorumCertificate, cluster: &Cluster) -> Result<(), VerifyError> {
    let digest = cluster.digest();
    let expected = cluster.cluster_id.unwrap_or(digest);
    if certificate.domain.cluster_id != expected {
        return Err(VerifyError::OtherCluster { expected, found: certificate.domain.cluster_id });
    }
    if certificate.domain.epoch != cluster.epoch {
        return Err(VerifyError::UnknownEpoch { expected: cluster.epoch, found: certificate.domain.epoch });
    }
    if certificate.header.cluster_digest != digest {
        return Err(VerifyError::OtherClusterFile {
            expected: digest,
            found: certificate.header.cluster_digest,
        });
    }
    let expected = cluster.replicas.quorum();
    let (signers, signatures) = (certificate.signers.len(), certificate.signatures.len());
    if signers != expected || signatures != expected {
        return Err(VerifyError::SignerCount { expected, signers, signatures });
    }
    if let Some(unknown) = certificate.signers.iter().find(|id| cluster.member(*id).is_none()) {
        return Err(VerifyError::UnknownSigner(unknown));
    }
    let preimage = certificate.commit_preimage();
    for (replica, signature) in certificate.signers.iter().zip(&certificate.signatures) {
        let member = cluster.member(replica).ok_or(VerifyError::UnknownSigner(replica))?;
        if !member.public_key.verify(&preimage, signature) {
            return Err(VerifyError::Signature { replica, name: member.name.clone() });
        }
    }
    Ok(())
}

/// Checks what the cluster file says about a leaf; returns the zone whose policy judged it.
fn check_leaf(leaf: &Leaf, cluster: &Cluster) -> Result<Vec<u8>, Contradiction> {
    let replicas = cluster.replicas;
    if leaf.observers.0 & !cluster.all().0 != 0 {
        return Err(Contradiction::Observers);
    }
    if leaf.observers.len() < replicas.quorum() {
        return Err(Contradiction::TooFewObservers {
            expected: replicas.quorum(),
            found: leaf.observers.len(),
        });
    }
    if leaf.support.0 & !leaf.observers.0 != 0 {
        return Err(Contradiction::Supporters);
    }
    let expected = match leaf.class {
        Class::NoAgreement => 0,
        Class::Records | Class::Secure => 1,
        Class::Failure | Class::Corroborated => replicas.weak_quorum(),
        Class::Strong => replicas.quorum(),
    };
    if leaf.support.len() < expected {
        return Err(Contradiction::TooFewSupporters { expected, found: leaf.support.len() });
    }
    if leaf.groups != cluster.groups_of(leaf.support) {
        return Err(Contradiction::Groups);
    }
    let answered = leaf.class >= Class::Records;
    if leaf.single_path != (answered && leaf.groups.count_ones() < cluster.min_groups) {
        return Err(Contradiction::SinglePath);
    }
    if leaf.ttl > cluster.ttl_max_s {
        return Err(Contradiction::Ttl { expected: cluster.ttl_max_s, found: leaf.ttl });
    }
    let Some(question) = leaf.question() else {
        return check_statement(leaf).map(|()| Vec::new());
    };
    let (zone, policy) = cluster.policy_for(&question.name);
    if leaf.policy != policy {
        return Err(Contradiction::Policy { zone: zone.to_vec(), expected: policy, found: leaf.policy });
    }
    if !policy.can_give(leaf.class) {
        return Err(Contradiction::Class { policy, class: leaf.class });
    }
    Ok(zone.to_vec())
}

/// Checks policy and class of a leaf that answers no question. DNSSEC has no say there, so the class `secure` is none of them.
fn check_statement(leaf: &Leaf) -> Result<(), Contradiction> {
    let Some(expected) = Policy::of_statements(leaf.kind()) else { return Ok(()) };
    if leaf.policy != expected {
        return Err(Contradiction::PolicyOfKind { kind: leaf.kind(), expected, found: leaf.policy });
    }
    if leaf.class == Class::Secure || !expected.can_give(leaf.class) {
        return Err(Contradiction::Class { policy: expected, class: leaf.class });
    }
    Ok(())
}

fn check_question(leaf: &Leaf, asked: &Question) -> Result<(), VerifyError> {
    match leaf.question() {
        None => Err(VerifyError::NotAnAnswer(leaf.kind())),
        Some(found) if found != asked => {
            Err(VerifyError::OtherQuestion { asked: asked.clone(), found: found.clone() })
        }
        Some(_) => Ok(()),
    }
}

/// Returns for how many milliseconds the leaf holds, and whether only the grace lets it pass.
fn check_times(leaf: &Leaf, slot_ms: u64, now_ms: u64, grace_ms: u64) -> Result<(u64, bool), VerifyError> {
    let now = Timestamp(now_ms);
    let time_ms = leaf.time_ms.max(slot_ms);
    if time_ms > now_ms.saturating_add(FUTURE_MS_MAX) {
        return Err(VerifyError::Future { time: Timestamp(time_ms), now });
    }
    if now_ms > leaf.not_after_ms.saturating_add(grace_ms) {
        return Err(VerifyError::Expired { not_after: Timestamp(leaf.not_after_ms), now, grace_ms });
    }
    Ok((leaf.not_after_ms.saturating_sub(now_ms), now_ms > leaf.not_after_ms))
}
