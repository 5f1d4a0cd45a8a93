//! Queries of clients: the view for the glance, and the strict reader behind it, which must see the same.
#![no_main]

use std::net::SocketAddr;
use std::time::Instant;

use hickory_proto::op::Message;
use message::{Received, read};
use plugins::{Client, QueryView, Transport};

// The program is no library, so these two files of it are compiled here.
#[path = "../../../server/src/cookie.rs"]
#[allow(dead_code, reason = "only what the reader uses")]
mod cookie;
#[path = "../../../server/src/message.rs"]
#[allow(dead_code, reason = "only what the view has too")]
mod message;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let here = SocketAddr::from(([192, 0, 2, 1], 5353));
    let client = Client { address: here, local: here, transport: Transport::Udp };
    let view = QueryView::parse(bytes, &client, Instant::now());
    let received = read(bytes);
    if let Received::Asked(asked) = &received {
        assert!(Message::from_vec(bytes).is_ok(), "what is answered is a message");
        assert_eq!(asked.envelope.id.to_be_bytes(), bytes[..2]);
        let told = asked.edns.as_ref().map(|edns| edns.options().as_ref().len());
        assert_eq!(told.is_some(), asked.envelope.edns.is_some());
    }
    let Some(view) = view else { return };
    if let Received::Asked(asked) = received {
        let wire: Vec<u8> =
            asked.name.iter().flat_map(|label| [&[label.len() as u8], label].concat()).collect();
        assert_eq!([&wire[..], &[0]].concat(), view.name);
        assert_eq!((u16::from(asked.qtype), u16::from(asked.qclass)), (view.qtype, view.qclass));
        assert_eq!(asked.envelope.recursion_desired, view.recursion_desired());
        assert_eq!(asked.envelope.edns.is_some_and(|edns| edns.dnssec_ok), view.dnssec_ok());
        assert_eq!(asked.options, view.edns.map_or(&[][..], |edns| edns.options));
    }
});
