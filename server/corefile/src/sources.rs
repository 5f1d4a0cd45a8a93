//! Files and environment as an argument, so that the parser itself reaches for nothing.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

/// Where the parser gets files and environment variables from.
pub trait Sources {
    /// Returns the bytes of the file at `path`.
    ///
    /// Errors: as of the file system; a directory gives [`io::ErrorKind::IsADirectory`].
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Returns the paths that match `pattern` (`*` and `?` within one path component, `[x]` for a literal x),
    /// sorted.
    ///
    /// Errors: the pattern is malformed, or a folder cannot be read.
    fn glob(&self, pattern: &str) -> io::Result<Vec<PathBuf>>;

    /// Returns the value of an environment variable, or `None` if it is not set.
    fn env(&self, name: &str) -> Option<String>;
}

/// The files and the environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemSources;

impl Sources for SystemSources {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    fn glob(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        let paths = glob::glob_with(pattern, MATCHING)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        paths.map(|path| path.map_err(io::Error::from)).collect()
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }
}

/// The largest file that is read; a device or a core dump given by mistake ends here.
pub const FILE_BYTES_MAX: u64 = 16 << 20;

/// As a shell does, but files whose names begin with a dot match too, as in CoreDNS.
const MATCHING: glob::MatchOptions = glob::MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// Files and variables in memory, for tests. A folder exists as long as a file is in it; `a/..` is always
/// nothing.
///
/// ```
/// use corefile::{MemorySources, Sources};
///
/// let sources = MemorySources::new().with_file("conf/a.conf", "whoami\n").with_env("PORT", "53");
/// assert_eq!(sources.read("conf/a.conf".as_ref()).unwrap(), b"whoami\n");
/// assert_eq!(sources.env("PORT").as_deref(), Some("53"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemorySources {
    files: BTreeMap<PathBuf, Vec<u8>>,
    variables: BTreeMap<String, String>,
}

impl MemorySources {
    /// Returns sources without files or variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file; the folders above it exist from now on.
    #[must_use]
    pub fn with_file(mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(plain(&path.into()), content.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn with_env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }
}

impl Sources for MemorySources {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let path = plain(path);
        if let Some(content) = self.files.get(&path) {
            return Ok(content.clone());
        }
        let is_folder = self.files.keys().any(|file| file.starts_with(&path));
        Err(if is_folder { io::ErrorKind::IsADirectory } else { io::ErrorKind::NotFound }.into())
    }

    fn glob(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        let pattern = glob::Pattern::new(pattern)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let ancestors = self.files.keys().flat_map(|file| file.ancestors());
        let found: std::collections::BTreeSet<&Path> =
            ancestors.filter(|path| pattern.matches_path_with(path, MATCHING)).collect();
        Ok(found.into_iter().map(Path::to_path_buf).collect())
    }

    fn env(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

/// Returns `path` without `.` and `a/..`, so that two ways of writing one path are equal. Symbolic links are
/// not followed: a circle through one ends at the limit of depth.
pub(crate) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        let below = matches!(plain.components().next_back(), Some(Component::Normal(_)));
        match component {
            Component::CurDir => {}
            Component::ParentDir if below => {
                plain.pop();
            }
            _ => plain.push(component),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_and_memory_agree_on_files_folders_and_patterns() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("d")).unwrap();
        let mut memory = MemorySources::new();
        for name in ["d/b.conf", "d/a.conf", "d/.c.conf", "d/x.txt"] {
            std::fs::write(root.join(name), name).unwrap();
            memory = memory.with_file(root.join(name), name);
        }
        let pattern = format!("{}/d/*.conf", root.display());
        let expected: Vec<PathBuf> = ["d/.c.conf", "d/a.conf", "d/b.conf"].map(|name| root.join(name)).into();
        for sources in [&SystemSources as &dyn Sources, &memory] {
            assert_eq!(sources.glob(&pattern).unwrap(), expected);
            assert_eq!(sources.glob(&format!("{}/*.conf", root.display())).unwrap(), Vec::<PathBuf>::new());
            assert_eq!(sources.read(&root.join("d/a.conf")).unwrap(), b"d/a.conf");
            assert_eq!(sources.read(&root.join("d")).unwrap_err().kind(), io::ErrorKind::IsADirectory);
            assert_eq!(sources.read(&root.join("nope")).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn endless_file_is_refused() {
        let error = SystemSources.read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
