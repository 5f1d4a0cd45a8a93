//! Messages that could not be read or written, as hexadecimal digits in the log: for `debug`.
//!
//! Whoever can reach a listener can make it fail to read, so lines are few and short.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use plugins::Client;
use tracing::debug;

/// Writes dumps, so many a second.
#[derive(Default)]
pub struct Dumps {
    /// When the current second began, and the dumps in it.
    second: Mutex<Option<(Instant, u32)>>,
}

impl Dumps {
    /// Logs a message that is answered with `rcode` from its header and question alone.
    pub fn rejected(&self, wire: &[u8], client: &Client, rcode: ResponseCode, now: Instant) {
        if self.may_dump(now) {
            let (client, transport) = (client.address, client.transport.name());
            let (bytes, hex) = (wire.len(), hex(wire));
            debug!(%client, transport, %rcode, bytes, hex, "message cannot be answered");
        }
    }

    /// How many were asked for in the current second.
    #[cfg(test)]
    pub fn count(&self) -> u32 {
        self.second.lock().unwrap_or_else(PoisonError::into_inner).map_or(0, |(_, dumps)| dumps)
    }

    /// Whether one more dump at `now` is not too many.
    fn may_dump(&self, now: Instant) -> bool {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, dumps) = match *second {
            Some((began, dumps)) if now.saturating_duration_since(began) < SECOND => (began, dumps),
            _ => (now, 0),
        };
        *second = Some((began, dumps + 1));
        dumps < DUMPS_PER_SECOND_MAX
    }
}

/// The first bytes of a message as `xxd -r -p` and text editors read them.
fn hex(wire: &[u8]) -> String {
    let mut text = String::new();
    for byte in &wire[..wire.len().min(BYTES_MAX)] {
        let _ = write!(text, "{byte:02x}");
    }
    if wire.len() > BYTES_MAX {
        text += "...";
    }
    text
}

const SECOND: Duration = Duration::from_secs(1);
const DUMPS_PER_SECOND_MAX: u32 = 10;
/// Bytes of a message that are shown.
const BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_shown_byte_by_byte_up_to_a_bound() {
        assert_eq!(hex(b"\x00\x0f\xf0a"), "000ff061");
        assert_eq!(hex(&[0; BYTES_MAX]).len(), 2 * BYTES_MAX);
        assert_eq!(hex(&[0; 65_535]).len(), 2 * BYTES_MAX + 3);
    }

    #[test]
    fn flood_of_broken_messages_gives_so_many_dumps_a_second() {
        let (dumps, now) = (Dumps::default(), Instant::now());
        let after = |wait| (0..1000).filter(|_| dumps.may_dump(now + wait)).count();
        assert_eq!(after(Duration::ZERO), DUMPS_PER_SECOND_MAX as usize);
        assert_eq!(after(Duration::from_millis(999)), 0);
        assert_eq!(after(SECOND), DUMPS_PER_SECOND_MAX as usize);
    }
}
