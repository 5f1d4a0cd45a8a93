//! Tests of `health`.

use std::time::Duration;

use crate::rehearsal::{messages, set_up};
use crate::setup::Service;

fn asked(text: &str) -> Vec<(String, Duration)> {
    let read = |service: &Service| match service {
        Service::Health { address, lameduck } => Some((address.to_string(), *lameduck)),
        _ => None,
    };
    set_up(text, |block| block.services.iter().filter_map(read).collect()).1
}

#[test]
fn address_and_lameduck_are_read() {
    assert_eq!(asked("health"), [("0.0.0.0:8080".to_string(), Duration::ZERO)]);
    assert_eq!(asked("health :8091"), [("0.0.0.0:8091".to_string(), Duration::ZERO)]);
    assert_eq!(
        asked("health localhost:8091 {\n lameduck 5s\n}"),
        [("127.0.0.1:8091".to_string(), Duration::from_secs(5))]
    );
    assert_eq!(asked("health [::1]:8091"), [("[::1]:8091".to_string(), Duration::ZERO)]);
}

#[test]
fn mistakes_are_told() {
    let place = "Corefile:2:8: error: health: expected an address and a port, such as `localhost:8080`";
    for wrong in ["8080", "example.org:8080", "localhost", ":80800", "127.0.0.1"] {
        assert_eq!(messages(&format!("health {wrong}")), [format!("{place}, got `{wrong}`")]);
    }
    assert_eq!(
        messages("health {\n lameduck 1h\n}"),
        ["Corefile:3:11: error: health: lameduck: expected a duration from 0s to 5m, got `1h`"]
    );
}
