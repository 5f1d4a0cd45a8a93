//! What is said to a mail server until TLS begins: EHLO and STARTTLS. RFC 5321, RFC 3207.

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Why a mail server was not brought to TLS.
#[derive(Debug, Error)]
pub enum SmtpError {
    /// A line has no end, or is not of a reply.
    #[error("expected a reply of SMTP, got `{0}`")]
    Line(String),
    /// A reply without end.
    #[error("the reply has more than {LINES_MAX} lines")]
    TooManyLines,
    /// A reply with another code than is needed.
    #[error("to {said}: expected {expected}, got `{got}`")]
    Code {
        /// What it was the reply to.
        said: &'static str,
        /// The code that goes on.
        expected: u16,
        /// The last line of the reply.
        got: String,
    },
    /// The server does not offer TLS.
    #[error("the server does not offer STARTTLS")]
    NotOffered,
    /// Something was sent behind the reply to STARTTLS, before TLS: it may be somebody else's. RFC 3207 §6.
    #[error("bytes came between the reply to STARTTLS and TLS")]
    BytesBetween,
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Speaks SMTP until TLS may begin.
pub(super) async fn start_tls<S>(stream: &mut S, local: SocketAddr) -> Result<(), SmtpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut replies = Replies { buffer: Vec::new() };
    replies.expect(stream, "the connection", 220).await?;
    stream.write_all(format!("EHLO {}\r\n", literal(local.ip())).as_bytes()).await?;
    let offers = replies.expect(stream, "EHLO", 250).await?;
    if !offers.iter().skip(1).any(|line| line.trim().eq_ignore_ascii_case("STARTTLS")) {
        return Err(SmtpError::NotOffered);
    }
    stream.write_all(b"STARTTLS\r\n").await?;
    replies.expect(stream, "STARTTLS", 220).await?;
    if replies.buffer.is_empty() { Ok(()) } else { Err(SmtpError::BytesBetween) }
}

/// Our address as a name to greet by. RFC 5321 §4.1.3.
fn literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}

/// Reads replies; holds what came behind the last one.
struct Replies {
    buffer: Vec<u8>,
}

impl Replies {
    /// The texts of a reply's lines, if it has this code.
    async fn expect<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        said: &'static str,
        expected: u16,
    ) -> Result<Vec<String>, SmtpError> {
        let mut texts = Vec::new();
        loop {
            let line = self.line(stream).await?;
            let (code, rest) = line.split_at_checked(3).ok_or_else(|| SmtpError::Line(shown(&line)))?;
            let number = code.parse::<u16>().ok().filter(|number| (200..600).contains(number));
            let more = match rest.chars().next() {
                Some('-') => true,
                Some(' ') | None => false,
                Some(_) => return Err(SmtpError::Line(shown(&line))),
            };
            match number {
                None => return Err(SmtpError::Line(shown(&line))),
                Some(number) if number != expected => {
                    return Err(SmtpError::Code { said, expected, got: shown(&line) });
                }
                Some(_) => texts.push(rest.get(1..).unwrap_or_default().to_owned()),
            }
            if !more {
                return Ok(texts);
            }
            if texts.len() == LINES_MAX {
                return Err(SmtpError::TooManyLines);
            }
        }
    }

    /// One line without its end.
    async fn line<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Result<String, SmtpError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.truncate(line.trim_ascii_end().len());
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if self.buffer.len() >= LINE_BYTES_MAX {
                return Err(SmtpError::Line(shown(&String::from_utf8_lossy(&self.buffer))));
            }
            let mut piece = [0; 256];
            match stream.read(&mut piece).await? {
                0 => return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
                count => self.buffer.extend_from_slice(&piece[..count]),
            }
        }
    }
}

/// At most so much of a line, and nothing that moves a terminal.
fn shown(line: &str) -> String {
    line.chars().take(TEXT_SHOWN_MAX).map(|one| if one.is_control() { '.' } else { one }).collect()
}

/// How long a line of a reply may be; RFC 5321 §4.5.3.1.5 allows 512 bytes.
const LINE_BYTES_MAX: usize = 1024;
/// How many lines a reply may have.
const LINES_MAX: usize = 64;
const TEXT_SHOWN_MAX: usize = 80;
