//! A browser that resolves names over HTTPS and nothing else.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use system_tests::chromium::Chromium;
use system_tests::cluster::Demo;
use transparency::skeleton::Skeleton;

const PAGE: &str = "<title>a page</title>";

#[test]
fn chromium_goes_where_a_quorum_says() {
    let demo = Demo::start(&[]);
    let port = serve_pages();
    let page = |name: &str| browse(&demo, &format!("http://{name}:{port}/"));
    // Nobody else knows the name, and the browser asks nobody else.
    let shown = page("here.example.org");
    assert!(shown.contains(PAGE), "{shown}");
    let shown = page("nosuch.example.org");
    assert!(!shown.contains(PAGE), "{shown}");
}

/// What Chromium makes of this address, when the first replica answers its questions.
fn browse(demo: &Demo, address: &str) -> String {
    let chromium = Chromium::default();
    let template = format!("https://127.0.0.1:{}/dns-query", demo.ports(0).https);
    let settings = serde_json::json!({ "dns_over_https": { "mode": "secure", "templates": template } });
    fs::write(chromium.profile().join("Local State"), settings.to_string()).unwrap();
    let certificate = CertificateDer::from_pem_file(demo.dir(0).join("tls.pem")).unwrap();
    let key = Skeleton::parse(&certificate).unwrap().key_hash().base64();
    chromium.open(address, &[format!("--ignore-certificate-errors-spki-list={key}")]).document
}

/// Serves the page on this machine to whoever comes, as long as the test runs; on which port.
fn serve_pages() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            thread::spawn(move || {
                let length = PAGE.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                // A browser opens connections that it does not use.
                if stream.read(&mut [0; 8192]).is_ok_and(|read| read > 0) {
                    let _gone = stream.write_all(format!("{head}{PAGE}").as_bytes());
                }
            });
        }
    });
    port
}
