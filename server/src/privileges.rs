//! Gives up root and what filters took once sockets and filters are in place.

use std::ffi::CString;
use std::io;

use tracing::{info, warn};

/// Becomes `user`, if one is named, and gives up what it takes to load a filter, whoever the process is: by systemd's `AmbientCapabilities` also a
/// process that was never root may have it.
///
/// Errors: as `drop_to`. That a capability cannot be given up is logged.
pub fn give_up(user: Option<&str>) -> Result<(), String> {
    user.map_or(Ok(()), drop_to)?;
    // SAFETY: a plain system call.
    if unsafe { libc::geteuid() } == 0 {
        info!("serving as root; `--user NAME` gives that up once ports are open");
    }
    if let Err(error) = peer_filter::drop_privileges() {
        warn!(%error, "the privilege to load filters is kept");
    }
    Ok(())
}

/// Becomes the user `name`, with its groups and no others, for good. Does nothing when the process is not root.
///
/// Errors: there is no such user, or the system refuses. In plain words.
fn drop_to(name: &str) -> Result<(), String> {
    // SAFETY: a plain system call.
    if unsafe { libc::geteuid() } != 0 {
        return Ok(());
    }
    let (user, group) = find(name)?;
    let name = CString::new(name).map_err(|_| "a user's name holds no NUL".to_owned())?;
    let failed = |what: &str| format!("cannot become user: {what}: {}", io::Error::last_os_error());
    // Groups first: they cannot be changed once the user is.
    // SAFETY: plain system calls; `name` is a C string that outlives them.
    unsafe {
        if libc::initgroups(name.as_ptr(), group) != 0 {
            return Err(failed("initgroups"));
        }
        if libc::setresgid(group, group, group) != 0 {
            return Err(failed("setresgid"));
        }
        if libc::setresuid(user, user, user) != 0 {
            return Err(failed("setresuid"));
        }
        // The way back must be closed.
        if libc::setuid(0) == 0 {
            return Err("cannot become user: root could be had back".into());
        }
    }
    Ok(())
}

/// What to do about an error that came of the permissions of files, as words to put behind it; empty for other errors.
///
/// What the system says in the text of `error` tells what it is.
pub fn hint_of_ownership(error: &impl ToString) -> String {
    let denied = io::Error::from_raw_os_error(libc::EACCES).to_string();
    if !error.to_string().contains(&denied) {
        return String::new();
    }
    // SAFETY: a plain system call.
    let id = unsafe { libc::geteuid() };
    let user = name_of(id).unwrap_or_else(|| id.to_string());
    format!(
        "; the program runs as user `{user}`, which must own the state folder and be able to read keys and certificates: \
         chown -R {user} FOLDER"
    )
}

fn name_of(id: libc::uid_t) -> Option<String> {
    // SAFETY: the result is copied at once, and nothing else in this program asks for entries after the start.
    let entry = unsafe { libc::getpwuid(id).as_ref() }?;
    // SAFETY: the system ends names with NUL.
    let name = unsafe { std::ffi::CStr::from_ptr(entry.pw_name) };
    name.to_str().ok().map(str::to_owned)
}

fn find(name: &str) -> Result<(libc::uid_t, libc::gid_t), String> {
    let c_name = CString::new(name).map_err(|_| "a user's name holds no NUL".to_owned())?;
    // SAFETY: called before other threads look users up; the result is read at once.
    let entry = unsafe { libc::getpwnam(c_name.as_ptr()).as_ref() };
    entry.map(|entry| (entry.pw_uid, entry.pw_gid)).ok_or_else(|| format!("no user `{name}`"))
}

/// Raises the limit of open descriptors to what the system allows: connections are bounded by our own limits.
pub fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: plain system calls on a struct of ours. Failure leaves the limit as it is.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denied_permission_is_told_with_who_must_own_the_folder() {
        let hint = hint_of_ownership(&"opening state folder `s`: Permission denied (os error 13)");
        // SAFETY: a plain system call.
        let user = name_of(unsafe { libc::geteuid() }).expect("tests run as a user that has a name");
        assert!(hint.contains(&format!("user `{user}`, which must own the state folder")), "{hint}");
        assert_eq!(hint_of_ownership(&"No such file or directory (os error 2)"), "");
        assert_eq!(name_of(0).as_deref(), Some("root"));
    }

    #[test]
    fn users_are_found_by_name() {
        assert_eq!(find("root"), Ok((0, 0)));
        assert_eq!(find("no-such-user"), Err("no user `no-such-user`".to_owned()));
    }
}
