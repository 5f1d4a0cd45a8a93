//! Tests of the HTTP services: what each path answers, and over a socket.

use std::sync::Mutex;

use async_trait::async_trait;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use plugins::{Next, Plugin, Query, ServeError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// A plugin that is ready when told to, and has one resource.
#[derive(Default)]
struct Scripted {
    missing: Mutex<Option<String>>,
}

#[async_trait]
impl Plugin for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    async fn serve(&self, _query: &Query, _next: Next) -> Result<plugins::Response, ServeError> {
        Err(ServeError::NoPlugin)
    }

    fn ready(&self) -> Result<(), String> {
        self.missing.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn api(&self, path: &str, query: &str) -> Option<(u16, String)> {
        (path == "/v1/things").then(|| (200, format!("\"{query}\"")))
    }

    fn change(&self, path: &str, query: &str) -> Option<(u16, String)> {
        (path == "/v1/things/move").then(|| (200, format!("\"moved {query}\"")))
    }
}

fn admin(services: &[Service]) -> (Admin, Arc<Scripted>) {
    let plugin = Arc::new(Scripted::default());
    let admin = Admin::new(Arc::new(Metrics::new()));
    let paths = admin.open(services).unwrap().paths;
    let chains = vec![Chain::new(vec![plugin.clone()])];
    admin.state.current.store(Arc::new(Current { paths, chains, lameduck: Duration::from_secs(5) }));
    (admin, plugin)
}

/// All services on port 0, which stands for one address.
fn all() -> [Service; 3] {
    let address = "127.0.0.1:0".parse().unwrap();
    [
        Service::Health { address, lameduck: Duration::ZERO },
        Service::Ready { address },
        Service::Metrics { address },
    ]
}

async fn get(admin: &Admin, target: &str) -> (u16, String) {
    ask(admin, Request::get(target), "192.0.2.1").await
}

/// What is answered to a request of `client`.
async fn ask(admin: &Admin, request: http::request::Builder, client: &str) -> (u16, String) {
    let configured = "127.0.0.1:0".parse().unwrap();
    let (request, ()) = request.body(()).unwrap().into_parts();
    let response: Response<Full<bytes::Bytes>> =
        serve::respond(&request, client.parse().unwrap(), configured, &admin.state);
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// A change as `quorate` asks for it.
fn post(target: &str) -> http::request::Builder {
    Request::post(target).header("host", "127.0.0.1:9153").header("quorate-operator", "yes")
}

#[tokio::test]
async fn ready_names_what_is_missing() {
    let (admin, plugin) = admin(&all());
    assert_eq!(get(&admin, "/ready").await, (200, "OK\n".into()));
    *plugin.missing.lock().unwrap() = Some("no quorum".into());
    assert_eq!(get(&admin, "/ready").await, (503, "scripted: no quorum\n".into()));
}

#[tokio::test]
async fn stopping_program_is_alive_and_not_ready() {
    let (admin, _) = admin(&all());
    assert_eq!(admin.begin_stop(), Duration::from_secs(5));
    assert_eq!(get(&admin, "/ready").await.0, 503);
    assert_eq!(get(&admin, "/health").await.0, 200);
}

#[tokio::test]
async fn plugins_answer_their_part_of_the_api() {
    let (admin, _) = admin(&all());
    assert_eq!(get(&admin, "/v1/things?name=a").await, (200, "\"name=a\"".into()));
    assert_eq!(get(&admin, "/v1/others").await.0, 404);
}

#[tokio::test]
async fn paths_are_served_only_where_they_are_configured() {
    let (admin, _) = admin(&all()[..1]);
    assert_eq!(get(&admin, "/health").await.0, 200);
    for path in ["/ready", "/metrics", "/v1/things", "/", "/page/dashboard.js"] {
        assert_eq!(get(&admin, path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn page_stands_where_the_api_does_and_changes_nothing() {
    let (admin, _) = admin(&all());
    let (status, page) = get(&admin, "/?name=www.example.org&type=A").await;
    assert!(status == 200 && page.starts_with("<!doctype html>"), "{status} {page}");
    assert_eq!(get(&admin, "/page/dashboard.js").await.0, 200);
    assert_eq!(ask(&admin, Request::head("/"), "192.0.2.1").await.0, 200);
    for path in ["/nosuch", "/page/nosuch.js", "/page/"] {
        assert_eq!(get(&admin, path).await, (404, "no such page\n".into()), "{path}");
    }
    for path in ["/", "/page/style.css"] {
        assert_eq!(
            ask(&admin, post(path), "127.0.0.1").await,
            (405, "only GET is answered\n".into()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn other_methods_are_refused() {
    let (admin, _) = admin(&all());
    for request in [Request::post("/health"), Request::put("/v1/things"), Request::delete("/v1/things/move")]
    {
        assert_eq!(ask(&admin, request, "127.0.0.1").await, (405, "only GET is answered\n".into()));
    }
}

#[tokio::test]
async fn operator_on_this_machine_changes_what_plugins_let_change() {
    let (admin, _) = admin(&all());
    let changed = ask(&admin, post("/v1/things/move?to=b"), "127.0.0.1").await;
    assert_eq!(changed, (200, "\"moved to=b\"".into()));
    assert_eq!(ask(&admin, post("/v1/things"), "127.0.0.1").await.0, 405);
    assert_eq!(ask(&admin, post("/v1/others"), "127.0.0.1").await.0, 404);
}

#[tokio::test]
async fn change_from_elsewhere_is_refused_with_the_reason() {
    let (admin, _) = admin(&all());
    let (status, body) = ask(&admin, post("/v1/things/move"), "192.0.2.1").await;
    assert_eq!(status, 403);
    assert!(body.starts_with(r#"{"error":"changes are made from the machine itself"#), "{body}");
    let form = Request::post("/v1/things/move").header("host", "127.0.0.1:9153");
    assert_eq!(ask(&admin, form, "127.0.0.1").await.0, 403);
}

#[tokio::test]
async fn change_is_not_made_by_reading() {
    let (admin, _) = admin(&all());
    let request = Request::get("/v1/things/move").header("quorate-operator", "yes");
    assert_eq!(ask(&admin, request, "127.0.0.1").await.0, 404);
}

#[tokio::test]
async fn change_is_answered_only_where_the_api_is_configured() {
    let (admin, _) = admin(&all()[..1]);
    assert_eq!(ask(&admin, post("/v1/things/move"), "127.0.0.1").await.0, 405);
}

#[tokio::test]
async fn operator_is_known_by_the_address_of_the_connection() {
    let mut admin = Admin::new(Arc::new(Metrics::new()));
    let opened = admin.open(&all()).unwrap();
    admin.replace(opened, vec![Chain::new(vec![Arc::new(Scripted::default())])]);
    let address = admin.listeners.values().next().unwrap().address;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /v1/things/move HTTP/1.1\r\nhost: {address}\r\nquorate-operator: yes\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\"moved \""), "{answer}");
}

#[tokio::test]
async fn service_answers_over_its_socket_until_it_is_no_longer_configured() {
    let mut admin = Admin::new(Arc::new(Metrics::new()));
    let opened = admin.open(&all()).unwrap();
    admin.replace(opened, Vec::new());
    assert_eq!(admin.addresses().len(), 3);
    let address = admin.listeners.values().next().unwrap().address;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("# EOF"), "{answer}");
    let opened = admin.open(&[]).unwrap();
    admin.replace(opened, Vec::new());
    assert!(admin.addresses().is_empty());
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
