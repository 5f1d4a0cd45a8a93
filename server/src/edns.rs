//! The OPT record of a reply: what it holds, in which order of importance, and what goes first when room is short. RFC 6891.
//!
//! Nothing of the query's OPT is reflected but DO: an option is in a reply because this server has something to say.

use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};

/// The OPT record of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opt {
    /// The UDP payload that this server accepts.
    pub payload_size: u16,
    /// The upper eight bits of the rcode.
    pub rcode_high: u8,
    /// DO, as the client sent it.
    pub dnssec_ok: bool,
    options: Vec<(u16, Vec<u8>)>,
}

impl Opt {
    /// An OPT record without options.
    pub fn new(payload_size: u16, dnssec_ok: bool) -> Opt {
        Opt { payload_size, rcode_high: 0, dnssec_ok, options: Vec::new() }
    }

    /// Adds an option. Those added first are the last to go.
    pub fn push(&mut self, code: u16, value: Vec<u8>) {
        self.options.push((code, value));
    }

    /// Adds an option that a plugin made, unless its value cannot be encoded or is one of those that `engine.rs` alone decides on.
    pub fn push_option(&mut self, option: &EdnsOption) {
        let code = u16::from(EdnsCode::from(option));
        if let Ok(value) = Vec::<u8>::try_from(option)
            && ![crate::cookie::OPTION_CODE, NSID, KEEPALIVE, PADDING].contains(&code)
        {
            self.push(code, value);
        }
    }

    /// Adds extended errors, INFO-CODE and text, each once. RFC 8914 §2.
    pub fn push_errors<'a>(&mut self, errors: impl IntoIterator<Item = (u16, &'a str)>) {
        for (code, text) in errors.into_iter().take(EXTENDED_ERRORS_MAX) {
            let text = &text[..text.floor_char_boundary(EXTRA_TEXT_BYTES_MAX)];
            let mut value = code.to_be_bytes().to_vec();
            value.extend_from_slice(text.as_bytes());
            if !self.options.contains(&(EXTENDED_ERROR, value.clone())) {
                self.push(EXTENDED_ERROR, value);
            }
        }
    }

    /// Takes the texts off extended errors: they must not be why a reply is truncated. RFC 8914 §3.
    pub fn drop_texts(&mut self) {
        let errors = self.options.iter_mut().filter(|(code, _)| *code == EXTENDED_ERROR);
        errors.for_each(|(_, value)| value.truncate(2));
    }

    /// Drops options from the last on until the record has at most `room` bytes.
    pub fn fit(&mut self, room: usize) {
        if self.length() > room {
            self.drop_texts();
        }
        while self.length() > room && self.options.pop().is_some() {}
    }

    /// Whether an option with `code` is there.
    #[cfg(test)]
    pub fn has(&self, code: u16) -> bool {
        self.options.iter().any(|option| option.0 == code)
    }

    /// Its length in bytes.
    pub fn length(&self) -> usize {
        FIXED_BYTES + self.options.iter().map(|(_, value)| 4 + value.len()).sum::<usize>()
    }

    /// Appends the record to `message`.
    ///
    /// `pad` makes the message a multiple of `PADDING_BLOCK` bytes long, or as long as a message can be. RFC 8467 §4.1.
    pub fn write(&self, message: &mut Vec<u8>, pad: bool) {
        let unpadded = message.len() + self.length() + 4;
        let padding =
            unpadded.next_multiple_of(PADDING_BLOCK).min(usize::from(u16::MAX)).checked_sub(unpadded);
        let padding = padding.filter(|_| pad);
        let length = self.length() - FIXED_BYTES + padding.map_or(0, |padding| padding + 4);
        let u16_of =
            |length: usize| u16::try_from(length).expect("`fit` keeps it below the size of a message");
        message.extend_from_slice(&[0, 0, TYPE_OPT]);
        message.extend_from_slice(&self.payload_size.to_be_bytes());
        message.extend_from_slice(&[self.rcode_high, 0, if self.dnssec_ok { 0x80 } else { 0 }, 0]);
        message.extend_from_slice(&u16_of(length).to_be_bytes());
        for (code, value) in &self.options {
            message.extend_from_slice(&code.to_be_bytes());
            message.extend_from_slice(&u16_of(value.len()).to_be_bytes());
            message.extend_from_slice(value);
        }
        if let Some(padding) = padding {
            message.extend_from_slice(&PADDING.to_be_bytes());
            message.extend_from_slice(&u16_of(padding).to_be_bytes());
            message.resize(message.len() + padding, 0);
        }
    }
}

/// In which form a client wants the certificate of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateForm {
    /// The whole certificate.
    Full,
    /// The 33 bytes that stand for it.
    Reference,
}

impl CertificateForm {
    /// What the certificate option of a query asks for: nothing or a byte 1 or 3 the whole, 2 the reference.
    pub fn asked(value: &[u8]) -> Option<CertificateForm> {
        match value.first() {
            None | Some(1 | 3) => Some(CertificateForm::Full),
            Some(2) => Some(CertificateForm::Reference),
            Some(_) => None,
        }
    }
}

/// An OPT record up to its options.
const FIXED_BYTES: usize = 11;
const TYPE_OPT: u8 = 41;
/// RFC 5001
pub const NSID: u16 = 3;
/// RFC 7828
pub const KEEPALIVE: u16 = 11;
/// RFC 7830
pub const PADDING: u16 = 12;
/// RFC 8914
const EXTENDED_ERROR: u16 = 15;
/// Responses are padded to a multiple of this. RFC 8467 §4.1
pub const PADDING_BLOCK: usize = 468;
/// Extended errors in one reply.
const EXTENDED_ERRORS_MAX: usize = 4;
/// Bytes of an extended error's text.
const EXTRA_TEXT_BYTES_MAX: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(opt: &Opt, before: usize, pad: bool) -> Vec<u8> {
        let mut message = vec![0; before];
        opt.write(&mut message, pad);
        message.split_off(before)
    }

    #[test]
    fn record_is_written_as_the_rfc_says() {
        let mut opt = Opt::new(1232, true);
        opt.push(3, b"ns1".to_vec());
        opt.rcode_high = 1;
        assert_eq!(
            written(&opt, 40, false),
            b"\x00\x00\x29\x04\xd0\x01\x00\x80\x00\x00\x07\x00\x03\x00\x03ns1".to_vec()
        );
        assert_eq!(written(&opt, 40, false).len(), opt.length());
    }

    #[test]
    fn padded_message_is_a_multiple_of_the_block() {
        let opt = Opt::new(1232, false);
        for before in [12, 400, 452, 453, 454, 455, 468, 5000] {
            assert_eq!(
                (before + written(&opt, before, true).len()) % PADDING_BLOCK,
                0,
                "{before} bytes before"
            );
        }
        assert_eq!(65_510 + written(&opt, 65_510, true).len(), 65_535, "as long as a message can be");
    }

    #[test]
    fn texts_go_before_options_and_the_last_option_goes_first() {
        let mut opt = Opt::new(1232, false);
        opt.push(10, vec![1; 24]);
        opt.push(3, vec![2; 8]);
        opt.push_errors([(22, "no upstream answered")]);
        let whole = opt.length();
        opt.fit(whole);
        assert_eq!(opt.length(), whole);
        opt.fit(whole - 1);
        assert_eq!(opt.length(), 11 + 28 + 12 + 6);
        opt.fit(11 + 28 + 12 + 5);
        assert!(opt.has(10) && opt.has(3) && !opt.has(EXTENDED_ERROR));
        opt.fit(0);
        assert_eq!(opt.length(), FIXED_BYTES, "the record itself stays");
    }

    #[test]
    fn extended_errors_are_bounded_and_each_stands_once() {
        let mut opt = Opt::new(1232, false);
        opt.push_errors([(22, "a"), (22, "a")]);
        assert_eq!(opt.length(), 11 + 4 + 3);
        let mut opt = Opt::new(1232, false);
        opt.push_errors([(0, "é".repeat(500).as_str())]);
        assert_eq!(opt.length(), 11 + 4 + 2 + 160);
        let mut opt = Opt::new(1232, false);
        opt.push_errors((0..50).map(|code| (code, "")));
        assert_eq!(opt.length(), 11 + EXTENDED_ERRORS_MAX * 6);
    }

    #[test]
    fn plugins_do_not_make_cookies_or_padding() {
        let mut opt = Opt::new(1232, false);
        opt.push_option(&EdnsOption::Unknown(10, vec![1; 8]));
        opt.push_option(&EdnsOption::Unknown(12, vec![0; 8]));
        opt.push_option(&EdnsOption::Unknown(65_001, vec![1; 8]));
        assert_eq!(opt.length(), 11 + 12);
    }

    #[test]
    fn certificate_form_is_that_of_the_flag_byte() {
        assert_eq!(CertificateForm::asked(&[]), Some(CertificateForm::Full));
        assert_eq!(CertificateForm::asked(&[1]), Some(CertificateForm::Full));
        assert_eq!(CertificateForm::asked(&[3]), Some(CertificateForm::Full));
        assert_eq!(CertificateForm::asked(&[2]), Some(CertificateForm::Reference));
        assert_eq!(CertificateForm::asked(&[0]), None);
    }
}
