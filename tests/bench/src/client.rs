//! A client that times its queries, one at a time or many at once.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Queries in flight of each of the flood's clients.
const IN_FLIGHT: usize = 64;

/// Asks for `count` names that were never asked for before, one after the other, and returns how long each took. With an empty
/// `label`: for `www.example.org`, each time.
///
/// Panics: when an answer does not come or is none.
pub fn ask_each(port: u16, label: &str, count: usize) -> Vec<Duration> {
    let socket = connect(port);
    let mut buffer = [0; 4096];
    let ask = |number: usize| {
        let name = if label.is_empty() { "www".to_owned() } else { format!("{label}-{number}.cold") };
        let asked = Instant::now();
        socket.send(&query(number as u16, &name)).expect("loopback takes a query");
        let length = socket.recv(&mut buffer).expect("the server answers");
        assert!(length > 12 && buffer[3] & 0xf == 0, "expected NOERROR, got rcode {}", buffer[3] & 0xf);
        asked.elapsed()
    };
    (0..count).map(ask).collect()
}

/// Asks all `ports` for new names, many at once, for so long; returns how many answers came.
pub fn flood(ports: &[u16], length: Duration) -> u64 {
    let answered = AtomicU64::new(0);
    let run = std::process::id();
    std::thread::scope(|scope| {
        for (client, port) in ports.iter().enumerate() {
            let answered = &answered;
            scope.spawn(move || {
                let socket = connect(*port);
                let end = Instant::now() + length;
                let mut buffer = [0; 4096];
                let mut asked = 0;
                let mut send = || {
                    let name = format!("flood-{run}-{client}-{asked}.cold");
                    socket.send(&query(asked as u16, &name)).expect("loopback takes a query");
                    asked += 1;
                };
                (0..IN_FLIGHT).for_each(|_| send());
                while Instant::now() < end {
                    // A lost query is replaced: the flood goes on.
                    if socket.recv(&mut buffer).is_ok_and(|_| buffer[3] & 0xf == 0) {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    send();
                }
            });
        }
    });
    answered.into_inner()
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

/// A query for the A records of `name.example.org`.
fn query(id: u16, name: &str) -> Vec<u8> {
    let mut wire = id.to_be_bytes().to_vec();
    wire.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').chain(["example", "org"]) {
        wire.push(label.len() as u8);
        wire.extend(label.as_bytes());
    }
    wire.extend([0, 0, 1, 0, 1]);
    wire
}
