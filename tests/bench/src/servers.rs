//! What a replica is compared with, and how all of them are asked and charged.

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::process::{Command, Stdio};

use system_tests::program::{Process, quorate, stdout};
use tempfile::TempDir;

/// A `quorate serve` without consensus.
pub struct Plain {
    /// Its DNS port.
    pub port: u16,
    /// It.
    pub process: Process,
    _folder: TempDir,
}

impl Plain {
    /// Serves `.` on a free port with the directives `body`.
    ///
    /// Panics: when it does not start.
    pub fn start(body: &str) -> Plain {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let corefile = format!(".:0 {{\n    bind 127.0.0.1\n{body}}}\n");
        std::fs::write(folder.path().join("Corefile"), corefile).expect("the folder can be written");
        let mut child = Command::new(quorate())
            .args(["serve", "-c", "Corefile"])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("standard output is a pipe")).lines();
        let process = Process(child);
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening dns://")?.rsplit(':').next()?.parse().ok())
            .expect("the program says where it listens");
        Plain { port, process, _folder: folder }
    }
}

/// A thread that sends every datagram back, marked as a response: the least that a UDP server can do.
pub struct Echo {
    /// Its port.
    pub port: u16,
    thread: libc::pthread_t,
}

/// Starts the echo; it runs until the program ends.
///
/// Panics: when loopback has no free port.
pub fn echo() -> Echo {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
    let port = socket.local_addr().expect("a bound socket has an address").port();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // SAFETY: asks for the calling thread's own handle.
        let _ = sender.send(unsafe { libc::pthread_self() });
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            buffer[2] |= 0x80;
            let _ = socket.send_to(&buffer[..length], from);
        }
    });
    Echo { port, thread: receiver.recv().expect("the thread says who it is") }
}

/// CPU time so far, user and system, of a process, or of the echo's thread when there is none.
///
/// Panics: when the process is gone.
pub fn cpu_seconds(pid: Option<u32>, echo: &Echo) -> f64 {
    let Some(pid) = pid else {
        let mut clock = 0;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the thread runs as long as the program; both pointers are to locals.
        unsafe {
            libc::pthread_getcpuclockid(echo.thread, &mut clock);
            libc::clock_gettime(clock, &mut time);
        }
        return time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // Fields 14 and 15 of proc(5); the name in field 2 may hold blanks, so counting begins behind it.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().map(|field| field.parse::<f64>().unwrap_or(0.0)).sum();
    // SAFETY: a plain library call.
    ticks / unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64
}

/// CPU time so far, user and system, of a process, to the nanosecond.
///
/// Panics: when the process is gone.
pub fn process_cpu_seconds(pid: u32) -> f64 {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both pointers are to locals.
    let asked = unsafe {
        match libc::clock_getcpuclockid(pid as libc::pid_t, &raw mut clock) {
            0 => libc::clock_gettime(clock, &raw mut time),
            error => error,
        }
    };
    assert_eq!(asked, 0, "process {pid} runs");
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Asks for `www.example.org` as fast as answers come, for so many seconds; answers a second, and answers.
///
/// Panics: when `dnsperf` is not installed or gets no answers.
pub fn dnsperf(port: u16, seconds: u32) -> (f64, f64) {
    let mut queries = tempfile::NamedTempFile::new().expect("a temporary file");
    writeln!(queries, "www.example.org A").expect("the file can be written");
    let output = Command::new("dnsperf")
        .args([
            "-s",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-l",
            &seconds.to_string(),
            "-c",
            "8",
            "-q",
            "200",
            "-d",
        ])
        .arg(queries.path())
        .output()
        .expect("dnsperf is installed (tests/run does it)");
    let text = stdout(&output);
    let figure = |label: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(label));
        line.and_then(|line| line.split(':').nth(1)?.split_whitespace().next()?.parse::<f64>().ok())
            .unwrap_or_else(|| panic!("dnsperf printed no `{label}`:\n{text}"))
    };
    (figure("Queries per second"), figure("Queries completed"))
}
