//! What is asked of a server here, and what it answers.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// One HTTP request, its body read.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Whether it is a POST; otherwise it is a GET.
    pub post: bool,
    /// The path with its first slash.
    pub path: String,
    /// What stands behind the question mark.
    pub query: String,
    /// Whether the client unpacks gzip.
    pub takes_gzip: bool,
    /// The body.
    pub body: Bytes,
}

/// One HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The media type.
    pub media_type: &'static str,
    /// Whether the body is packed by gzip.
    pub gzip: bool,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// The decoded value of a parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
    }

    /// The value of a parameter that is a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.parameter(name)?.parse().ok()
    }
}

impl Answer {
    /// Bytes of this media type.
    pub fn bytes(media_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Answer { status: 200, media_type, gzip: false, body: body.into() }
    }

    /// A JSON value.
    pub fn json(value: &serde_json::Value) -> Self {
        Answer::bytes("application/json", value.to_string())
    }

    /// A refusal with a word on why.
    pub fn refusal(status: u16, why: &str) -> Self {
        let value = serde_json::json!({ "error_message": why, "success": false });
        Answer { status, ..Answer::json(&value) }
    }

    /// The same, packed.
    ///
    /// # Panics
    /// Never: memory takes all bytes.
    #[must_use]
    pub fn packed(self) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&self.body).expect("memory takes all bytes");
        Answer { body: encoder.finish().expect("memory takes all bytes"), gzip: true, ..self }
    }
}

/// So many zero bytes, packed, without ever holding them.
pub(crate) fn packed_zeros(count: u64) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), count), &mut encoder)
        .expect("memory takes all bytes");
    encoder.finish().expect("memory takes all bytes")
}
