//! Giving up the privileges of the whole process. One test, in a process of its own.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod namespace;

use std::{
    io::Read,
    net::{TcpListener, TcpStream},
    sync::mpsc::channel,
    thread,
};

use namespace::privileged;
use peer_filter::{FilterError, Limits, Mode, PeerFilter, Policy, drop_privileges};

fn load() -> Result<PeerFilter, FilterError> {
    let local = "192.0.2.100:7000".parse().unwrap();
    let policy = Policy { local, peers: vec![], connection_id_key: [9; 16], limits: Limits::default() };
    PeerFilter::load(&Mode::Socket, policy)
}

#[test]
fn every_thread_gives_its_privileges_up() {
    if !privileged() {
        return;
    }
    load().expect("the privilege is there");
    // One thread that waits in a system call, one that computes, one that starts others.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut writer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut reader = listener.accept().unwrap().0;
    let waiting = thread::spawn(move || {
        let mut buffer = [0; 1];
        reader.read_exact(&mut buffer).expect("the system call goes on after the signal");
        load().is_err()
    });
    let (stop, stopped) = channel::<()>();
    let computing = thread::spawn(move || {
        while stopped.try_recv().is_err() {
            std::hint::spin_loop();
        }
        load().is_err()
    });
    let (stop_starting, stopped_starting) = channel::<()>();
    let starting = thread::spawn(move || {
        while stopped_starting.try_recv().is_err() {
            thread::spawn(|| {}).join().unwrap();
        }
        thread::spawn(|| load().is_err()).join().unwrap()
    });

    drop_privileges().expect("everybody may have less");

    std::io::Write::write_all(&mut writer, &[1]).unwrap();
    stop.send(()).unwrap();
    stop_starting.send(()).unwrap();
    assert!(waiting.join().unwrap(), "the one that waited");
    assert!(computing.join().unwrap(), "the one that computed");
    assert!(starting.join().unwrap(), "the one that started others");
    assert!(matches!(load(), Err(FilterError::NoPrivilege { .. })), "this one");
    drop_privileges().expect("twice is as good as once");
}
