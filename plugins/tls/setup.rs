//! Reads `tls`.

use corefile::options::{Options, path};
use corefile::{Diagnostic, Directive, Span};

use super::files::{check_pair, read_certificates, read_key, readable_by_others};
use crate::setup::{Block, Context, TlsFiles, once};

/// Sets certificate and key, which are read and checked here and read again by the listeners.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    _context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(directive) = once(directives, diagnostics) else {
        return;
    };
    let mut options = Options::new(directive, diagnostics);
    let certificate = options.required(path());
    let key = options.required(path());
    let (Some(certificate), Some(key)) = (certificate, key) else {
        options.finish();
        return;
    };
    let files = TlsFiles { certificate: block.root.join(certificate), key: block.root.join(key) };
    [&files.certificate, &files.key].into_iter().for_each(|file| block.settings.watch(file));
    check(&files, (&directive.args[0].span, &directive.args[1].span), &mut options);
    if options.finish() {
        block.settings.tls = Some(files);
    }
}

/// Checks the files, which are named at `places`.
fn check(files: &TlsFiles, places: (&Span, &Span), options: &mut Options<'_>) {
    let certificates = read_certificates(&files.certificate);
    let key = read_key(&files.key);
    if let Err(message) = &certificates {
        options.error_with_hint(
            places.0,
            message,
            "a PEM file: the server's certificate first, then its issuers",
        );
    }
    if let Err(message) = &key {
        options.error_with_hint(places.1, message, "a PEM file with one private key");
    }
    if let (Ok(certificates), Ok(key)) = (certificates, key)
        && let Err(message) = check_pair(certificates, key)
    {
        options.error(places.1, message);
    }
    if let Some(mode) = readable_by_others(&files.key) {
        let message = format!("others can read the key, its mode is {mode:04o}");
        options.warning(places.1, message, format!("chmod 600 {}", files.key.display()));
    }
}
