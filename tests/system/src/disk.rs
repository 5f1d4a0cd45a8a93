//! A small disk that a test can fill.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A file system in memory at a folder; it goes when this is dropped.
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Puts a file system of so many bytes at `folder`, with the files that are there now.
    ///
    /// Panics: when the system refuses, or the files do not fit.
    pub fn put_under(folder: &Path, bytes: u64) -> SmallDisk {
        let files: Vec<PathBuf> = fs::read_dir(folder)
            .expect("the folder is there")
            .map(|entry| entry.expect("a readable folder").path())
            .collect();
        let aside = tempfile::TempDir::new().expect("a temporary folder");
        for file in &files {
            fs::copy(file, aside.path().join(file.file_name().expect("a file has a name"))).expect("a copy");
        }
        let target = CString::new(folder.as_os_str().as_bytes()).expect("a path has no zero byte");
        let options = CString::new(format!("size={bytes},mode=0700")).expect("no zero byte");
        // SAFETY: a plain system call; all pointers are to C strings that live through it.
        let mounted = unsafe {
            libc::mount(c"tmpfs".as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), 0, options.as_ptr().cast())
        };
        assert_eq!(mounted, 0, "mounting a tmpfs: {}", std::io::Error::last_os_error());
        let disk = SmallDisk { folder: folder.to_owned() };
        for file in &files {
            let name = file.file_name().expect("a file has a name");
            fs::copy(aside.path().join(name), folder.join(name)).expect("the files fit");
        }
        disk
    }

    /// Fills it to the last page but `left` bytes.
    ///
    /// Panics: when something else than a full disk stops it.
    pub fn fill(&self, left: u64) {
        let mut file = File::create(self.ballast()).expect("a file can be made");
        let block = vec![1; 4096];
        loop {
            match file.write_all(&block) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("filling the disk: {error}"),
            }
        }
        let length = file.metadata().expect("a file has a length").len();
        file.set_len(length.saturating_sub(left)).expect("a file can be cut");
    }

    /// Frees what `fill` took.
    pub fn free(&self) {
        fs::remove_file(self.ballast()).expect("the disk was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let target = CString::new(self.folder.as_os_str().as_bytes()).expect("a path has no zero byte");
        // Detached at once, whoever still has files open there.
        // SAFETY: a plain system call with a C string.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
}
