//! S10: no value wins that f+1 replicas do not support, and none that no honest replica really saw; nor does a liar lengthen its life.

use std::collections::{BTreeMap, BTreeSet};

use super::{Laws, Step};
use crate::application::Sight;

/// What honest replicas really saw, by the operation's number.
#[derive(Default)]
pub(super) struct Support {
    seen: BTreeMap<u64, BTreeSet<Sight>>,
}

impl Support {
    pub(super) fn forget(&mut self, below: u64) {
        self.seen = self.seen.split_off(&below);
    }

    pub(super) fn sighted(&mut self, number: u64, sight: Sight) {
        self.seen.entry(number).or_default().insert(sight);
    }

    pub(super) fn check(&mut self, step: &Step<'_>, laws: &Laws) -> Result<(), String> {
        for decided in &step.ready.decided {
            for (operation, leaf) in decided.operations.iter().zip(&decided.leaves) {
                let Some(found) = laws.judge.finding(operation, leaf) else { continue };
                let (Some(value), Some(number)) = (found.value, laws.judge.number(operation)) else {
                    continue;
                };
                if found.support.len() < laws.shape.faults as usize + 1 {
                    return Err(format!("value {value} of request {number} won with {:?}", found.support));
                }
                let seen = self.seen.get(&number).into_iter().flatten();
                let longest = seen.filter(|sight| sight.value == value).map(|sight| sight.ttl).max();
                match longest {
                    None => {
                        return Err(format!("value {value} of request {number}: no honest replica saw it"));
                    }
                    Some(longest) if value != 0 && found.ttl > longest => {
                        return Err(format!(
                            "request {number} holds {} s, honest replicas saw {longest}",
                            found.ttl
                        ));
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(())
    }
}
