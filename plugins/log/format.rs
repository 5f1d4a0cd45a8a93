//! From a format to lines: CoreDNS's tokens, its common format, and JSON.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::UNIX_EPOCH;

use serde_json::json;

use super::record::{AA, AD, CD, QR, RA, RD, Record, TC, Z, labels};
use crate::words;

/// How a line looks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Format {
    /// Text and tokens.
    Line(Vec<Piece>),
    /// A JSON object with all there is.
    Json,
}

/// A piece of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// Text as it is.
    Text(String),
    /// A value of the query.
    Token(Token),
}

/// A value of the query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is named as it is written")]
pub enum Token {
    Type,
    Name,
    Class,
    Proto,
    Remote,
    Local,
    Port,
    Size,
    Rcode,
    ReplySize,
    Duration,
    Id,
    Opcode,
    DnssecOk,
    PayloadSize,
    Flags,
    Origin,
    /// `{/label}`: metadata, which this program has none of.
    Metadata,
}

impl Format {
    /// Reads a format. Tokens that are not known stay as they are, as in CoreDNS.
    pub fn parse(text: &str) -> Format {
        if text == "{json}" {
            return Format::Json;
        }
        let text =
            text.replace("{combined}", &format!("{COMMON}{COMBINED_TAIL}")).replace("{common}", COMMON);
        let mut pieces = Vec::new();
        let (mut literal, mut rest) = (String::new(), text.as_str());
        while let Some(at) = rest.find('{') {
            literal.push_str(&rest[..at]);
            rest = &rest[at..];
            match rest.find('}').and_then(|end| Some((token(&rest[..=end])?, end))) {
                Some((token, end)) => {
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                    pieces.push(Piece::Token(token));
                    rest = &rest[end + 1..];
                }
                None => {
                    literal.push('{');
                    rest = &rest[1..];
                }
            }
        }
        pieces.push(Piece::Text(literal + rest));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Format::Line(pieces)
    }

    /// The line of `record`, with its line feed.
    pub fn line(&self, record: &Record) -> String {
        let mut line = match self {
            Format::Json => json(record),
            Format::Line(pieces) => {
                let mut line = String::from("[INFO] ");
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => line.push_str(text),
                        Piece::Token(token) => write_token(*token, record, &mut line),
                    }
                }
                line
            }
        };
        line.push('\n');
        line
    }
}

impl Default for Format {
    /// CoreDNS's common format.
    fn default() -> Format {
        Format::parse(COMMON)
    }
}

fn token(text: &str) -> Option<Token> {
    Some(match text {
        "{type}" => Token::Type,
        "{name}" => Token::Name,
        "{class}" => Token::Class,
        "{proto}" => Token::Proto,
        "{remote}" => Token::Remote,
        "{local}" => Token::Local,
        "{port}" => Token::Port,
        "{size}" => Token::Size,
        "{rcode}" => Token::Rcode,
        "{rsize}" => Token::ReplySize,
        "{duration}" => Token::Duration,
        "{>id}" => Token::Id,
        "{>opcode}" => Token::Opcode,
        "{>do}" => Token::DnssecOk,
        "{>bufsize}" => Token::PayloadSize,
        "{>rflags}" => Token::Flags,
        "{origin}" => Token::Origin,
        metadata if metadata.starts_with("{/") => Token::Metadata,
        _ => return None,
    })
}

fn write_token(token: Token, record: &Record, line: &mut String) {
    let written = match token {
        Token::Type => write!(line, "{}", words::rtype(record.qtype)),
        Token::Name => write!(line, "{}", name(record)),
        Token::Class => write!(line, "{}", words::class(record.qclass)),
        Token::Proto => write!(line, "{}", record.transport.name()),
        Token::Remote => write!(line, "{}", address(record.remote.ip())),
        Token::Local => write!(line, "{}", address(record.local.ip())),
        Token::Port => write!(line, "{}", record.remote.port()),
        Token::Size => write!(line, "{}", record.size),
        Token::Rcode => write!(line, "{}", words::rcode(record.outcome.rcode)),
        Token::ReplySize => write!(line, "{}", record.reply_size()),
        Token::Duration => write!(line, "{:.9}s", record.duration.as_secs_f64()),
        Token::Id => write!(line, "{}", record.id),
        Token::Opcode => write!(line, "0"),
        Token::DnssecOk => write!(line, "{}", record.dnssec_ok),
        Token::PayloadSize => write!(line, "{}", record.payload_size),
        Token::Flags => write!(line, "{}", flags(record.outcome.flags)),
        Token::Origin => {
            write!(line, "{}", if record.outcome.origin.is_empty() { "-" } else { record.outcome.origin })
        }
        Token::Metadata => write!(line, "-"),
    };
    written.expect("writing to a String does not fail");
}

/// The name in presentation form, so that no byte of it can end the line or its quotes. RFC 1035 §5.1
///
/// Not by the library, which writes bytes in octal.
fn name(record: &Record) -> String {
    let mut text = String::with_capacity(record.name.len());
    for label in labels(&record.name) {
        for &byte in label {
            match byte {
                b'"' | b'.' | b'\\' => text.extend(['\\', char::from(byte)]),
                0x21..=0x7e => text.push(char::from(byte)),
                other => write!(text, "\\{other:03}").expect("writing to a String does not fail"),
            }
        }
        text.push('.');
    }
    if text.is_empty() { ".".into() } else { text }
}

/// IPv6 in brackets, as CoreDNS has it.
fn address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// The flags of a reply, in CoreDNS's order.
fn flags([high, low]: [u8; 2]) -> String {
    let all = [
        (high & QR, "qr"),
        (high & AA, "aa"),
        (high & TC, "tc"),
        (high & RD, "rd"),
        (low & RA, "ra"),
        (low & Z, "z"),
        (low & AD, "ad"),
        (low & CD, "cd"),
    ];
    let set: Vec<&str> = all.into_iter().filter(|(bit, _)| *bit != 0).map(|(_, word)| word).collect();
    set.join(",")
}

fn json(record: &Record) -> String {
    let outcome = &record.outcome;
    json!({
        "time": record.time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        "remote": record.remote.ip().to_canonical(),
        "port": record.remote.port(),
        "local": record.local.ip().to_canonical(),
        "proto": record.transport.name(),
        "id": record.id,
        "name": name(record),
        "type": words::rtype(record.qtype),
        "class": words::class(record.qclass),
        "size": record.size,
        "do": record.dnssec_ok,
        "bufsize": record.payload_size,
        "rcode": words::rcode(outcome.rcode),
        "rflags": flags(outcome.flags),
        "rsize": record.reply_size(),
        "duration": record.duration.as_secs_f64(),
        "origin": outcome.origin,
        "certified": outcome.certified,
    })
    .to_string()
}

/// CoreDNS's common format.
const COMMON: &str = "{remote}:{port} - {>id} \"{type} {class} {name} {proto} {size} {>do} {>bufsize}\" {rcode} {>rflags} {rsize} {duration}";
/// CoreDNS's combined format is the common one and this.
const COMBINED_TAIL: &str = " \"{>opcode}\"";
