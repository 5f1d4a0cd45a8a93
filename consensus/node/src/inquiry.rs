//! Questions about the replica's state that are too particular for the published status.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use certificate::{Digest, ReplicaSet};
use tokio::sync::oneshot;

/// Questions that may wait for the driver.
const INQUIRIES_MAX: usize = 1024;
/// The driver answers within a turn; one that does not is busy with its disk.
const INQUIRY_WAIT: Duration = Duration::from_millis(50);

/// Who wants to know whose observations of an operation are held.
#[derive(Default)]
pub(crate) struct Inquiries {
    waiting: Mutex<Vec<(Digest, oneshot::Sender<ReplicaSet>)>>,
}

impl Inquiries {
    /// Asks about `operation`; `wake` makes the driver look. Nobody, when the driver has no time.
    pub(crate) async fn ask(&self, operation: Digest, wake: impl FnOnce()) -> ReplicaSet {
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() >= INQUIRIES_MAX {
                return ReplicaSet::EMPTY;
            }
            waiting.push((operation, sender));
        }
        wake();
        match tokio::time::timeout(INQUIRY_WAIT, receiver).await {
            Ok(Ok(observers)) => observers,
            Ok(Err(_)) | Err(_) => ReplicaSet::EMPTY,
        }
    }

    /// Answers everybody who waits.
    pub(crate) fn answer(&self, observers: impl Fn(&Digest) -> ReplicaSet) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for (operation, sender) in waiting {
            // Whoever asked may have given up.
            let _ = sender.send(observers(&operation));
        }
    }
}
