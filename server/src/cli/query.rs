//! `quorate query`: asks a server, checks the certificate of its answer, shows both.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use certificate::codec::Decode;
use certificate::leaf::{Class, Question};
use certificate::verify::{GRACE_MS, VerifyError, verify};
use certificate::{CertifiedAnswer, Cluster};
use clap::Args;
use hickory_proto::op::{Edns, Message, OpCode, Query};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use thiserror::Error;

use super::certificates::{InputError, describe, parse_class, read_cluster, to_json};
use super::verify::{now_ms, parse_question};

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks a server and checks what it answers.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct QueryArgs {
    /// NAME, then the TYPE (A when not given), and @SERVER[:PORT] in any place
    #[arg(required = true, value_name = "NAME [TYPE] @SERVER[:PORT]")]
    words: Vec<String>,
    /// The cluster file that you trust
    #[arg(long, value_name = "FILE")]
    cluster: PathBuf,
    /// Least class to accept: no-agreement, failure, records, corroborated, strong, secure
    #[arg(long, value_name = "CLASS", value_parser = parse_class, default_value = "records")]
    min_class: Class,
    /// Keep the certificate in this file, for `quorate verify`
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// EDNS option that asks for the certificate
    #[arg(long, value_name = "CODE", default_value_t = 65321)]
    option_code: u16,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  quorate query www.example.org A @127.0.0.1:5300 --cluster cluster.toml
  quorate query example.org MX @192.0.2.10 --cluster cluster.toml --min-class strong --save mx.qrt
  quorate query www.example.org @127.0.0.1:5300 --cluster cluster.toml --json | jq .class

Asks over TCP, since a certificate seldom fits a datagram. The certificate must be valid, answer this very question,
and say the same as the answer that came beside it.
Exit codes: 0 valid, 1 invalid or no certificate, 2 expired, 3 unknown epoch, 4 class too low, 64 wrong usage.";

/// Why there is no answer to judge.
#[derive(Debug, Error)]
pub enum QueryError {
    /// The words on the command line.
    #[error("{0}")]
    Usage(String),
    /// The cluster file.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The server cannot be reached, or hung up.
    #[error("{server}")]
    Network {
        /// The server.
        server: SocketAddr,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The server's bytes are no answer to the question.
    #[error("{server}: {what}")]
    Answer {
        /// The server.
        server: SocketAddr,
        /// What is wrong.
        what: String,
    },
    /// The file for the certificate.
    #[error("`{}`", path.display())]
    Save {
        /// Its path.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
}

impl QueryError {
    /// The exit code: 1 when there is no certificate to judge, 64 for wrong usage or files that cannot be used.
    pub fn exit_code(&self) -> u8 {
        match self {
            QueryError::Usage(_) | QueryError::Save { .. } => super::USAGE,
            QueryError::Input(error) => error.exit_code(),
            QueryError::Network { .. } | QueryError::Answer { .. } => 1,
        }
    }
}

/// Asks, verifies, prints, and returns the exit code.
///
/// Errors: no answer, or one without a certificate.
pub fn run(args: &QueryArgs) -> Result<u8, QueryError> {
    let (question, server) = parse_words(&args.words).map_err(QueryError::Usage)?;
    let cluster = read_cluster(&args.cluster)?;
    let asked_ms = now_ms();
    let response = ask(server, &question, args.option_code)?;
    let bytes = certificate_option(&response, args.option_code)
        .ok_or_else(|| QueryError::Answer { server, what: without_certificate(&response) })?;
    if let Some(path) = &args.save {
        fs::write(path, &bytes).map_err(|source| QueryError::Save { path: path.clone(), source })?;
    }
    let answer = CertifiedAnswer::from_bytes(&bytes)
        .map_err(|error| QueryError::Answer { server, what: VerifyError::from(error).to_string() })?;
    judge(args, &cluster, &question, &Answered { server, asked_ms, response, answer })
}

/// What came back.
struct Answered {
    server: SocketAddr,
    /// When the question was sent: the answer's TTLs are no older.
    asked_ms: u64,
    response: Message,
    answer: CertifiedAnswer,
}

fn judge(
    args: &QueryArgs,
    cluster: &Cluster,
    question: &Question,
    answered: &Answered,
) -> Result<u8, QueryError> {
    let Answered { server, asked_ms, response, answer } = answered;
    let verdict = verify(answer, cluster, Some(question), now_ms(), GRACE_MS, args.min_class);
    if args.json {
        println!("{}", to_json(answer, cluster, &verdict));
    } else {
        print!("{}", describe(answer, cluster, &verdict));
    }
    // A valid certificate of something else than what the server said proves nothing.
    if verdict.is_ok()
        && let Err(mismatch) = agreement::matches(&answer.leaf, response, asked_ms.saturating_sub(GRACE_MS))
    {
        return Err(QueryError::Answer {
            server: *server,
            what: format!("the answer is not the certified one: {mismatch}"),
        });
    }
    Ok(verdict.map_or_else(|error| error.exit_code(), |_| 0))
}

fn parse_words(words: &[String]) -> Result<(Question, SocketAddr), String> {
    let servers: Vec<&str> = words.iter().filter_map(|word| word.strip_prefix('@')).collect();
    let [server] = servers[..] else {
        return Err(format!("expected one @SERVER[:PORT], got {}", servers.len()));
    };
    let server = server
        .parse::<SocketAddr>()
        .or_else(|_| server.trim_matches(['[', ']']).parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)))
        .map_err(|_| format!("expected an address such as `127.0.0.1:5300`, got `{server}`"))?;
    let rest: Vec<&String> = words.iter().filter(|word| !word.starts_with('@')).collect();
    let (name, qtype) = match rest[..] {
        [name] => (name, "A"),
        [name, qtype] => (name, qtype.as_str()),
        _ => return Err(format!("expected NAME and TYPE, got {} words", rest.len())),
    };
    Ok((parse_question(name, qtype)?, server))
}

fn ask(server: SocketAddr, question: &Question, option_code: u16) -> Result<Message, QueryError> {
    let invalid = |what: String| QueryError::Answer { server, what };
    let query = query_message(question, option_code)
        .and_then(|message| message.to_vec().map_err(|error| error.to_string()))
        .map_err(QueryError::Usage)?;
    let bytes = exchange(server, &query).map_err(|source| QueryError::Network { server, source })?;
    let response =
        Message::from_vec(&bytes).map_err(|error| invalid(format!("expected a DNS message: {error}")))?;
    if response.metadata.id != u16::from_be_bytes([query[0], query[1]]) {
        return Err(invalid("expected the id of the query, found another".to_owned()));
    }
    Ok(response)
}

fn query_message(question: &Question, option_code: u16) -> Result<Message, String> {
    let name = Name::from_utf8(certificate::name::Presentation(&question.name).to_string())
        .map_err(|error| error.to_string())?;
    let mut query = Query::query(name, RecordType::from(question.qtype));
    query.set_query_class(DNSClass::from(question.qclass));
    let mut message = Message::new(rand::random(), hickory_proto::op::MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(query);
    let mut edns = Edns::new();
    edns.set_max_payload(1232).set_version(0);
    edns.options_mut().insert(EdnsOption::Unknown(option_code, vec![1]));
    message.set_edns(edns);
    Ok(message)
}

fn exchange(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let length = u16::try_from(query.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_be_bytes(), query].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut response = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut response)?;
    Ok(response)
}

/// The certificate in the response's EDNS option: 0x01 and its bytes.
fn certificate_option(response: &Message, option_code: u16) -> Option<Vec<u8>> {
    match response.edns.as_ref()?.option(EdnsCode::Unknown(option_code))? {
        EdnsOption::Unknown(_, bytes) if bytes.first() == Some(&1) => Some(bytes[1..].to_vec()),
        _ => None,
    }
}

/// What the server said instead: its rcode, and its extended errors (RFC 8914 §2).
fn without_certificate(response: &Message) -> String {
    let rcode = u16::from(response.metadata.response_code);
    let word = match rcode {
        0 => "NOERROR".to_owned(),
        2 => "SERVFAIL".to_owned(),
        3 => "NXDOMAIN".to_owned(),
        5 => "REFUSED".to_owned(),
        other => format!("rcode {other}"),
    };
    let mut text = format!("{word}, without a certificate");
    let errors = response.edns.iter().flat_map(|edns| edns.options().as_ref().iter());
    for (_, option) in errors {
        if let EdnsOption::Unknown(15, bytes) = option
            && bytes.len() >= 2
        {
            text += &format!(": {}", String::from_utf8_lossy(&bytes[2..]));
        }
    }
    if rcode == 0 {
        text += "; has this server `byzantine-consensus`, and is --option-code its `edns-option`?";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn server_may_stand_anywhere_and_type_may_be_missing() {
        let (question, server) = parse_words(&words("@192.0.2.1:5300 www.example.org")).unwrap();
        assert_eq!((question.qtype, server), (1, "192.0.2.1:5300".parse().unwrap()));
        let (question, server) = parse_words(&words("www.example.org MX @2001:db8::1")).unwrap();
        assert_eq!((question.qtype, server), (15, "[2001:db8::1]:53".parse().unwrap()));
    }

    #[test]
    fn query_without_a_server_is_refused_with_what_was_expected() {
        assert!(parse_words(&words("www.example.org A")).unwrap_err().contains("@SERVER"));
    }

    #[test]
    fn query_asks_for_the_whole_certificate() {
        let question = Question::parse("www.example.org", 1).unwrap();
        let message = query_message(&question, 65321).unwrap();
        let option = message.edns.as_ref().unwrap().option(EdnsCode::Unknown(65321));
        assert_eq!(option, Some(&EdnsOption::Unknown(65321, vec![1])));
    }
}
