//! What a refusal of the kernel means: which privilege, which setting, which other program is in the way.

use std::{error::Error, io};

use aya::programs::{ProgramError, tc::TcError, xdp::XdpError};

use crate::FilterError;

/// Creating the maps was refused.
pub(super) fn creating(error: aya::EbpfError) -> FilterError {
    match os_error(&error) {
        Some(code @ libc::EPERM) => no_privilege("create the filter's maps", "CAP_BPF", code),
        _ => super::kernel("create the filter's maps", error),
    }
}

/// Loading the program for sockets, or putting it on one, was refused.
pub(super) fn on_socket(what: &'static str, error: ProgramError) -> FilterError {
    match os_error(&error) {
        Some(code @ libc::EPERM) => no_privilege(what, "CAP_BPF", code),
        Some(code @ libc::ENOMEM) => FilterError::OptionMemory { source: io::Error::from_raw_os_error(code) },
        _ => other(what, error),
    }
}

/// Loading a program for an interface, or putting it there, was refused.
pub(super) fn at_interface(what: &'static str, interface: &str, error: ProgramError) -> FilterError {
    match os_error(&error) {
        Some(code @ libc::EPERM) => no_privilege(what, "CAP_BPF and CAP_NET_ADMIN", code),
        Some(code @ libc::EBUSY) => {
            FilterError::Occupied { name: interface.to_string(), source: io::Error::from_raw_os_error(code) }
        }
        Some(libc::ENODEV) => FilterError::UnknownInterface { name: interface.to_string() },
        _ => other(what, error),
    }
}

/// Returns the number of the error that the kernel gave, wherever in the chain of causes it is.
///
/// Some of aya's errors are transparent: they stand for what they hold, and the chain passes over it.
pub(super) fn os_error(error: &(dyn Error + 'static)) -> Option<i32> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let code = match error.downcast_ref::<ProgramError>() {
            Some(ProgramError::IOError(error) | ProgramError::TcError(TcError::IoError(error))) => {
                error.raw_os_error()
            }
            Some(
                ProgramError::NetlinkError(error)
                | ProgramError::TcError(TcError::NetlinkError(error))
                | ProgramError::XdpError(XdpError::NetlinkError(error)),
            ) => error.raw_os_error(),
            _ => error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error),
        };
        if code.is_some() {
            return code;
        }
        cause = error.source();
    }
    None
}

/// The verifier's log may have thousands of lines, of which the last one but the statistics says why.
fn other(what: &'static str, error: ProgramError) -> FilterError {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            let last = log.lines().map(str::trim).rfind(|line| !line.is_empty() && !is_statistics(line));
            super::kernel(what, format!("{io_error}; the verifier says `{}`", last.unwrap_or("")))
        }
        error => super::kernel(what, error),
    }
}

fn is_statistics(line: &str) -> bool {
    ["verification time", "stack depth", "processed"].iter().any(|start| line.starts_with(start))
}

fn no_privilege(what: &'static str, needs: &'static str, code: i32) -> FilterError {
    FilterError::NoPrivilege { what, needs, source: io::Error::from_raw_os_error(code) }
}
