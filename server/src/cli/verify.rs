//! `quorate verify`: checks a saved certificate offline.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use certificate::leaf::{Class, Question};
use certificate::verify::{GRACE_MS, verify};
use clap::Args;

use super::certificates::{InputError, describe, parse_class, read_certificate, read_cluster, to_json};

/// Checks a saved certificate.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct VerifyArgs {
    /// File with the certificate, in binary, base64, hexadecimal, or as dig prints it; `-` is standard input
    file: PathBuf,
    /// The cluster file that you trust
    #[arg(long, value_name = "FILE")]
    cluster: PathBuf,
    /// Time to verify at: `2026-08-01T00:00:00Z`, or milliseconds since 1970; now when not given
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    at: Option<u64>,
    /// Least class to accept: no-agreement, failure, records, corroborated, strong, secure
    #[arg(long, value_name = "CLASS", value_parser = parse_class, default_value = "no-agreement")]
    min_class: Class,
    /// The name that the certificate must answer
    #[arg(long)]
    name: Option<String>,
    /// The type that the certificate must answer, with --name
    #[arg(long = "type", value_name = "TYPE", default_value = "A", requires = "name")]
    qtype: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  quorate query www.example.org A @127.0.0.1:5300 --cluster cluster.toml --save www.qrt
  quorate verify www.qrt --cluster cluster.toml
  quorate verify www.qrt --cluster cluster.toml --at 2026-11-22T14:30:00Z --min-class strong
  dig @127.0.0.1 -p 5300 +tcp +short TXT _certificate.www.example.org | quorate verify - --cluster cluster.toml

An expired answer passes for 5 seconds more, for clocks that differ; the output says so.
Exit codes: 0 valid, 1 invalid, 2 expired, 3 unknown epoch, 4 class too low, 64 wrong usage or files.";

/// Verifies, prints, and returns the exit code.
///
/// Errors: files that cannot be read, or that hold no certificate or cluster.
pub fn run(args: &VerifyArgs) -> Result<u8, InputError> {
    let cluster = read_cluster(&args.cluster)?;
    let answer = read_certificate(&args.file)?;
    let question = args.name.as_deref().map(|name| parse_question(name, &args.qtype)).transpose();
    let question = question.map_err(InputError::Cluster)?;
    // What was asked is a name and a type; flags are how it was asked.
    let question = question.map(|question| Question {
        flags: answer.leaf.question().map_or(0, |certified| certified.flags),
        ..question
    });
    let now_ms = args.at.unwrap_or_else(now_ms);
    let verdict = verify(&answer, &cluster, question.as_ref(), now_ms, GRACE_MS, args.min_class);
    if args.json {
        println!("{}", to_json(&answer, &cluster, &verdict));
    } else {
        print!("{}", describe(&answer, &cluster, &verdict));
    }
    Ok(verdict.map_or_else(|error| error.exit_code(), |_| 0))
}

/// The wall clock in milliseconds since 1970.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64
}

/// Reads a name and a type, such as `AAAA` or `TYPE65280`.
pub fn parse_question(name: &str, qtype: &str) -> Result<Question, String> {
    let rtype = qtype
        .to_ascii_uppercase()
        .parse::<hickory_proto::rr::RecordType>()
        .map(u16::from)
        .ok()
        .or_else(|| qtype.to_ascii_uppercase().strip_prefix("TYPE")?.parse().ok());
    let rtype = rtype.ok_or_else(|| format!("expected a record type such as `AAAA`, got `{qtype}`"))?;
    Question::parse(name, rtype).map_err(|error| format!("`{name}`: {error}"))
}

fn parse_time(text: &str) -> Result<u64, String> {
    if let Ok(ms) = text.parse() {
        return Ok(ms);
    }
    let time = humantime::parse_rfc3339_weak(text)
        .map_err(|_| format!("expected a time such as `2026-08-01T00:00:00Z`, got `{text}`"))?;
    Ok(time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_read_in_both_forms() {
        assert_eq!(parse_time("2026-08-01T00:00:00Z"), Ok(1_785_542_400_000));
        assert_eq!(parse_time("1785542400000"), Ok(1_785_542_400_000));
        assert!(parse_time("yesterday").is_err());
    }

    #[test]
    fn unknown_types_are_asked_by_number() {
        assert_eq!(parse_question("www.example.org", "TYPE65280").unwrap().qtype, 65280);
        assert_eq!(parse_question("www.example.org", "aaaa").unwrap().qtype, 28);
        assert!(parse_question("www.example.org", "AAAAA").is_err());
    }
}
