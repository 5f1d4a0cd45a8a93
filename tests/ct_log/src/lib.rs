//! A log of Certificate Transparency for tests: one store of entries, served by RFC 6962 and as static-ct tiles, honest or not.
