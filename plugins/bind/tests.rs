//! Tests of `bind`.

use std::net::IpAddr;

use super::interfaces;
use crate::rehearsal::{messages, set_up};

fn bound(text: &str) -> Vec<String> {
    set_up(text, |block| block.settings.bind.iter().map(IpAddr::to_string).collect()).1
}

#[test]
fn addresses_are_taken_in_order_and_once() {
    assert_eq!(bound("whoami"), [""; 0]);
    assert_eq!(bound("bind 127.0.0.1 ::1\nbind 192.0.2.1 127.0.0.1"), ["127.0.0.1", "::1", "192.0.2.1"]);
    assert_eq!(bound("bind 127.0.0.1 192.0.2.1 127.0.0.1"), ["127.0.0.1", "192.0.2.1"]);
    assert_eq!(bound("bind 127.0.0.1 lo").iter().filter(|address| *address == "127.0.0.1").count(), 1);
}

#[test]
fn interface_stands_for_its_addresses() {
    let all = interfaces::addresses().unwrap();
    assert!(all["lo"].contains(&IpAddr::from([127, 0, 0, 1])), "{all:?}");
    assert!(bound("bind lo").contains(&"127.0.0.1".to_string()));
}

#[test]
fn excepted_addresses_are_left_out() {
    assert_eq!(bound("bind 127.0.0.1 127.0.0.2 {\n except 127.0.0.1\n}"), ["127.0.0.2"]);
    assert_eq!(
        messages("bind 127.0.0.1 {\n except lo\n}"),
        ["Corefile:2:1: error: bind: no address is left after `except`"]
    );
}

#[test]
fn what_is_neither_address_nor_interface_is_told() {
    let expected =
        "Corefile:2:6: error: bind: expected an IP address or the name of an interface, got `nosuch0`";
    assert_eq!(messages("bind nosuch0"), [expected]);
    assert_eq!(bound("bind nosuch0"), [""; 0]);
    let expected =
        "Corefile:2:1: error: bind: expected addresses or names of interfaces, got the end of the line";
    assert_eq!(messages("bind"), [expected]);
}
