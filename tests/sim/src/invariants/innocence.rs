//! S9: no honest replica holds proof against another honest one.

use super::{Laws, Step};

pub(super) fn check(step: &Step<'_>, laws: &Laws) -> Result<(), String> {
    for fault in step.ready.faults.iter().filter(|fault| fault.is_proof()) {
        if fault.replica().is_none_or(|accused| laws.honest.contains(accused)) {
            return Err(format!("accuses an honest replica: {fault}"));
        }
    }
    Ok(())
}
