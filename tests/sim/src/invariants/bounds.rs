//! S8: what a replica holds and sends is within its named bounds, whatever peers feed it; and it asks to be called in the future.

use certificate::codec::{Decode, Encode};
use pbft::{
    HELD_BYTES_PER_REPLICA_MAX, MESSAGE_BYTES_MAX, Message, OPEN_REQUESTS_PER_ORIGIN_MAX,
    OPENED_BY_OBSERVATIONS_MAX, USED_OBSERVATIONS_MAX,
};

use super::{Laws, Step};

pub(super) fn check(step: &Step<'_>, laws: &Laws) -> Result<(), String> {
    let (status, count) = (step.status, laws.shape.count as usize);
    let in_flight = laws.parameters.pipeline as usize * laws.parameters.batch_entries * count;
    let bounds = [
        // Those up to the horizon, and those that a new view fixes, which may be beyond it.
        ("slots", status.slots, 2 * (laws.parameters.window + laws.parameters.pipeline) as usize),
        (
            "open requests",
            status.open_requests,
            count * (OPEN_REQUESTS_PER_ORIGIN_MAX + OPENED_BY_OBSERVATIONS_MAX),
        ),
        ("held bytes", status.held_bytes, count * HELD_BYTES_PER_REPLICA_MAX),
        ("used observations", status.used_observations, USED_OBSERVATIONS_MAX + 2 * in_flight),
    ];
    for (what, found, most) in bounds {
        if found > most {
            return Err(format!("{found} {what}, expected at most {most}"));
        }
    }
    if let Some(due) = step.ready.deadline.filter(|due| *due <= step.now_ms) {
        return Err(format!("asks to be called at {due} ms, which is over"));
    }
    if laws.wire {
        step.ready.send.iter().try_for_each(|(_, message)| check_message(message))?;
    }
    Ok(())
}

fn check_message(message: &Message) -> Result<(), String> {
    let bytes = message.to_bytes();
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(format!("a message of {} bytes", bytes.len()));
    }
    match Message::from_bytes(&bytes) {
        Ok(decoded) if decoded == *message => Ok(()),
        Ok(_) => Err("a message that decodes to another".to_string()),
        Err(error) => Err(format!("a message that does not decode: {error}")),
    }
}
