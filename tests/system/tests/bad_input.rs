//! What strangers send to the DNS ports and to the peer port.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use system_tests::clients::dig;
use system_tests::cluster::{Demo, http_get};
use system_tests::program::eventually;

const QUERY: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03org\x00\x00\x01\x00\x01";
const FORMERR: u8 = 1;
const NOTIMP: u8 = 4;
const REFUSED: u8 = 5;

/// Sends `bytes`, then a good query; what came back for the first, or `None` when only the second was answered.
fn answer_to(port: u16, bytes: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send(bytes).unwrap();
    let mut good = QUERY.to_vec();
    good[..2].copy_from_slice(b"\xff\xfe");
    socket.send(&good).unwrap();
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).expect("the good query is answered");
    if buffer[..2] == *b"\xff\xfe" {
        // Order is not promised: the other answer may still come.
        socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        return socket.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec());
    }
    Some(buffer[..length].to_vec())
}

fn rcode_of(port: u16, bytes: &[u8]) -> Option<u8> {
    answer_to(port, bytes).map(|answer| answer[3] & 0xf)
}

fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut query = QUERY.to_vec();
    change(&mut query);
    query
}

/// A query with one more record, of which only the first byte of a pointer is there.
fn cut_in_a_pointer() -> Vec<u8> {
    changed(|query| {
        query[11] = 1;
        query.push(0xc0);
    })
}

#[test]
fn dns_port_answers_as_the_rfcs_say_and_is_silent_otherwise() {
    let demo = Demo::start(&[]);
    let port = demo.ports(0).dns;
    // So that the good query is answered at once.
    dig(port, &["www.example.org", "A"]);
    let cases = [
        ("two questions", changed(|q| q[5] = 2), Some(FORMERR)),
        ("no question", changed(|q| q[5] = 0), Some(FORMERR)),
        ("question count that lies", changed(|q| q[4..6].copy_from_slice(&[0xff, 0xff])), Some(FORMERR)),
        ("cut in the name", QUERY[..20].to_vec(), Some(FORMERR)),
        ("label of 64 bytes", changed(|q| q[12] = 64), Some(FORMERR)),
        ("record cut in its pointer", cut_in_a_pointer(), Some(FORMERR)),
        ("the same to whoever else listens", cut_in_a_pointer(), Some(FORMERR)),
        ("NOTIFY", changed(|q| q[2] = 0x20), Some(NOTIMP)),
        ("UPDATE", changed(|q| q[2] = 0x28), Some(NOTIMP)),
        ("class CH", changed(|q| *q.last_mut().unwrap() = 3), Some(REFUSED)),
        ("a response", changed(|q| q[2] = 0x81), None),
        ("eleven bytes", QUERY[..11].to_vec(), None),
        ("nothing", Vec::new(), None),
    ];
    for (what, bytes, expected) in cases {
        assert_eq!(rcode_of(port, &bytes), expected, "{what}");
    }
}

#[test]
fn answers_to_junk_are_never_longer_than_the_junk_and_never_data() {
    let demo = Demo::start(&[]);
    let port = demo.ports(0).dns;
    dig(port, &["www.example.org", "A"]);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..60 {
        let junk: Vec<u8> = (0..12 + round)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        if let Some(answer) = answer_to(port, &junk) {
            assert!(answer.len() <= junk.len().max(12) + 11, "{} bytes for {}", answer.len(), junk.len());
            assert_eq!(&answer[6..8], &[0, 0], "records for junk");
        }
    }
}

#[test]
fn unfinished_and_oversized_tcp_messages_hold_nothing_up() {
    let demo = Demo::start(&[]);
    let port = demo.ports(0).dns;
    let mut stuck: Vec<TcpStream> =
        (0..50).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    for stream in &mut stuck {
        stream.write_all(&[0xff, 0xff, 0, 1]).unwrap();
    }
    assert!(dig(port, &["www.example.org", "A", "+tcp"]).contains("NOERROR"));
}

#[test]
fn peer_port_is_silent_to_strangers() {
    let demo = Demo::start(&[]);
    let ports = demo.ports(0);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", ports.peer)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    for bytes in [QUERY.to_vec(), vec![0; 1200], vec![0x40; 64]] {
        socket.send(&bytes).unwrap();
    }
    let mut buffer = [0; 2048];
    assert!(socket.recv(&mut buffer).is_err(), "junk is not answered");
    assert!(TcpStream::connect(("127.0.0.1", ports.peer)).is_err(), "peers speak QUIC alone");
    assert!(dig(ports.dns, &["www.example.org", "A"]).contains("NOERROR"));
}

#[test]
fn stranger_with_a_key_of_its_own_is_counted_and_told_nothing() {
    use system_tests::clients::python;
    let demo = Demo::start(&[]);
    let ports = demo.ports(0);
    let output = python("stranger.py", &[&ports.peer.to_string()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    eventually("the stranger to be counted", Duration::from_secs(30), || {
        // Its address is that of no replica: the filter drops it before QUIC could look at its key.
        let (_, body) = http_get(ports.admin, "/v1/filter")?;
        let filter: serde_json::Value = serde_json::from_str(&body).ok()?;
        let verdicts = filter["verdicts"].as_array()?.iter();
        let mut unknown = verdicts.filter(|count| count["verdict"] == "unknown-source");
        unknown.any(|count| count["datagrams"].as_u64() > Some(0)).then_some(())
    });
    assert!(dig(ports.dns, &["www.example.org", "A"]).contains("NOERROR"));
}

#[test]
fn half_an_http_request_does_not_stop_the_others() {
    let demo = Demo::start(&[]);
    let admin = demo.ports(0).admin;
    let mut half = TcpStream::connect(("127.0.0.1", admin)).unwrap();
    half.write_all(b"GET /health HTTP/1.1\r\nHost:").unwrap();
    assert_eq!(http_get(admin, "/health").map(|(status, _)| status), Some(200));
    let mut junk = TcpStream::connect(("127.0.0.1", admin)).unwrap();
    junk.write_all(&[0xff; 64]).unwrap();
    let mut said = Vec::new();
    let _ = junk.read_to_end(&mut said);
    assert_eq!(http_get(admin, "/ready").map(|(status, _)| status), Some(200));
}
