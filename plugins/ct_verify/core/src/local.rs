//! What one replica finds about a certificate by what it alone knows: the verdict with its own findings. Nobody has signed it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::agreed::SCT_WORDS_MAX;
use crate::inclusion::Inclusion;
use crate::reason::Reason;
use crate::score::{Networks, Score};
use crate::sct_check::{SctStatus, SctVerdict};
use crate::verdict::{Conclusion, Verdict};

/// What a replica shows beside what was agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Local {
    /// The conclusion by its own findings.
    pub verdict: Conclusion,
    /// The codes of all that was found, each once, in the order of the alphabet.
    pub reasons: Vec<String>,
    /// The least that it knows of the promises that count.
    pub inclusion: Inclusion,
    /// Each timestamp, in the certificate's order: the first [`SCT_WORDS_MAX`].
    pub timestamps: Vec<LocalTimestamp>,
    /// From how many networks the cluster saw this certificate at the server of this name; `None` when the name is not looked at, or another
    /// certificate was seen there.
    pub networks: Option<Networks>,
    /// The trust score with its parts, by all of this.
    pub score: Score,
}

/// One timestamp, and what became of its promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalTimestamp {
    /// What it is.
    pub status: SctStatus,
    /// The log as the list names it.
    pub log: Option<String>,
    /// Whether the policy counted it.
    pub counts: bool,
    /// Whether the log has kept its promise, as far as this replica looked into it.
    pub inclusion: Inclusion,
}

impl Local {
    /// What is shown of a verdict with findings; `networks` are among them.
    pub fn of(verdict: &Verdict, networks: Option<Networks>) -> Self {
        let codes: BTreeSet<&str> = verdict.reasons.iter().map(Reason::code).collect();
        Local {
            verdict: verdict.verdict,
            reasons: codes.into_iter().map(str::to_owned).collect(),
            inclusion: verdict.ct.inclusion,
            timestamps: verdict.ct.scts.iter().take(SCT_WORDS_MAX).map(timestamp).collect(),
            networks,
            score: verdict.score,
        }
    }
}

fn timestamp(sct: &SctVerdict) -> LocalTimestamp {
    LocalTimestamp { status: sct.status, log: sct.log.clone(), counts: sct.counts, inclusion: sct.inclusion }
}
