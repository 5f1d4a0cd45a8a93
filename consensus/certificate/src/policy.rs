//! Policies, which the cluster file sets by zone, and classes, which say how well an answer is supported.

use std::fmt;
use std::str::FromStr;

use crate::OperationKind;
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};

/// How the replicas judge the observations of a question.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Policy {
    /// q equal values.
    Strong = 1,
    /// A majority of the included observations and at least f+1 equal.
    Corroborated = 2,
    /// As `Corroborated`; failing that, each record supported by so many, now or within the history.
    Records = 3,
    /// Only what DNSSEC validates.
    Dnssec = 4,
    /// The replica's own answer at once, consensus behind it.
    Observe = 5,
    /// No consensus.
    Bypass = 6,
}

impl Policy {
    /// Every policy, in the order of their bytes.
    pub const ALL: [Policy; 6] = [
        Policy::Strong,
        Policy::Corroborated,
        Policy::Records,
        Policy::Dnssec,
        Policy::Observe,
        Policy::Bypass,
    ];

    /// The word in the cluster file.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Strong => "strong",
            Policy::Corroborated => "corroborated",
            Policy::Records => "records",
            Policy::Dnssec => "dnssec",
            Policy::Observe => "observe",
            Policy::Bypass => "bypass",
        }
    }

    /// The policy of an operation that is no question and that replicas make statements about; `None` of every other kind.
    ///
    /// A verdict is taken when enough replicas come to it. What all verdicts are judged by from then on needs a quorum.
    pub fn of_statements(kind: OperationKind) -> Option<Policy> {
        match kind {
            OperationKind::Validate => Some(Policy::Corroborated),
            OperationKind::UpdateInputs => Some(Policy::Strong),
            OperationKind::Null | OperationKind::Resolve | OperationKind::NewEpoch => None,
        }
    }

    /// Whether an answer under this policy can have `class`. `NoAgreement` and `Failure` are possible wherever anything is decided.
    pub fn can_give(self, class: Class) -> bool {
        match self {
            Policy::Bypass => false,
            Policy::Observe | Policy::Records => true,
            Policy::Corroborated => class != Class::Records,
            Policy::Strong => !matches!(class, Class::Records | Class::Corroborated),
            Policy::Dnssec => matches!(class, Class::NoAgreement | Class::Failure | Class::Secure),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no policy or class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown word")]
pub struct UnknownWord;

impl FromStr for Policy {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Policy, UnknownWord> {
        Policy::ALL.into_iter().find(|policy| policy.name() == text).ok_or(UnknownWord)
    }
}

impl Encode for Policy {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(*self as u8);
    }
}

impl Decode for Policy {
    fn decode(reader: &mut Reader<'_>) -> Result<Policy, DecodeError> {
        let offset = reader.offset();
        let byte = reader.u8()?;
        Policy::ALL
            .into_iter()
            .find(|policy| *policy as u8 == byte)
            .ok_or_else(|| Reader::invalid(offset, "policy", "1 to 6", u64::from(byte)))
    }
}

/// How well an answer is supported; a greater class is better, so that a least class can be asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Class {
    /// The observations had too little in common.
    NoAgreement = 0,
    /// The replicas agree that the lookup fails.
    Failure = 1,
    /// Each record is supported, now or within the history, but the answer as a whole is not.
    Records = 2,
    /// A majority of the included observations and at least f+1 are equal.
    Corroborated = 3,
    /// q observations are equal.
    Strong = 4,
    /// DNSSEC-validated.
    Secure = 5,
}

impl Class {
    /// Every class, the weakest first.
    pub const ALL: [Class; 6] = [
        Class::NoAgreement,
        Class::Failure,
        Class::Records,
        Class::Corroborated,
        Class::Strong,
        Class::Secure,
    ];

    /// The word for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Class::NoAgreement => "no-agreement",
            Class::Failure => "failure",
            Class::Records => "records",
            Class::Corroborated => "corroborated",
            Class::Strong => "strong",
            Class::Secure => "secure",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Class {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Class, UnknownWord> {
        Class::ALL.into_iter().find(|class| class.name() == text).ok_or(UnknownWord)
    }
}

impl Encode for Class {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(*self as u8);
    }
}

impl Decode for Class {
    fn decode(reader: &mut Reader<'_>) -> Result<Class, DecodeError> {
        let offset = reader.offset();
        let byte = reader.u8()?;
        Class::ALL
            .into_iter()
            .find(|class| *class as u8 == byte)
            .ok_or_else(|| Reader::invalid(offset, "class", "0 to 5", u64::from(byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_and_classes_round_trip_as_words_and_bytes() {
        for policy in Policy::ALL {
            assert_eq!(policy.name().parse(), Ok(policy));
            assert_eq!(Policy::from_bytes(&[policy as u8]), Ok(policy));
        }
        for class in Class::ALL {
            assert_eq!(class.name().parse(), Ok(class));
            assert_eq!(Class::from_bytes(&[class as u8]), Ok(class));
        }
    }

    #[test]
    fn unknown_bytes_and_words_are_refused() {
        assert!(Policy::from_bytes(&[0]).is_err());
        assert!(Policy::from_bytes(&[7]).is_err());
        assert!(Class::from_bytes(&[6]).is_err());
        assert_eq!("Strong".parse::<Policy>(), Err(UnknownWord));
        assert_eq!("".parse::<Class>(), Err(UnknownWord));
    }

    #[test]
    fn each_policy_gives_the_classes_of_the_design() {
        use Class::*;
        for (policy, classes) in [
            (Policy::Strong, &[NoAgreement, Failure, Strong, Secure][..]),
            (Policy::Corroborated, &[NoAgreement, Failure, Corroborated, Strong, Secure]),
            (Policy::Records, &Class::ALL),
            (Policy::Dnssec, &[NoAgreement, Failure, Secure]),
            (Policy::Observe, &Class::ALL),
            (Policy::Bypass, &[]),
        ] {
            let given: Vec<_> = Class::ALL.into_iter().filter(|class| policy.can_give(*class)).collect();
            assert_eq!(given, classes, "{policy}");
        }
    }
}
