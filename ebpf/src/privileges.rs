//! Giving up the privileges that loading a filter needed: CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN.
//!
//! Source: capabilities(7), capset(2). Capabilities belong to threads, and a thread can only change its own: for the whole
//! process each thread is interrupted by a signal whose handler does so, as the C library does it for setuid(2) (nptl(7)).

use std::{
    fs, io, mem, ptr,
    time::{Duration, Instant},
};

/// Takes the privileges from every thread of the process, for good. A loaded filter goes on working: attaching it,
/// quarantines and statistics need none of them. Loading another one fails from then on. Other capabilities stay.
///
/// Interrupts the threads with the last real-time signal, whose handler stays; system calls that were going on are
/// restarted, or return `Interrupted` as after any signal.
///
/// # Errors
///
/// When somebody else handles that signal, or a thread still has the privileges after five seconds, because it blocks it.
pub fn drop_privileges() -> io::Result<()> {
    drop_privileges_of_thread()?;
    handle(libc::SIGRTMAX())?;
    interrupt_until_none_has_them(libc::SIGRTMAX())
}

/// Takes the privileges from the calling thread, and so from those that it starts afterwards.
pub fn drop_privileges_of_thread() -> io::Result<()> {
    match drop_own() {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Threads that are started meanwhile, by threads that still have privileges, are found in the next round; two rounds
/// must find none, because a list may miss a thread when others come and go.
fn interrupt_until_none_has_them(signal: libc::c_int) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut rounds_without = 0;
    while rounds_without < 2 {
        let privileged = privileged_threads()?;
        rounds_without = if privileged.is_empty() { rounds_without + 1 } else { 0 };
        if Instant::now() > deadline {
            let text =
                format!("{} threads keep their privileges: they block signal {signal}", privileged.len());
            return Err(io::Error::other(text));
        }
        for thread in privileged {
            // SAFETY: tgkill takes numbers alone; the signal has a handler, and a thread that has ended is an error.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal) };
            std::thread::sleep(GRACE);
        }
    }
    Ok(())
}

/// Returns the threads of this process that have one of the privileges.
fn privileged_threads() -> io::Result<Vec<libc::pid_t>> {
    let mut threads = Vec::new();
    for entry in fs::read_dir("/proc/self/task")? {
        let entry = entry?;
        // A thread that has ended meanwhile has no status.
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let permitted = status.lines().find_map(|line| line.strip_prefix("CapPrm:")).unwrap_or("0");
        let permitted = u64::from_str_radix(permitted.trim(), 16).unwrap_or(0);
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(number) = number.filter(|_| CAPABILITIES.iter().any(|bit| permitted & (1 << bit) != 0)) {
            threads.push(number);
        }
    }
    Ok(threads)
}

/// The handler is never taken back: a signal that comes late must find it, or it would end the process.
fn handle(signal: libc::c_int) -> io::Result<()> {
    let ours = on_signal as *const () as libc::sighandler_t;
    // SAFETY: sigaction is numbers, pointers and a set of signals: all zero is a value of each.
    let (mut new, mut old): (libc::sigaction, libc::sigaction) = unsafe { (mem::zeroed(), mem::zeroed()) };
    // SAFETY: without a new action the old one is written to a valid place.
    if unsafe { libc::sigaction(signal, ptr::null(), ptr::from_mut(&mut old)) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if ![libc::SIG_DFL, libc::SIG_IGN, ours].contains(&old.sa_sigaction) {
        return Err(io::Error::other(format!("signal {signal} is in use")));
    }
    new.sa_sigaction = ours;
    new.sa_flags = libc::SA_RESTART;
    // SAFETY: the new action is valid; its handler does nothing but system calls, which are safe in one.
    match unsafe { libc::sigaction(signal, ptr::from_ref(&new), ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

extern "C" fn on_signal(_: libc::c_int) {
    // SAFETY: the place of errno belongs to this thread; what was interrupted must not see ours.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        drop_own();
        *errno = before;
    }
}

/// Two system calls and no memory but the stack: may be called in a handler of signals.
fn drop_own() -> libc::c_long {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: version 3 writes two `Sets`, both pointers are valid for the call, pid 0 is the calling thread.
    let got = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) };
    if got != 0 {
        return got;
    }
    for capability in CAPABILITIES {
        let sets = &mut sets[capability / 32];
        let without = !(1 << (capability % 32));
        sets.effective &= without;
        sets.permitted &= without;
        sets.inheritable &= without; // and with it the ambient one
    }
    // SAFETY: as above; capset only reads.
    unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) }
}

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;
/// CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF.
const CAPABILITIES: [usize; 4] = [12, 21, 38, 39];
/// How long a thread may take to handle the signal before the next one is sent.
const GRACE: Duration = Duration::from_millis(1);
/// How long all threads may take to handle the signal.
const PATIENCE: Duration = Duration::from_secs(5);
