//! What the service manager that started this program is told: that it serves, reloads, stops. sd_notify(3), protocol of `NOTIFY_SOCKET`.
//!
//! Nobody listens unless the program was started with `NOTIFY_SOCKET`, as by systemd with `Type=notify`. What cannot be told is logged once
//! at the start, and never keeps the program from serving.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tracing::warn;

/// Who is told, if anybody is.
#[derive(Debug, Default)]
pub struct ServiceManager {
    socket: Option<UnixDatagram>,
}

/// What becomes of the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// All sockets are open, and queries are answered.
    Ready,
    /// The Corefile is taken anew; `Ready` follows, whatever comes of it.
    Reloading,
    /// It ends, and takes so long at most.
    Stopping(Duration),
}

impl ServiceManager {
    /// Whoever `NOTIFY_SOCKET` names; nobody when it is not set, or cannot be reached, which is logged.
    pub fn from_environment() -> ServiceManager {
        env::var_os(VARIABLE).map_or_else(ServiceManager::default, |name| ServiceManager::at(&name))
    }

    /// Whoever listens at `name`: a path, or `@` and a name in the abstract namespace.
    fn at(name: &OsStr) -> ServiceManager {
        let connected = address(name.as_bytes()).and_then(|address| {
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address)?;
            // A manager that does not read must not keep anybody waiting.
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        if let Err(error) = &connected {
            warn!(socket = %name.display(), %error, "the service manager is not told that this program serves");
        }
        ServiceManager { socket: connected.ok() }
    }

    /// Tells `state`.
    pub fn tell(&self, state: State) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(message(state, monotonic_micros()).as_bytes()) {
            warn!(?state, %error, "the service manager is not told");
        }
    }
}

fn address(name: &[u8]) -> io::Result<SocketAddr> {
    match name {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
        [b'/', ..] => SocketAddr::from_pathname(OsStr::from_bytes(name)),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "expected a path, or `@` and a name")),
    }
}

/// The message about `state` at `now`, microseconds of the monotonic clock, which tells a reload from an earlier one.
fn message(state: State, now: u64) -> String {
    match state {
        State::Ready => "READY=1\nSTATUS=serving\n".to_owned(),
        State::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS=taking the Corefile anew\n"),
        State::Stopping(within) => {
            let micros = (within + STOP_MARGIN).as_micros();
            format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={micros}\nSTATUS=answering what is under way\n")
        }
    }
}

fn monotonic_micros() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a plain system call on a struct of ours; this clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000
}

/// Where the manager listens.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// What ends after the last query: logs, state, the runtime.
const STOP_MARGIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &OsStr, listener: &UnixDatagram) -> String {
        ServiceManager::at(name).tell(State::Ready);
        let mut buffer = [0; 256];
        let length = listener.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn manager_is_told_at_a_path_and_in_the_abstract_namespace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        assert!(told(path.as_os_str(), &UnixDatagram::bind(&path).unwrap()).starts_with("READY=1\n"));
        let name = format!("quorate-test-{}", std::process::id());
        let listener = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        assert!(told(OsStr::new(&format!("@{name}")), &listener).starts_with("READY=1\n"));
    }

    #[test]
    fn manager_that_cannot_be_reached_is_told_nothing_and_stops_nobody() {
        for name in ["/nonexistent/notify", "vsock:2:1234", ""] {
            let manager = ServiceManager::at(OsStr::new(name));
            assert!(manager.socket.is_none(), "{name}");
            manager.tell(State::Ready);
        }
    }

    #[test]
    fn messages_are_those_of_sd_notify() {
        let reloading = message(State::Reloading, 17);
        assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC=17\n"), "{reloading}");
        let stopping = message(State::Stopping(Duration::from_secs(2)), 17);
        assert!(stopping.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC=7000000\n"), "{stopping}");
    }
}
