//! The name of this machine.

/// The name of this machine, or `localhost` if it has none that can be read.
pub fn name() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let name = kernel.or_else(|_| std::fs::read_to_string("/etc/hostname")).unwrap_or_default();
    match name.trim() {
        "" | "(none)" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_one_word() {
        assert!(!name().is_empty() && !name().contains(char::is_whitespace), "{}", name());
    }
}
