//! Why the program must end itself: said by a plugin, heard by the program.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Where a plugin says what makes it useless to go on.
#[derive(Default)]
pub struct Fatal {
    reason: Mutex<Option<String>>,
    said: Notify,
}

impl Fatal {
    /// Says `reason`. Of several that nobody has heard the first stays.
    pub fn say(&self, reason: String) {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.said.notify_one();
    }

    /// Waits for a reason, and takes it.
    pub async fn heard(&self) -> String {
        loop {
            if let Some(reason) = self.reason.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return reason;
            }
            self.said.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn first_reason_is_heard_once_whether_said_before_or_after() {
        let fatal = Fatal::default();
        fatal.say("one".into());
        fatal.say("two".into());
        assert_eq!(fatal.heard().await, "one");
        let (heard, ()) = tokio::join!(fatal.heard(), async { fatal.say("three".into()) });
        assert_eq!(heard, "three");
    }
}
