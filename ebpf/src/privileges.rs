//! Giving up the privileges that loading a filter needed.

use std::io;

/// Takes from the calling thread, and from those that it starts afterwards, the privileges that [`crate::PeerFilter::load`]
/// may have needed: CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN. A loaded filter goes on working: attaching it,
/// quarantines and statistics need none of them. Loading another one fails from then on.
///
/// Capabilities belong to threads: call it before others are started, or in each. Other capabilities stay.
///
/// Source: capabilities(7), capset(2).
pub fn drop_privileges() -> io::Result<()> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: version 3 writes two `Sets`, both pointers are valid for the call, pid 0 is the calling thread.
    let got = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) };
    if got != 0 {
        return Err(io::Error::last_os_error());
    }
    for capability in [CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF] {
        let sets = &mut sets[capability / 32];
        let without = !(1 << (capability % 32));
        sets.effective &= without;
        sets.permitted &= without;
        sets.inheritable &= without; // and with it the ambient one
    }
    // SAFETY: as above; capset only reads.
    let set = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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
const CAP_NET_ADMIN: usize = 12;
const CAP_SYS_ADMIN: usize = 21;
const CAP_PERFMON: usize = 38;
const CAP_BPF: usize = 39;
