//! Parameters of a request: `name=www.example.org&type=A`, percent-encoded.

/// The first value of the parameter `wanted`, decoded; what is no UTF-8 becomes U+FFFD, which no name or number holds.
pub fn parameter(query: &str, wanted: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == wanted)
        .map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = "name=%5Fcertificate%2Ewww.example.org&type=A&name=other";
        assert_eq!(parameter(query, "name").as_deref(), Some("_certificate.www.example.org"));
        assert_eq!(parameter(query, "type").as_deref(), Some("A"));
        assert_eq!(parameter(query, "nam"), None);
        assert_eq!(parameter("n%61me=b", "name").as_deref(), Some("b"));
        assert_eq!(parameter("", "name"), None);
    }
}
