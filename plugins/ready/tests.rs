//! Tests of `ready`.

use crate::rehearsal::{messages, set_up};
use crate::setup::Service;

#[test]
fn address_is_read() {
    let asked = |text: &str| {
        let read = |service: &Service| match service {
            Service::Ready { address } => Some(address.to_string()),
            _ => None,
        };
        set_up(text, |block| block.services.iter().filter_map(read).collect::<Vec<_>>()).1
    };
    assert_eq!(asked("ready"), ["0.0.0.0:8181"]);
    assert_eq!(asked("ready localhost:8091"), ["127.0.0.1:8091"]);
    assert_eq!(asked("ready {\n monitor continuously\n}"), ["0.0.0.0:8181"]);
}

#[test]
fn readiness_is_asked_each_time_whatever_is_said() {
    let expected = "Corefile:3:2: warning: ready: monitor: has no effect";
    assert_eq!(messages("ready {\n monitor until-ready\n}"), [expected]);
}
