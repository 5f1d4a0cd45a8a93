//! `quorate serve`: runs a Corefile until told to stop, and takes a changed one on request.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use clap::Args;
use plugins::metrics::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use super::logging::{Log, LogFormat};
use crate::config::{self, Findings, Lasting};
use crate::privileges;
use crate::running::{Running, STOP_TIMEOUT};
use crate::service_manager::{ServiceManager, State};
use crate::watch::{Fingerprint, Watch};

/// What to serve, and how.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// The Corefile
    #[arg(short = 'c', long = "conf", value_name = "FILE", default_value = "Corefile")]
    conf: PathBuf,
    /// Port of `dns://` keys that name none
    #[arg(short = 'p', long, value_name = "PORT", default_value_t = 53)]
    dns_port: u16,
    /// User to become once all sockets are open, when started as root
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// How log lines look; `RUST_LOG` says which are written
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

/// Serves until SIGTERM or SIGINT.
pub fn run(args: &ServeArgs) -> ExitCode {
    let log = Log::start(args.log_format);
    privileges::raise_descriptor_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return super::exit_code(Err(error)),
    };
    match runtime.block_on(serve(args, &log)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Told) => ExitCode::from(super::ERROR),
        Err(Failure::Say(text)) => super::exit_code(Err(text)),
    }
}

/// Why the program ends with an error.
enum Failure {
    /// The reason was printed.
    Told,
    /// This is the reason.
    Say(String),
}

async fn serve(args: &ServeArgs, log: &Log) -> Result<(), Failure> {
    let lasting = Lasting::default();
    let manager = ServiceManager::from_environment();
    let process = ProcessMetrics::new(&lasting.metrics);
    let mut signals =
        Signals::new().map_err(|error| Failure::Say(format!("cannot wait for signals: {error}")))?;
    if !args.conf.exists() {
        let file = args.conf.display();
        let hint =
            "name one with -c FILE; `quorate demo` runs without any, `quorate help serve` shows an example";
        return Err(Failure::Say(format!("no Corefile at `{file}`; {hint}")));
    }
    let findings = config::load(&args.conf, args.dns_port, &lasting);
    eprint!("{}", findings.corefile.render_all(&findings.diagnostics));
    let Some(configuration) = findings.configuration else { return Err(Failure::Told) };
    let mut running = Running::new(lasting.clone());
    let mut watch = Watch::new(&args.conf, args.dns_port, findings.fingerprint, configuration.reload);
    let debug = configuration.debug;
    let opened = || privileges::give_up(args.user.as_deref());
    running.replace(configuration, opened).map_err(|error| Failure::Say(error.to_string()))?;
    log.debug(debug);
    process.took(&watch);
    print_addresses(&running);
    info!(version = env!("CARGO_PKG_VERSION"), "serving");
    manager.tell(State::Ready);
    let mut reloaded = false;
    loop {
        match next(&mut signals, &watch, &lasting).await {
            Asked::Stop => break,
            // What was reloaded answers in part: whoever said this told the log, and answers no more.
            Asked::End(_) if reloaded => {}
            Asked::End(reason) => {
                running.stop().await;
                return Err(Failure::Say(reason));
            }
            asked @ (Asked::Reload | Asked::Changed(_)) => {
                manager.tell(State::Reloading);
                if let Asked::Changed(seen) = asked {
                    info!("the configuration's files have changed");
                    // Whatever reading them comes to: the same is not tried again.
                    watch.read(seen);
                }
                if let Some(debug) = reload(args, &lasting, &mut running, &mut watch, &process).await {
                    log.debug(debug);
                    reloaded = true;
                }
                manager.tell(State::Ready);
            }
        }
    }
    let lameduck = running.begin_stop();
    manager.tell(State::Stopping(lameduck + 2 * STOP_TIMEOUT));
    info!(?lameduck, "stopping");
    tokio::select! {
        () = tokio::time::sleep(lameduck) => {}
        () = signals.stop_again() => {}
    }
    tokio::select! {
        () = running.stop() => info!("stopped"),
        () = signals.stop_again() => warn!("stopped without waiting for queries under way"),
    }
    Ok(())
}

/// What is known of the process. In `/metrics` from the start, so that a first failure is a change that an alert sees.
struct ProcessMetrics {
    reloads: Counter,
    reload_failures: Counter,
    version: Family<Vec<(&'static str, String)>, Gauge>,
}

impl ProcessMetrics {
    /// The series in `metrics`, and when the process started. Its name is the one that Prometheus's own clients use.
    fn new(metrics: &Metrics) -> ProcessMetrics {
        let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let help = "When the process started, in seconds since 1970";
        let start_time: Gauge<f64, AtomicU64> =
            metrics.metric("process_start_time_seconds", help, Gauge::default);
        start_time.set(started.as_secs_f64());
        ProcessMetrics {
            reloads: metrics.metric("quorate_reloads", "Reloads asked for", Counter::default),
            reload_failures: metrics.metric(
                "quorate_reload_failures",
                "Reloads that failed",
                Counter::default,
            ),
            version: metrics.metric(
                "quorate_reload_version_info",
                "The digest of the files that the running configuration was read from",
                Family::default,
            ),
        }
    }

    /// Tells which files the configuration came from that runs now.
    fn took(&self, watch: &Watch) {
        self.version.clear();
        let labels = vec![("hash", "sha256".to_owned()), ("value", watch.seen().digest().to_string())];
        self.version.get_or_create(&labels).set(1);
    }
}

/// Waits for a signal, for a change of the files, or for a reason to end.
async fn next(signals: &mut Signals, watch: &Watch, lasting: &Lasting) -> Asked {
    tokio::select! {
        asked = signals.next() => asked,
        reason = lasting.fatal.heard() => Asked::End(reason),
        seen = watch.changed() => Asked::Changed(seen),
    }
}

/// Takes the Corefile anew, and returns what it says by `debug`. What is wrong with it is logged, and what runs goes on.
async fn reload(
    args: &ServeArgs,
    lasting: &Lasting,
    running: &mut Running,
    watch: &mut Watch,
    process: &ProcessMetrics,
) -> Option<bool> {
    process.reloads.inc();
    let (path, dns_port, for_load) = (args.conf.clone(), args.dns_port, lasting.clone());
    let loading = tokio::task::spawn_blocking(move || config::load(&path, dns_port, &for_load));
    let Ok(Findings { diagnostics, configuration, fingerprint, .. }) = loading.await else {
        process.reload_failures.inc();
        error!("reading the Corefile failed; the running configuration is kept");
        return None;
    };
    // What was tried is not tried again, whatever comes of it.
    watch.read(fingerprint);
    for found in &diagnostics {
        if found.is_error() { error!("{found}") } else { warn!("{found}") }
    }
    let Some(configuration) = configuration else {
        process.reload_failures.inc();
        error!("the Corefile has errors; the running configuration is kept");
        return None;
    };
    let (reload, debug) = (configuration.reload, configuration.debug);
    match running.replace(configuration, || Ok(())) {
        Ok(()) => {
            watch.follow(reload);
            process.took(watch);
            print_addresses(running);
            info!("reloaded");
            Some(debug)
        }
        Err(error) => {
            process.reload_failures.inc();
            error!(%error, "the running configuration is kept");
            None
        }
    }
}

/// One line for each address, for people and for scripts that chose port 0.
fn print_addresses(running: &Running) {
    let mut text = String::new();
    for address in running.addresses() {
        text += &format!("listening {address}\n");
    }
    let mut stdout = std::io::stdout();
    // Nobody may be reading; that is no reason not to serve.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// What a signal, a file or a plugin asks for.
enum Asked {
    Reload,
    /// The files are another configuration now.
    Changed(Fingerprint),
    Stop,
    /// A plugin says why nothing can be served.
    End(String),
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    user: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            user: signal(SignalKind::user_defined1())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.user.recv() => Asked::Reload,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    /// Waits for another wish to stop.
    async fn stop_again(&mut self) {
        while !matches!(self.next().await, Asked::Stop) {}
    }
}

const EXAMPLES: &str = "\
A Corefile that forwards and remembers:
  . {
      bind 127.0.0.1
      cache
      forward . 192.0.2.1 192.0.2.2
      errors
  }

Examples:
  quorate serve                                   serves ./Corefile on port 53
  quorate serve -c etc/Corefile --dns-port 1053   another file, a port that needs no root
  quorate serve --user quorate                    opens port 53 as root, then is root no more
  kill -USR1 $(pidof quorate)                     takes a changed Corefile; SIGHUP does the same, and so does
                                                  the directive `reload` by itself

With --user, state folders must belong to that user, and it must be able to read the Corefile,
keys and certificates: a reload reads them anew, no longer as root, and adds no port below 1024.
The filter before the peer port is in place by then. What it took (CAP_BPF; CAP_NET_ADMIN at an
interface) is given up in any case, so that a reload adds no filter in the kernel.

Prints one line `listening ADDRESS` for each address; logs go to standard error (RUST_LOG=debug for more).
Under systemd (`Type=notify`) it says when it serves, reloads and stops.
SIGTERM and SIGINT stop it when the queries under way are answered; a second one stops it at once.

Exit codes: 0 stopped when told to, 1 the Corefile or a socket cannot be used, 64 wrong usage.";
