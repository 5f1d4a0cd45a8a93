//! A client that times its queries, one at a time.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use system_tests::ask::query;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks for `count` names that were never asked for before, one after the other, and returns how long each took. With an empty
/// `label`: for `www.example.org`, each time.
///
/// Panics: when an answer does not come or is none.
pub fn ask_each(port: u16, label: &str, count: usize) -> Vec<Duration> {
    let socket = connect(port);
    let mut buffer = [0; 4096];
    let ask = |number: usize| {
        let name = if label.is_empty() { "www".to_owned() } else { format!("{label}-{number}.cold") };
        let name = format!("{name}.example.org");
        let asked = Instant::now();
        socket.send(&query(number as u16, &name, None)).expect("loopback takes a query");
        let length = socket.recv(&mut buffer).expect("the server answers");
        assert!(length > 12 && buffer[3] & 0xf == 0, "expected NOERROR, got rcode {}", buffer[3] & 0xf);
        asked.elapsed()
    };
    (0..count).map(ask).collect()
}

/// The middle one.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn connect(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
    socket.connect(("127.0.0.1", port)).expect("loopback is there");
    socket.set_read_timeout(Some(TIMEOUT)).expect("a time-out can be set");
    socket
}
