//! What the kernel refuses, and what the operator reads then; what goes on working without privileges.
//!
//! Needs root. Without it each test says so and passes; under `CI=true` it fails.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod namespace;

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    process::Command,
    time::Duration,
};

use namespace::{Namespace, privileged, say};
use peer_filter::{
    FilterError, Kind, Limits, Mode, Peer, PeerFilter, Policy, Verdict, drop_privileges_of_thread,
};
use socket2::{Domain, SockAddr, Socket, Type};

fn policy() -> Policy {
    Policy {
        local: "192.0.2.100:7000".parse().unwrap(),
        peers: vec![Peer { id: 1, address: "192.0.2.1:7001".parse().unwrap() }],
        connection_id_key: [9; 16],
        limits: Limits::default(),
    }
}

fn load(mode: &str) -> Result<PeerFilter, FilterError> {
    PeerFilter::load(&mode.parse().expect("it is a mode"), policy())
}

fn refused(mode: &str) -> FilterError {
    load(mode).expect_err("the kernel refuses")
}

fn unbound() -> Socket {
    Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap()
}

/// Runs `work` in a namespace of its own.
fn isolated(work: impl FnOnce() + Send + 'static) {
    let namespace = Namespace::new();
    for address in ["192.0.2.100", "192.0.2.1", "192.0.2.9"] {
        namespace.address("lo", address);
    }
    namespace.run(work);
}

#[test]
fn loaded_filter_goes_on_working_without_privileges() {
    if !privileged() {
        return;
    }
    isolated(|| {
        let filter = load("socket").expect("the privilege is there");
        drop_privileges_of_thread().expect("everybody may have less");
        assert!(matches!(load("socket"), Err(FilterError::NoPrivilege { .. })), "the privileges are gone");
        let socket = unbound();
        filter.attach(&socket).expect("attaching needs no privilege");
        socket.bind(&SockAddr::from(policy().local)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let socket = UdpSocket::from(socket);
        let friend = UdpSocket::bind("192.0.2.1:7001").unwrap();
        let stranger = UdpSocket::bind("192.0.2.9:0").unwrap();
        let mut datagram = vec![0x40];
        datagram.extend(filter.connection_ids().id(1));
        datagram.resize(64, 0);

        // Only the peer's second datagram comes through.
        filter.quarantine(1, Duration::from_secs(3600), 1);
        friend.send_to(&datagram, policy().local).unwrap();
        stranger.send_to(&datagram, policy().local).unwrap();
        filter.release(1);
        datagram[63] = 2;
        friend.send_to(&datagram, policy().local).unwrap();
        let mut buffer = [0; 100];
        let (bytes, from) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(
            (&buffer[..bytes], from),
            (&datagram[..], "192.0.2.1:7001".parse::<SocketAddr>().unwrap())
        );
        let statistics = filter.statistics().expect("reading needs no privilege");
        let count = |verdict| statistics.datagrams(verdict);
        let counts = [Verdict::Quarantined, Verdict::UnknownSource, Verdict::PassEstablished].map(count);
        assert_eq!(counts, [1, 1, 1]);
    });
}

#[test]
fn without_the_privilege_auto_falls_back_and_says_why() {
    if !privileged() {
        return;
    }
    isolated(|| {
        drop_privileges_of_thread().expect("everybody may have less");
        let filter = load("auto").expect("it falls back");
        assert_eq!(filter.kind(), Kind::Userspace);
        let why = filter.fallback().expect("it says why");
        assert!(why.starts_with("no privilege to create the filter's maps: CAP_BPF is missing: "), "{why}");
        assert!(why.ends_with("(systemd: `AmbientCapabilities=CAP_BPF`)"), "{why}");
        filter.attach(unbound()).expect("there is nothing to attach");
        let stranger = "192.0.2.9:1".parse().unwrap();
        assert_eq!(filter.judge(stranger, &[0; 60], 0), Verdict::UnknownSource);
        assert_eq!(filter.statistics().unwrap().datagrams(Verdict::UnknownSource), 1);
    });
}

#[test]
fn without_the_privilege_explicit_modes_fail_and_say_what_is_missing() {
    if !privileged() {
        return;
    }
    isolated(|| {
        drop_privileges_of_thread().expect("everybody may have less");
        for mode in ["socket", "tc lo", "xdp lo"] {
            let error = refused(mode);
            assert!(matches!(error, FilterError::NoPrivilege { needs: "CAP_BPF", .. }), "{mode}: {error:?}");
            let text = error.explanation();
            assert!(text.contains("CAP_BPF is missing: Operation not permitted"), "{mode}: {text}");
            assert!(text.contains("filter userspace"), "{mode}: {text}");
        }
        for mode in ["userspace", "off"] {
            assert_eq!(load(mode).expect("it needs no privilege").fallback(), None);
        }
    });
}

#[test]
fn unknown_interface_is_named() {
    if !privileged() {
        return;
    }
    isolated(|| {
        for mode in ["tc nowhere0", "xdp nowhere0"] {
            let error = refused(mode);
            assert!(
                matches!(&error, FilterError::UnknownInterface { name } if name == "nowhere0"),
                "{error:?}"
            );
            assert_eq!(
                error.explanation(),
                "unknown interface `nowhere0`; `ip link` lists the interfaces of this namespace"
            );
        }
    });
}

#[test]
fn interface_without_ethernet_frames_is_refused() {
    if !privileged() {
        return;
    }
    isolated(|| {
        // The first kind of tunnel that this kernel has.
        let kinds = [
            "type sit local 192.0.2.100",
            "type ipip local 192.0.2.100",
            "type wireguard",
            "type gre local 192.0.2.100",
        ];
        let made = kinds.iter().any(|kind| {
            let output = Command::new("sh").arg("-c").arg(format!("ip link add tunnel0 {kind}")).output();
            output.expect("ip(8) is installed").status.success()
        });
        if !made && !tun("tunnel0") {
            say("SKIPPED: this kernel has no tunnel to try it on");
            return;
        }
        for mode in ["tc tunnel0", "xdp tunnel0"] {
            let error = refused(mode);
            assert_eq!(
                error.explanation(),
                "interface `tunnel0` does not carry Ethernet frames; \
                 write `filter socket`, which works on every interface"
            );
        }
    });
}

fn tun(name: &str) -> bool {
    let output = Command::new("ip").args(["tuntap", "add", "dev", name, "mode", "tun"]).output();
    output.expect("ip(8) is installed").status.success()
}

#[test]
fn second_xdp_program_is_refused_and_the_first_stays() {
    if !privileged() {
        return;
    }
    let (namespace, other) = (Namespace::new(), Namespace::new());
    namespace.cable("near", &other, "far");
    namespace.run(|| {
        let first = load("xdp near").expect("it is free");
        let error = refused("xdp near");
        assert!(matches!(&error, FilterError::Occupied { name, .. } if name == "near"), "{error:?}");
        let text = error.explanation();
        assert!(
            text.starts_with("interface `near` already has an XDP program: Device or resource busy"),
            "{text}"
        );
        assert_eq!(first.kind(), Kind::Xdp);
        load("tc near").expect("tc has room beside it");
    });
}

#[test]
fn filter_at_an_interface_needs_the_port() {
    for mode in [Mode::Tc("lo".to_string()), Mode::Xdp("lo".to_string())] {
        let policy = Policy { local: "192.0.2.100:0".parse().unwrap(), ..policy() };
        let error = PeerFilter::load(&mode, policy).expect_err("it cannot know what to guard");
        assert!(matches!(error, FilterError::PortUnknown), "{error:?}");
    }
}

#[test]
fn bound_socket_is_refused() {
    if !privileged() {
        return;
    }
    isolated(|| {
        let socket = unbound();
        socket.bind(&SockAddr::from(policy().local)).unwrap();
        let error = load("socket").expect("the privilege is there").attach(&socket);
        let text = error.expect_err("strangers may wait in it").explanation();
        assert_eq!(
            text,
            "the socket is already bound to `192.0.2.100:7000`; attach the filter before binding the socket"
        );

        let filter = load("auto").expect("the privilege is there");
        filter.attach(&socket).expect("userspace takes over");
        assert_eq!((filter.kind(), filter.fallback()), (Kind::Userspace, Some(&*text)));
    });
}

#[test]
fn filter_cannot_be_taken_off_the_socket() {
    if !privileged() {
        return;
    }
    isolated(|| {
        let filter = load("socket").expect("the privilege is there");
        let socket = unbound();
        filter.attach(&socket).expect("it attaches");
        let error = socket.detach_filter().expect_err("it is locked");
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        filter.attach(&socket).expect_err("nor replaced");
    });
}

#[test]
fn filter_outlives_its_handle_on_the_socket() {
    if !privileged() {
        return;
    }
    isolated(|| {
        let filter = load("socket").expect("the privilege is there");
        let socket = unbound();
        filter.attach(&socket).expect("it attaches");
        drop(filter);
        socket.bind(&SockAddr::from(policy().local)).unwrap();
        let stranger = UdpSocket::bind("192.0.2.9:0").unwrap();
        let own = UdpSocket::bind("192.0.2.100:0").unwrap();
        stranger.send_to(&[0x40; 60], policy().local).unwrap();
        // The loopback hands over in order: when this one has come, the stranger's would have.
        stranger.send_to(&[1], own.local_addr().unwrap()).unwrap();
        own.recv_from(&mut [0; 1]).unwrap();
        socket.set_nonblocking(true).unwrap();
        let error = UdpSocket::from(socket).recv_from(&mut [0; 100]).expect_err("nothing came");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    });
}

#[test]
fn socket_without_room_is_named_and_auto_falls_back() {
    if !privileged() {
        return;
    }
    isolated(|| {
        let setting = "/proc/sys/net/core/optmem_max";
        if std::fs::write(setting, "1000").is_err() {
            say("SKIPPED: net.core.optmem_max does not belong to namespaces on this kernel");
            return;
        }
        let filter = load("socket").expect("loading needs no room on the socket");
        let error = filter.attach(unbound()).expect_err("there is no room");
        assert!(matches!(error, FilterError::OptionMemory { .. }), "{error:?}");
        let text = error.explanation();
        assert!(text.starts_with("the socket has no room for the program: Cannot allocate memory"), "{text}");
        assert!(text.ends_with("`sysctl net.core.optmem_max=131072`"), "{text}");

        let filter = load("auto").expect("the privilege is there");
        assert_eq!(filter.kind(), Kind::Socket);
        filter.quarantine(1, Duration::from_secs(3600), 1);
        filter.attach(unbound()).expect("it falls back");
        assert_eq!(filter.kind(), Kind::Userspace);
        assert_eq!(filter.fallback(), Some(&*text));
        let friend = "192.0.2.1:7001".parse().unwrap();
        assert_eq!(filter.judge(friend, &[0x40; 60], 0), Verdict::Quarantined, "userspace knew of it");
        assert_eq!(filter.statistics().unwrap().datagrams(Verdict::Quarantined), 1);
    });
}

#[test]
fn room_of_older_kernels_is_enough() {
    if !privileged() {
        return;
    }
    isolated(|| {
        // The default that older kernels are said to have.
        if std::fs::write("/proc/sys/net/core/optmem_max", "20480").is_err() {
            say("SKIPPED: net.core.optmem_max does not belong to namespaces on this kernel");
            return;
        }
        let filter = load("socket").expect("the privilege is there");
        let socket = unbound();
        filter.attach(&socket).expect("there is room");
        assert!(socket.as_raw_fd() > 0);
    });
}
