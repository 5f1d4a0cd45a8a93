//! DNS cookies: the proof that a client owns the address it asks from. RFC 7873, in the form of RFC 9018.
//!
//! Pure: the time comes in. A query without a good server cookie is answered all the same; the cookie only decides how much a
//! datagram may carry.

use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

/// The secret from which all server cookies of this process are made.
#[derive(Clone)]
pub struct Cookies {
    secret: [u8; 16],
}

/// What a query's cookie is worth, and the cookie that goes into the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Whether the client has shown that it receives what is sent to its address.
    pub proven: bool,
    /// Client cookie and server cookie of the reply.
    pub reply: [u8; COOKIE_BYTES],
}

impl Cookies {
    /// Cookies that nobody else can make.
    pub fn random() -> Cookies {
        Cookies { secret: rand::random() }
    }

    /// Judges the `cookie` option of a query from `client` at `now`, in seconds since 1970.
    ///
    /// `None` when its length is not legal. A server cookie is good for an hour; one older than half an hour is renewed.
    ///
    /// Source: RFC 9018 §4.
    pub fn check(&self, cookie: &[u8], client: IpAddr, now: u32) -> Option<Checked> {
        if !is_length_legal(cookie.len()) {
            return None;
        }
        let (client_cookie, server_cookie) = cookie.split_first_chunk::<CLIENT_BYTES>()?;
        let known = <[u8; SERVER_BYTES]>::try_from(server_cookie).ok().and_then(|server_cookie| {
            let time = u32::from_be_bytes(server_cookie[4..8].try_into().expect("four bytes"));
            let good = self.server_cookie(client_cookie, client, time) == server_cookie;
            // RFC 1982 arithmetic, as RFC 9018 §4.3 asks: the difference counts, not the value.
            let age = now.wrapping_sub(time).cast_signed();
            (good && (-FUTURE_SECONDS_MAX..=AGE_SECONDS_MAX).contains(&age)).then_some((server_cookie, age))
        });
        let server_cookie = match known {
            Some((server_cookie, age)) if age <= RENEWAL_SECONDS => server_cookie,
            _ => self.server_cookie(client_cookie, client, now),
        };
        let mut reply = [0; COOKIE_BYTES];
        reply[..CLIENT_BYTES].copy_from_slice(client_cookie);
        reply[CLIENT_BYTES..].copy_from_slice(&server_cookie);
        Some(Checked { proven: known.is_some(), reply })
    }

    /// Version, three reserved bytes, time, and SipHash-2-4 over these, the client cookie and the client's address.
    fn server_cookie(&self, client_cookie: &[u8; 8], client: IpAddr, time: u32) -> [u8; SERVER_BYTES] {
        let mut cookie = [0; SERVER_BYTES];
        cookie[0] = VERSION;
        cookie[4..8].copy_from_slice(&time.to_be_bytes());
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        hasher.write(client_cookie);
        hasher.write(&cookie[..8]);
        match client {
            IpAddr::V4(address) => hasher.write(&address.octets()),
            IpAddr::V6(address) => hasher.write(&address.octets()),
        }
        cookie[8..].copy_from_slice(&hasher.finish().to_le_bytes());
        cookie
    }
}

/// Whether a COOKIE option can have this length: a client cookie alone, or with a server cookie of 8 to 32 bytes. RFC 7873 §5.2.2.
pub fn is_length_legal(length: usize) -> bool {
    matches!(length, CLIENT_BYTES | 16..=40)
}

/// The EDNS option.
pub const OPTION_CODE: u16 = 10;
/// Client cookie and server cookie together.
pub const COOKIE_BYTES: usize = CLIENT_BYTES + SERVER_BYTES;
const CLIENT_BYTES: usize = 8;
const SERVER_BYTES: usize = 16;
const VERSION: u8 = 1;
/// RFC 9018 §4.3
const AGE_SECONDS_MAX: i32 = 3600;
/// RFC 9018 §4.3: clocks of servers that share a secret may differ so much.
const FUTURE_SECONDS_MAX: i32 = 300;
/// RFC 9018 §4.3
const RENEWAL_SECONDS: i32 = 1800;

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn cookies(secret: &str) -> Cookies {
        Cookies { secret: bytes(secret).try_into().unwrap() }
    }

    const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";

    #[test]
    fn new_cookie_is_that_of_the_rfc() {
        // RFC 9018 §A.1
        let checked = cookies(SECRET)
            .check(&bytes("2464c4abcf10c957"), "198.51.100.100".parse().unwrap(), 1559731985)
            .unwrap();
        assert_eq!(checked.reply.to_vec(), bytes("2464c4abcf10c957010000005cf79f111f8130c3eee29480"));
        assert!(!checked.proven);
    }

    #[test]
    fn cookie_older_than_half_an_hour_is_renewed() {
        // RFC 9018 §A.3: the cookie that a server makes at 1559734700.
        let (cookies, client) = (cookies(SECRET), "203.0.113.203".parse().unwrap());
        let first = cookies.check(&bytes("fc93fc62807ddb86"), client, 1559734700 - 2000).unwrap().reply;
        let renewed = cookies.check(&first, client, 1559734700).unwrap();
        assert!(renewed.proven, "still good");
        assert_eq!(renewed.reply.to_vec(), bytes("fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"));
    }

    #[test]
    fn fresh_cookie_proves_the_address_and_comes_back_unchanged() {
        let (cookies, client) = (Cookies::random(), "2001:db8::1".parse().unwrap());
        let first = cookies.check(&[7; 8], client, 1000).unwrap();
        let second = cookies.check(&first.reply, client, 1060).unwrap();
        assert_eq!(second, Checked { proven: true, reply: first.reply });
    }

    #[test]
    fn cookie_of_another_client_or_secret_or_time_proves_nothing() {
        let (cookies, client) = (Cookies::random(), "192.0.2.1".parse().unwrap());
        let good = cookies.check(&[7; 8], client, 10_000).unwrap().reply;
        let other_client = "192.0.2.2".parse().unwrap();
        assert!(!cookies.check(&good, other_client, 10_000).unwrap().proven);
        assert!(!Cookies::random().check(&good, client, 10_000).unwrap().proven);
        assert!(!cookies.check(&good, client, 10_000 + 3601).unwrap().proven);
        assert!(!cookies.check(&good, client, 10_000 - 301).unwrap().proven);
        let mut flipped = good;
        flipped[23] ^= 1;
        assert!(!cookies.check(&flipped, client, 10_000).unwrap().proven);
    }

    #[test]
    fn only_lengths_of_the_rfc_are_legal() {
        let legal: Vec<usize> = (0..=64).filter(|&length| is_length_legal(length)).collect();
        let expected: Vec<usize> = std::iter::once(8).chain(16..=40).collect();
        assert_eq!(legal, expected);
    }
}
