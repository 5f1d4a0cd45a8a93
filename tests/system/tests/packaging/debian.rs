//! The Debian package: built, installed, a replica put in place, served, removed and purged, on a copy of this system that is thrown away.

use std::fs;
use std::io::Write as _;
use std::process::Command;

use system_tests::privilege;
use system_tests::program::{quorate, stderr, stdout};
use tempfile::TempDir;

use super::{packaged, tool};

/// Runs as root in namespaces of its own; `$1` is an empty folder, `$2` the package. What is mounted goes when it ends.
const ON_A_COPY: &str = r#"
set -eu
ip link set lo up
mount -t tmpfs -o size=512m tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs tmpfs "$1/root/run"
mount -t tmpfs tmpfs "$1/root/tmp"
cp "$2" "$1/root/tmp/quorate.deb"
exec chroot "$1/root" sh -c "$3"
"#;

/// Runs there. It says `== WORD` before what the test looks at.
const LIFE: &str = r#"
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
cd /tmp
dpkg -i quorate.deb
quorate cluster new --dir new --host 127.0.0.1 --host 127.0.0.2 --host 127.0.0.3 --host 127.0.0.4 --upstream 127.0.0.9
quorate-install-replica new/replica-0
echo == files
stat -c '%U %G %a %n' /etc/quorate /etc/quorate/* /var/lib/quorate /var/lib/quorate/log-*
echo == left
ls new/replica-0
echo == second
quorate-install-replica new/replica-1 || echo refused
ls new/replica-1/replica.key
echo == key
# A replica that is kept from starting, and whose disk is not mounted.
before=$(cat /etc/quorate/replica.key)
mv /etc/quorate/Corefile aside
mv /var/lib/quorate log
quorate-install-replica new/replica-1 || echo refused
[ "$before" = "$(cat /etc/quorate/replica.key)" ] && echo kept
mv aside /etc/quorate/Corefile
mv log /var/lib/quorate
echo == serves
# As the unit starts it, as far as that goes without systemd.
setpriv --reuid quorate --regid quorate --init-groups --inh-caps -all,+net_bind_service --ambient-caps -all,+net_bind_service \
    --bounding-set -all,+net_bind_service --no-new-privs quorate serve -c /etc/quorate/Corefile >served 2>said &
for _ in $(seq 600); do
    grep -q 'metrics$' served && break
    kill -0 $! || { cat said; exit 1; }
    sleep 0.05
done
cat served
kill $!
wait $!
echo == again
dpkg -i quorate.deb >/dev/null
ls /etc/quorate/replica.key
echo == removed
dpkg -r quorate >/dev/null
ls /usr/bin/quorate 2>/dev/null || echo gone
ls /etc/quorate/replica.key
ls /var/lib/quorate | grep -c '^log-'
echo == purged
dpkg -i quorate.deb >/dev/null
dpkg -P quorate >/dev/null
ls -d /etc/quorate /var/lib/quorate 2>/dev/null || echo gone
"#;

#[test]
fn package_installs_serves_keeps_its_replica_when_removed_and_takes_all_when_purged() {
    let what = "installing the Debian package";
    if !privilege::can(what) || tool("dpkg-deb", what).is_none() || tool("setpriv", what).is_none() {
        return;
    }
    if !fs::read_to_string("/proc/filesystems").unwrap().contains("\toverlay\n") {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{what} needs overlayfs, and CI=true");
        let _ = writeln!(std::io::stderr(), "skipped: {what} needs overlayfs");
        return;
    }
    let folder = TempDir::new().unwrap();
    let scratch = TempDir::new().unwrap();
    let built = Command::new(packaged("debian/build"))
        .args([quorate().as_path(), folder.path()])
        .env("COMPRESSION", "none")
        .output()
        .expect("the script runs");
    assert!(built.status.success(), "{}{}", stdout(&built), stderr(&built));
    let package = fs::read_dir(folder.path()).unwrap().next().expect("a package is there").unwrap().path();
    let output = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", ON_A_COPY, "sh"])
        .args([scratch.path(), &package])
        .arg(LIFE)
        .output()
        .expect("unshare runs");
    let said = stdout(&output);
    assert!(output.status.success(), "{said}{}", stderr(&output));
    let part = |word: &str| -> Vec<&str> {
        let (_, behind) = said.split_once(&format!("== {word}\n")).unwrap_or_else(|| panic!("{said}"));
        behind.split("== ").next().unwrap().lines().collect()
    };
    let files = part("files");
    for line in [
        "root quorate 750 /etc/quorate",
        "root quorate 640 /etc/quorate/Corefile",
        "root quorate 640 /etc/quorate/cluster.toml",
        "quorate quorate 600 /etc/quorate/replica.key",
        "quorate quorate 600 /etc/quorate/tls.key",
        "quorate quorate 700 /var/lib/quorate",
        "quorate quorate 600 /var/lib/quorate/log-0000000000000001",
    ] {
        assert!(files.contains(&line), "no `{line}` in {files:#?}");
    }
    assert_eq!(part("left"), ["Corefile", "cluster.toml", "tls.pem"], "keys and log exist once");
    assert_eq!(part("second"), ["refused", "new/replica-1/replica.key"]);
    assert_eq!(part("key"), ["refused", "kept"]);
    assert!(part("serves").contains(&"listening dns://127.0.0.1:53"), "{said}");
    assert_eq!(part("again"), ["/etc/quorate/replica.key"]);
    let [gone, key, logs] = part("removed")[..] else { panic!("{said}") };
    assert_eq!((gone, key), ("gone", "/etc/quorate/replica.key"));
    assert_ne!(logs, "0", "the log is kept");
    assert_eq!(part("purged"), ["gone"]);
}
