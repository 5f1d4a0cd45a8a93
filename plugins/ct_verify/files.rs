//! Reads the files that the directive names, and says where it names one that is of no use.

use std::path::Path;
use std::sync::Arc;

use corefile::{Diagnostic, Span};
use ct_watch::bundle;
use ct_watch::inputs::{Inputs, Loaded};
use ct_watch::state::read_bounded;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor};
use transparency::log_list::{LOG_LIST_BYTES_MAX, LogList};
use transparency::revocation::{Crl, CrlSet, is_crl};
use transparency::roots::{
    INTERMEDIATES_MAX, Intermediates, ROOTS_MAX, RootKind, RootStore, anchors_of, certificates_from_pem,
};

use super::directive::{At, RootsWord, Words};
use crate::validator::CONTENT_BYTES_MAX;

/// What the files hold.
pub struct Files {
    pub roots: RootStore,
    /// Certificates of roots, as far as there are any: for signatures of revocation lists.
    pub root_certificates: Vec<CertificateDer<'static>>,
    pub intermediates: Vec<CertificateDer<'static>>,
    /// Log list, intermediates and revocation lists, as background work will have them.
    pub inputs: Inputs,
}

/// Reads files, relative to a folder.
pub struct Reader<'a> {
    pub root: &'a Path,
    pub diagnostics: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    /// Reads all; `None` when one is of no use, with a diagnostic for each.
    pub fn read(&mut self, words: &Words) -> Option<Files> {
        let before = self.diagnostics.len();
        let (roots, root_certificates) = self.roots(words);
        let intermediates: Vec<CertificateDer<'static>> = words
            .intermediates
            .iter()
            .flat_map(|(path, span)| self.certificates("intermediates", path, span, INTERMEDIATES_MAX))
            .collect();
        let log_list = words.log_list.as_ref().and_then(|place| match &place.at {
            At::File(path) => self.log_list(path, &place.span),
            At::Url(_) => None,
        });
        let lists: Vec<Vec<u8>> = words
            .crls
            .iter()
            .flat_map(|place| match &place.at {
                At::File(path) => self.lists(path, &place.span),
                At::Url(_) => Vec::new(),
            })
            .collect();
        let crls = CrlSet::new(lists.iter().map(|list| Crl::parse(list)));
        let bytes = bundle::encode(intermediates.iter().map(|one| &one[..]));
        let known = Intermediates::new(intermediates.iter().cloned());
        let inputs = Inputs {
            log_list,
            intermediates: Arc::new(Loaded::new(known, bytes)),
            crls: Arc::new(Loaded::new(crls, bundle::encode(lists.iter().map(Vec::as_slice)))),
        };
        let is_fine = self.diagnostics.len() == before;
        is_fine.then_some(Files { roots, root_certificates, intermediates, inputs })
    }

    fn roots(&mut self, words: &Words) -> (RootStore, Vec<CertificateDer<'static>>) {
        let mut anchors: Vec<(TrustAnchor<'static>, RootKind)> = Vec::new();
        let (mut certificates, mut names) = (Vec::new(), Vec::new());
        let mozilla =
            || webpki_roots::TLS_SERVER_ROOTS.iter().map(|anchor| (anchor.clone(), RootKind::Public));
        if words.roots.is_empty() {
            anchors.extend(mozilla());
            names.push("mozilla".to_owned());
        }
        for (word, span) in &words.roots {
            match word {
                RootsWord::Mozilla => {
                    anchors.extend(mozilla());
                    names.push("mozilla".to_owned());
                }
                RootsWord::Native => {
                    let found = rustls_native_certs::load_native_certs().certs;
                    // A store of an operating system may hold what is no root; it is passed over, as browsers do.
                    let of_system = found.iter().filter_map(|one| anchors_of(std::slice::from_ref(one)).ok());
                    let of_system: Vec<TrustAnchor<'static>> = of_system.flatten().collect();
                    if of_system.is_empty() {
                        let hint = "write `roots mozilla`, or name a file";
                        self.error("roots", span, "the system has no roots", Some(hint));
                    }
                    anchors.extend(of_system.into_iter().map(|anchor| (anchor, RootKind::Public)));
                    certificates.extend(found);
                    names.push("native".to_owned());
                }
                RootsWord::File(path) => {
                    let read = self.root_file("roots", path, span);
                    anchors.extend(read.1.into_iter().map(|anchor| (anchor, RootKind::Public)));
                    certificates.extend(read.0);
                    names.push(path.display().to_string());
                }
            }
        }
        for (path, span) in &words.private_roots {
            let read = self.root_file("private-roots", path, span);
            anchors.extend(read.1.into_iter().map(|anchor| (anchor, RootKind::Private)));
            certificates.extend(read.0);
            names.push(path.display().to_string());
        }
        (RootStore::new(names.join(", "), anchors), certificates)
    }

    fn root_file(
        &mut self,
        property: &str,
        path: &Path,
        span: &Span,
    ) -> (Vec<CertificateDer<'static>>, Vec<TrustAnchor<'static>>) {
        let certificates = self.certificates(property, path, span, ROOTS_MAX);
        match anchors_of(&certificates) {
            Ok(anchors) => (certificates, anchors),
            Err(error) => {
                self.error(property, span, &format!("`{}`: {error}", path.display()), None);
                Default::default()
            }
        }
    }

    fn certificates(
        &mut self,
        property: &str,
        path: &Path,
        span: &Span,
        most: usize,
    ) -> Vec<CertificateDer<'static>> {
        let Some(bytes) = self.file(property, path, span, BUNDLE_BYTES_MAX) else { return Vec::new() };
        certificates_from_pem(&bytes, most).unwrap_or_else(|error| {
            self.error(property, span, &format!("`{}`: {error}", path.display()), None);
            Vec::new()
        })
    }

    fn log_list(&mut self, path: &Path, span: &Span) -> Option<Arc<Loaded<LogList>>> {
        let bytes = self.file("log-list", path, span, LOG_LIST_BYTES_MAX)?;
        match LogList::parse(&bytes) {
            Ok(list) => Some(Arc::new(Loaded::new(list, bytes.into()))),
            Err(error) => {
                let why = std::error::Error::source(&error).map(|why| format!(": {why}")).unwrap_or_default();
                self.error("log-list", span, &format!("`{}`: {error}{why}", path.display()), None);
                None
            }
        }
    }

    /// The lists of a file: one in DER, or any number in PEM.
    fn lists(&mut self, path: &Path, span: &Span) -> Vec<Vec<u8>> {
        let Some(bytes) = self.file("crl", path, span, CONTENT_BYTES_MAX) else { return Vec::new() };
        let lists: Vec<Vec<u8>> = if bytes.first() == Some(&DER_SEQUENCE) {
            vec![bytes]
        } else {
            CertificateRevocationListDer::pem_slice_iter(&bytes).flatten().map(|der| der.to_vec()).collect()
        };
        if lists.is_empty() || !lists.iter().all(|list| is_crl(list)) {
            let message = format!("expected a revocation list in DER or PEM, `{}` is none", path.display());
            self.error("crl", span, &message, None);
            return Vec::new();
        }
        lists
    }

    fn file(&mut self, property: &str, path: &Path, span: &Span, bytes_max: usize) -> Option<Vec<u8>> {
        match read_bounded(&self.root.join(path), bytes_max) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                let hint = "relative paths start at the folder of the Corefile, or at `root`";
                self.error(property, span, &format!("cannot read `{}`: {error}", path.display()), Some(hint));
                None
            }
        }
    }

    fn error(&mut self, property: &str, span: &Span, message: &str, hint: Option<&str>) {
        let diagnostic = Diagnostic::error(span, format!("ct-verify: {property}: {message}"));
        self.diagnostics.push(match hint {
            Some(hint) => diagnostic.with_hint(hint),
            None => diagnostic,
        });
    }
}

/// The first byte of DER, which PEM never has.
const DER_SEQUENCE: u8 = 0x30;
/// How long a file with roots or intermediates may be: what replicas can hand one another, in PEM.
const BUNDLE_BYTES_MAX: usize = 2 * CONTENT_BYTES_MAX;
