//! `quorate certificate`: judges a TLS certificate by chain, Certificate Transparency and revocation.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::{Args, Subcommand, ValueEnum};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor};
use thiserror::Error;
use transparency::chain::{CHAIN_MAX, Purpose};
use transparency::log_list::{LOG_LIST_BYTES_MAX, LogList, LogListError};
use transparency::revocation::{CRL_BYTES_MAX, Crl, CrlSet, RevocationMode};
use transparency::roots::{
    CertificatesError, INTERMEDIATES_MAX, Intermediates, RootKind, RootStore, anchors_from_pem,
    certificates_from_pem,
};
use transparency::skeleton::CERTIFICATE_BYTES_MAX;
use transparency::{Conclusion, Moment, Pinned, Policy, Question, Verdict, judge};

use super::certificate_by_cluster::{self, AskError, Asked, Server};
use super::judgement::word;

/// Judges TLS certificates.
#[derive(Debug, Subcommand)]
pub enum CertificateCommand {
    /// Judge a certificate: its chain, name, dates, Certificate Transparency and revocation
    Check(Box<CheckArgs>),
}

/// Judges one certificate.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct CheckArgs {
    /// PEM file with the certificate, then its issuers; or one certificate in DER; `-` is standard input
    chain: PathBuf,
    /// The replica to ask, with --cluster: its admin listener, the address of `prometheus` in its Corefile
    #[arg(value_name = "@HOST[:PORT]", requires = "cluster", conflicts_with = "offline")]
    server: Option<Server>,
    /// Judge here, by the files given; nothing is sent anywhere
    #[arg(long, required_unless_present = "cluster", conflicts_with = "cluster")]
    offline: bool,
    /// Have a cluster judge, by what is in force there; this is the cluster file that you trust
    #[arg(long, value_name = "FILE", requires = "server", conflicts_with_all = OFFLINE_ONLY)]
    cluster: Option<PathBuf>,
    /// Keep the quorum's certificate in this file, for `quorate verify`
    #[arg(long, value_name = "FILE", requires = "cluster", conflicts_with = "offline")]
    save: Option<PathBuf>,
    /// CT logs, in the JSON format of version 3
    #[arg(long, value_name = "FILE")]
    log_list: Option<PathBuf>,
    /// PEM file with the publicly trusted roots; the Mozilla roots built in when not given
    #[arg(long, value_name = "FILE")]
    roots: Option<PathBuf>,
    /// PEM file with roots of your own, under which no CT logs are asked for
    #[arg(long, value_name = "FILE")]
    private_roots: Option<PathBuf>,
    /// PEM file with certificates of authorities that complete the chain
    #[arg(long, value_name = "FILE")]
    intermediates: Option<PathBuf>,
    /// File with a revocation list, in DER or PEM; may be given more than once
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,
    /// Make a revocation status that is not known an indeterminate verdict
    #[arg(long)]
    require_revocation: bool,
    /// The DNS name or address that the certificate must be for
    #[arg(long)]
    name: Option<String>,
    /// What the certificate is to be used for
    #[arg(long, value_enum, default_value_t = PurposeArg::Server)]
    purpose: PurposeArg,
    /// Time to judge for, like `2026-08-01T00:00:00Z`; now when not given
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,
    /// `chrome-2026` (the default), `apple`, or `custom:min_logs=2,min_logs_long=3,long_after=180d,...`; with --cluster: what it must judge by
    #[arg(long, value_name = "POLICY")]
    policy: Option<Policy>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The purposes as the command line names them.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum PurposeArg {
    Server,
    Client,
    Email,
    Any,
}

impl From<PurposeArg> for Purpose {
    fn from(purpose: PurposeArg) -> Self {
        match purpose {
            PurposeArg::Server => Purpose::Server,
            PurposeArg::Client => Purpose::Client,
            PurposeArg::Email => Purpose::Email,
            PurposeArg::Any => Purpose::Any,
        }
    }
}

/// What only this program needs to judge.
const OFFLINE_ONLY: [&str; 6] =
    ["log_list", "roots", "private_roots", "intermediates", "crl", "require_revocation"];

const EXAMPLES: &str = "\
Examples:
  quorate certificate check chain.pem --offline --log-list log_list.json --name www.example.org
  quorate certificate check chain.pem --offline --log-list log_list.json --roots roots.pem --crl ca.crl --json
  quorate certificate check chain.pem --offline --log-list old.json --at 2026-08-01T00:00:00Z --policy apple
  quorate certificate check chain.pem --name www.example.org --cluster cluster.toml @127.0.0.1:9153

Without a log list, or with one older than 70 days, no certificate for a server under a public root is valid: the verdict is
indeterminate at best. The JSON is described in plugins/ct_verify/core/README.md.
With --cluster the chain goes to one replica, and the verdict comes back with the signatures of a quorum: they are verified here by the
cluster file, and so is that they are about this chain, name, purpose and minute. The replica that is asked cannot lie. What it adds as
its own (`local`: what logs did with their promises, how many networks saw the certificate) is its word alone, and decides nothing.
Exit codes: 0 valid, 1 invalid, 2 indeterminate or not agreed on, 3 no quorum says anything about it, 64 wrong usage or files.";

/// A file that the judgement needs cannot be used.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// It cannot be read.
    #[error("`{}`", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// It is longer than any file of its kind.
    #[error("`{}`: more than {bytes_max} bytes", path.display())]
    TooLong {
        /// Its path.
        path: PathBuf,
        /// How long it may be.
        bytes_max: usize,
    },
    /// It holds no certificates.
    #[error("`{}`", path.display())]
    Certificates {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: CertificatesError,
    },
    /// It is no log list.
    #[error("`{}`", path.display())]
    LogList {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: LogListError,
    },
    /// The cluster says nothing.
    #[error(transparent)]
    Cluster(#[from] AskError),
}

impl CertificateError {
    /// The exit code: that of the cluster's silence, or of files that cannot be used.
    pub fn exit_code(&self) -> u8 {
        match self {
            CertificateError::Cluster(error) => error.exit_code(),
            _ => super::USAGE,
        }
    }
}

/// Runs the command and returns its exit code.
///
/// # Errors
/// Files that cannot be read, or are not of their kind; a cluster that says nothing.
pub fn run(command: &CertificateCommand) -> Result<u8, CertificateError> {
    let CertificateCommand::Check(args) = command;
    if let (Some(cluster), Some(server)) = (&args.cluster, &args.server) {
        return check_by_cluster(args, cluster, server);
    }
    let verdict = check(args)?;
    if args.json {
        println!("{}", String::from_utf8_lossy(&verdict.canonical()));
    } else {
        print!("{}", describe(&verdict));
    }
    Ok(match verdict.verdict {
        Conclusion::Valid => 0,
        Conclusion::Invalid => 1,
        Conclusion::Indeterminate => 2,
    })
}

fn check_by_cluster(args: &CheckArgs, cluster: &Path, server: &Server) -> Result<u8, CertificateError> {
    let chain = read_chain(&args.chain)?;
    let asked = Asked {
        server,
        cluster,
        chain: &chain,
        name: args.name.as_deref(),
        purpose: args.purpose.into(),
        at: args.at.unwrap_or_else(|| SystemTime::now().into()),
        policy: args.policy.as_ref(),
        save: args.save.as_deref(),
        json: args.json,
    };
    Ok(certificate_by_cluster::check(&asked)?)
}

fn check(args: &CheckArgs) -> Result<Verdict, CertificateError> {
    let chain = read_chain(&args.chain)?;
    let log_list = args.log_list.as_deref().map(read_log_list).transpose()?;
    let roots = read_roots(args)?;
    let intermediates = args.intermediates.as_deref().map(|path| {
        let read = certificates_from_pem(&read_file(path, BUNDLE_BYTES_MAX)?, INTERMEDIATES_MAX);
        read.map(Intermediates::new)
            .map_err(|source| CertificateError::Certificates { path: path.to_owned(), source })
    });
    let intermediates = intermediates.transpose()?.unwrap_or_default();
    let crls = read_crls(&args.crl)?;
    let question = Question {
        chain: &chain,
        name: args.name.as_deref(),
        purpose: args.purpose.into(),
        audited: &[],
        networks: None,
    };
    let pinned = Pinned {
        policy: args.policy.as_ref().unwrap_or(&Policy::Chrome2026),
        log_list: log_list.as_ref(),
        roots: &roots,
        intermediates: &intermediates,
        crls: &crls,
        revocation: if args.require_revocation { RevocationMode::Required } else { RevocationMode::Soft },
        private_roots_need_logs: false,
    };
    Ok(judge(&question, &pinned, args.at.unwrap_or_else(|| SystemTime::now().into())))
}

/// The certificates of a PEM file, or the one that a file in DER is.
fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let bytes = read_file(path, CHAIN_FILE_BYTES_MAX)?;
    if bytes.first() == Some(&DER_SEQUENCE) {
        return Ok(vec![CertificateDer::from(bytes)]);
    }
    // One more than is looked at, so that the verdict can say so.
    let certificates = certificates_from_pem(&bytes, CHAIN_MAX + 1);
    certificates.map_err(|source| CertificateError::Certificates { path: path.to_owned(), source })
}

fn read_log_list(path: &Path) -> Result<LogList, CertificateError> {
    LogList::parse(&read_file(path, LOG_LIST_BYTES_MAX)?)
        .map_err(|source| CertificateError::LogList { path: path.to_owned(), source })
}

fn read_roots(args: &CheckArgs) -> Result<RootStore, CertificateError> {
    let from_file = |path: &Path| -> Result<Vec<TrustAnchor<'static>>, CertificateError> {
        anchors_from_pem(&read_file(path, BUNDLE_BYTES_MAX)?)
            .map_err(|source| CertificateError::Certificates { path: path.to_owned(), source })
    };
    let (version, public) = match &args.roots {
        Some(path) => (path.display().to_string(), from_file(path)?),
        None => ("webpki-roots".to_owned(), webpki_roots::TLS_SERVER_ROOTS.to_vec()),
    };
    let private = args.private_roots.as_deref().map(from_file).transpose()?.unwrap_or_default();
    let private = private.into_iter().map(|anchor| (anchor, RootKind::Private));
    Ok(RootStore::new(version, public.into_iter().map(|anchor| (anchor, RootKind::Public)).chain(private)))
}

/// Revocation lists; one that is malformed is told in the verdict, not here.
fn read_crls(paths: &[PathBuf]) -> Result<CrlSet, CertificateError> {
    let mut crls = Vec::new();
    for path in paths {
        let bytes = read_file(path, CRL_BYTES_MAX)?;
        if bytes.first() == Some(&DER_SEQUENCE) {
            crls.push(Crl::parse(&bytes));
            continue;
        }
        let before = crls.len();
        crls.extend(
            CertificateRevocationListDer::pem_slice_iter(&bytes).flatten().map(|der| Crl::parse(&der)),
        );
        if crls.len() == before {
            crls.push(Crl::parse(&bytes));
        }
    }
    Ok(CrlSet::new(crls))
}

fn read_file(path: &Path, bytes_max: usize) -> Result<Vec<u8>, CertificateError> {
    let failed = |source| CertificateError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let limit = bytes_max as u64 + 1;
    if path == Path::new("-") {
        io::stdin().take(limit).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(failed)?;
    }
    if bytes.len() <= bytes_max {
        Ok(bytes)
    } else {
        Err(CertificateError::TooLong { path: path.to_owned(), bytes_max })
    }
}

/// A verdict for people.
fn describe(verdict: &Verdict) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = describe_into(&mut text, verdict);
    text
}

fn describe_into(text: &mut String, verdict: &Verdict) -> std::fmt::Result {
    writeln!(text, "{}", word(&verdict.verdict))?;
    for reason in &verdict.reasons {
        writeln!(text, "  {}: {reason}", word(&reason.severity()))?;
    }
    if let Some(facts) = &verdict.certificate {
        writeln!(text, "certificate   {}", facts.subject)?;
        writeln!(text, "issuer        {}", facts.issuer)?;
        writeln!(text, "valid         {} to {}", facts.not_before, facts.not_after)?;
        writeln!(text, "sha256        {}", facts.sha256)?;
    }
    let holds = if verdict.chain.x509_chain_valid { "holds" } else { "does not hold" };
    writeln!(
        text,
        "chain         {holds}, roots {} ({})",
        verdict.inputs.roots.version, verdict.inputs.roots.digest
    )?;
    let list = verdict.inputs.log_list.as_ref();
    let list = list.map_or("none".to_owned(), |list| format!("{} of {}", list.version, list.timestamp));
    writeln!(
        text,
        "transparency  {}, policy {}, log list {list}",
        word(&verdict.ct.outcome),
        verdict.inputs.policy
    )?;
    for sct in &verdict.ct.scts {
        let log = sct.log.clone().or(sct.log_id.map(|id| id.to_string())).unwrap_or_default();
        let counts = if sct.counts { ", counts" } else { "" };
        writeln!(text, "  {}{counts}  {log}", word(&sct.status))?;
    }
    writeln!(text, "revocation    {}", word(&verdict.revocation))?;
    writeln!(text, "judged for    {}", verdict.subject.at)?;
    writeln!(text, "trust score   {} of 100; decide by the verdict, not by this", verdict.score.total)
}

/// The first byte of DER, which PEM never has.
const DER_SEQUENCE: u8 = 0x30;
/// How long a file with a chain may be: certificates in PEM take a third more, and people write text between them.
const CHAIN_FILE_BYTES_MAX: usize = 2 * (CHAIN_MAX + 1) * CERTIFICATE_BYTES_MAX;
/// How long a file with roots or intermediate certificates may be.
const BUNDLE_BYTES_MAX: usize = 64 << 20;
