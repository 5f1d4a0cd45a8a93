//! Tests of the page's files: their headers, and that the policy holds for what is in them.

use http_body_util::BodyExt;

use super::*;

/// The file at `path` for a client that has what these tags name.
fn ask(path: &str, known: &[&str]) -> Option<Response<Full<Bytes>>> {
    let headers = known.iter().map(|tag| (IF_NONE_MATCH, HeaderValue::from_str(tag).unwrap()));
    get(path, &headers.collect())
}

async fn body(response: Response<Full<Bytes>>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

#[test]
fn every_file_has_a_strict_policy_and_its_type() {
    for file in &FILES {
        let response = ask(file.path, &[]).unwrap();
        let said = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(response.status(), 200);
        assert_eq!(said("x-content-type-options"), "nosniff");
        assert_eq!(said("x-frame-options"), "DENY");
        assert_eq!(said("cache-control"), "no-cache");
        let policy = said("content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self';",
            "style-src 'self';",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(rule), "{rule}: {policy}");
        }
        assert!(
            !policy.contains("unsafe") && policy.contains("require-trusted-types-for 'script'"),
            "{policy}"
        );
        let ending = file.path.rsplit('.').next().unwrap();
        let expected = match ending {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(said("content-type"), expected, "{}", file.path);
    }
}

#[tokio::test]
async fn client_that_has_the_file_is_not_sent_it_again() {
    let first = ask("/", &[]).unwrap();
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert!(!body(first).await.is_empty());
    let weak = format!("\"other\", W/{tag}");
    for known in [tag.as_str(), weak.as_str(), "*"] {
        let again = ask("/", &["\"some\"", known]).unwrap();
        assert_eq!((again.status().as_u16(), again.headers()["etag"].to_str().unwrap()), (304, tag.as_str()));
        assert!(again.headers().contains_key("content-security-policy"));
        assert!(body(again).await.is_empty(), "{known}");
    }
    assert_eq!(ask("/", &["\"0123456789abcdef\""]).unwrap().status(), 200);
    assert_eq!(ask("/page/style.css", &[&tag]).unwrap().status(), 200, "another file has another tag");
}

#[test]
fn there_is_nothing_beside_the_files() {
    for path in ["/page", "/page/", "/page/index.html", "/page/../page/style.css", "/index.html", "//", ""] {
        assert!(ask(path, &[]).is_none(), "{path}");
    }
}

#[test]
fn files_hold_no_inline_script_or_style_and_name_no_other_host() {
    for file in &FILES {
        let text = file.text.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("://") && !text.contains("@import"), "{} names another host", file.path);
    }
    let page = FILES[0].text;
    for inline in ["style=", "<style", "javascript:", "<script>"] {
        assert!(!page.contains(inline), "`{inline}` in the page");
    }
    let handler = page.match_indices(" on").find(|(at, _)| is_handler(&page[at + 1..]));
    assert_eq!(handler, None, "a script in an attribute");
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.contains(r#"<script type="module" src="page/dashboard.js"></script>"#));
}

/// Whether the text begins with an attribute such as `onclick=`.
fn is_handler(text: &str) -> bool {
    let word: String = text.chars().take_while(char::is_ascii_lowercase).collect();
    text[word.len()..].starts_with('=')
}

#[test]
fn scripts_never_make_markup_or_code_of_text() {
    let makers = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "setHTML",
        "document.write",
        "DOMParser",
        "eval(",
        "Function(",
        "createContextualFragment",
        "srcdoc",
        "setAttribute(\"on",
        "setAttribute(\"style",
        "import(",
    ];
    for file in FILES.iter().filter(|file| file.content_type == SCRIPT) {
        for maker in makers {
            assert!(!file.text.contains(maker), "`{maker}` in {}", file.path);
        }
    }
}

#[test]
fn every_file_that_is_named_is_there() {
    for file in &FILES {
        // Scripts name their neighbours, the page names what is below it.
        let named = file.text.split(['"', '\'']).filter_map(|word| match word.strip_prefix("./") {
            Some(name) => Some(format!("/page/{name}")),
            None => word.strip_prefix("page/").map(|name| format!("/page/{name}")),
        });
        for path in named {
            assert!(FILES.iter().any(|other| other.path == path), "{} names {path}", file.path);
        }
    }
}

#[test]
fn files_stay_readable() {
    const LINES_MAX: usize = 400;
    for file in &FILES {
        assert!(file.text.lines().count() <= LINES_MAX, "{}", file.path);
    }
}
