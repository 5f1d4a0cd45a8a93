//! The unit, and what the program tells whoever started it.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use system_tests::program::{Process, eventually, quorate, stderr, stdout};
use system_tests::server::free_port;
use tempfile::TempDir;

use super::{packaged, tool};

/// How long the program may take to say something; it competes for the machine with other tests.
const WAIT: Duration = Duration::from_secs(30);

#[test]
fn unit_passes_systemds_own_check_with_and_without_its_drop_in() {
    let Some(analyze) = tool("systemd-analyze", "checking the unit") else { return };
    let folder = TempDir::new().unwrap();
    let unit = folder.path().join("quorate.service");
    let text = fs::read_to_string(packaged("systemd/quorate.service")).unwrap();
    // It is checked that the program is there.
    assert_eq!(text.matches("/usr/bin/quorate ").count(), 2, "start and reload run the program");
    fs::write(&unit, text.replace("/usr/bin/quorate", quorate().to_str().unwrap())).unwrap();
    let check = || {
        let output = Command::new(&analyze).args(["verify", "--man=no"]).arg(&unit).output();
        let output = output.expect("systemd-analyze runs");
        // What is wrong with other units of this machine is said, too.
        let said = stderr(&output);
        let said: Vec<&str> = said.lines().filter(|line| line.contains("quorate")).collect();
        assert!(output.status.success() && said.is_empty(), "{said:?}\n{}", stdout(&output));
    };
    check();
    let drop_ins = folder.path().join("quorate.service.d");
    fs::create_dir(&drop_ins).unwrap();
    fs::copy(packaged("systemd/interface-filter.conf"), drop_ins.join("interface-filter.conf")).unwrap();
    check();
    // A capability that it does not know it passes over without a word.
    let drop_in = fs::read_to_string(packaged("systemd/interface-filter.conf")).unwrap();
    let given = text.lines().chain(drop_in.lines()).filter_map(|line| line.split_once("Capabilities="));
    let given: Vec<&str> = given.flat_map(|(_, names)| names.split(' ')).collect();
    assert_eq!(given, ["CAP_NET_BIND_SERVICE", "CAP_BPF", "CAP_NET_ADMIN"]);
    let known = Command::new(&analyze).arg("capability").args(given).output().expect("systemd-analyze runs");
    assert!(known.status.success(), "{}", stderr(&known));
    for text in [&text, &drop_in] {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        assert_eq!(value("AmbientCapabilities="), value("CapabilityBoundingSet="));
    }
}

/// A program that tells a manager, which is this test.
struct Told {
    process: Process,
    manager: UnixDatagram,
    folder: TempDir,
}

impl Told {
    fn start(corefile: &str) -> Told {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("Corefile"), corefile).unwrap();
        let socket = folder.path().join("notify");
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(WAIT)).unwrap();
        let file = |name: &str| fs::File::create(folder.path().join(name)).unwrap();
        let child = Command::new(quorate())
            .args(["serve", "-c", "Corefile"])
            .current_dir(folder.path())
            .env("NOTIFY_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .expect("the program starts");
        Told { process: Process(child), manager, folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The first line of the next message.
    fn next(&self) -> String {
        let mut buffer = [0; 1024];
        let length = self.manager.recv(&mut buffer).expect("the program says something");
        let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
        text.lines().next().unwrap_or_default().to_owned()
    }
}

#[test]
fn manager_is_told_when_queries_are_answered_when_a_reload_is_done_and_when_it_ends() {
    let corefile = |plugin: &str| format!(".:{} {{\n    bind 127.0.0.1\n    {plugin}\n}}\n", free_port());
    let mut told = Told::start(&corefile("whoami"));
    assert_eq!(told.next(), "READY=1");
    let printed = fs::read_to_string(told.path().join("stdout")).unwrap();
    assert!(printed.contains("listening dns://127.0.0.1:"), "ready before it listens: {printed}");
    // One that can be taken, and one that cannot: what runs goes on, so it is ready again.
    for plugin in ["whoami", "whaomi"] {
        fs::write(told.path().join("Corefile"), corefile(plugin)).unwrap();
        told.process.signal(libc::SIGHUP);
        assert_eq!([told.next(), told.next()], ["RELOADING=1", "READY=1"], "{plugin}");
    }
    told.process.signal(libc::SIGTERM);
    assert_eq!(told.next(), "STOPPING=1");
    let status = eventually("the program to end", WAIT, || told.process.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn manager_of_a_program_that_cannot_start_is_not_told_that_it_is_ready() {
    let mut told = Told::start(".:1053 {\n    whaomi\n}\n");
    let status = eventually("the program to end", WAIT, || told.process.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(1));
    told.manager.set_nonblocking(true).unwrap();
    assert!(told.manager.recv(&mut [0; 16]).is_err());
}
