//! Messages that could not be read or written, as hexadecimal digits in the log: for `debug`.
//!
//! Whoever can reach a listener can make it fail to read, so lines are few and short.

use std::fmt::Write as _;
use std::time::Instant;

use hickory_proto::op::ResponseCode;
use plugins::Client;
use tracing::debug;

use crate::per_second::PerSecond;

/// Writes dumps, so many a second.
pub struct Dumps {
    limit: PerSecond,
}

impl Default for Dumps {
    fn default() -> Dumps {
        Dumps { limit: PerSecond::new(DUMPS_PER_SECOND_MAX) }
    }
}

impl Dumps {
    /// Logs a message that is answered with `rcode` from its header and question alone.
    pub fn rejected(&self, wire: &[u8], client: &Client, rcode: ResponseCode, now: Instant) {
        if self.limit.may(now) {
            let (client, transport) = (client.address, client.transport.name());
            let (bytes, hex) = (wire.len(), hex(wire));
            debug!(%client, transport, %rcode, bytes, hex, "message cannot be answered");
        }
    }

    /// How many were asked for in the current second.
    #[cfg(test)]
    pub fn count(&self) -> u32 {
        self.limit.count()
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
}
