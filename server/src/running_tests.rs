//! Tests of replacing a configuration while it serves.

use std::net::Ipv4Addr;
use std::path::Path;

use corefile::Scheme;
use tempfile::TempDir;
use tokio::net::{TcpStream, UdpSocket};

use super::*;
use crate::config;
use crate::testing::{decode, key, query};

/// A server whose Corefile can be changed.
struct Server {
    dir: TempDir,
    running: Running,
    lasting: Lasting,
}

impl Server {
    fn new(corefile: &str) -> Server {
        let lasting = Lasting::default();
        let mut server =
            Server { dir: TempDir::new().unwrap(), running: Running::new(lasting.clone()), lasting };
        server.replace(corefile).unwrap();
        server
    }

    /// Takes another Corefile, as a reload does; `None` when it has errors.
    fn load(&self, corefile: &str) -> Option<Configuration> {
        let path: &Path = self.dir.path();
        std::fs::write(path.join("Corefile"), corefile).unwrap();
        config::load(&path.join("Corefile"), 0, &self.lasting).configuration
    }

    fn replace(&mut self, corefile: &str) -> Result<(), RunError> {
        let configuration = self.load(corefile).expect("the Corefile has no errors");
        self.running.replace(configuration, || Ok(()))
    }

    fn dns(&self) -> SocketAddr {
        self.running.address(&key(Scheme::Dns)).unwrap()
    }
}

async fn rcode_of(server: SocketAddr, name: &str) -> hickory_proto::op::ResponseCode {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.send_to(&query(1, name), server).await.unwrap();
    let mut buffer = [0; 512];
    let length = timeout(Duration::from_secs(10), socket.recv(&mut buffer)).await.unwrap().unwrap();
    decode(&buffer[..length]).response_code
}

use hickory_proto::op::ResponseCode::{NoError, Refused};

const ORG: &str = "example.org {\n bind 127.0.0.1\n whoami\n}\n";
const NET: &str = "example.net {\n bind 127.0.0.1\n whoami\n}\n";

#[tokio::test]
async fn replaced_configuration_answers_on_the_same_port() {
    let mut server = Server::new(ORG);
    let address = server.dns();
    assert_eq!(rcode_of(address, "example.org.").await, NoError);
    server.replace(NET).unwrap();
    assert_eq!(server.dns(), address);
    assert_eq!(rcode_of(address, "example.org.").await, Refused);
    assert_eq!(rcode_of(address, "example.net.").await, NoError);
}

#[tokio::test]
async fn broken_file_changes_nothing() {
    let server = Server::new(ORG);
    assert!(server.load("example.org {\n nosuch\n}\n").is_none());
    assert_eq!(rcode_of(server.dns(), "example.org.").await, NoError);
}

#[tokio::test]
async fn socket_that_cannot_be_opened_keeps_what_runs() {
    let mut server = Server::new(ORG);
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let error =
        server.replace(&format!("{NET}example.com:{port} {{\n bind 127.0.0.1\n whoami\n}}\n")).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot listen on dns://127.0.0.1:{port}: ")), "{error}");
    assert_eq!(rcode_of(server.dns(), "example.org.").await, NoError);
    assert_eq!(rcode_of(server.dns(), "example.net.").await, Refused);
}

#[tokio::test]
async fn http_service_that_cannot_be_opened_keeps_what_runs() {
    let mut server = Server::new(ORG);
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let with = NET.replace("whoami", &format!("whoami\n ready {}", taken.local_addr().unwrap()));
    assert!(matches!(server.replace(&with), Err(RunError::Admin(_))));
    assert_eq!(rcode_of(server.dns(), "example.org.").await, NoError);
}

#[tokio::test]
async fn refusal_to_give_up_privileges_starts_nothing() {
    let server = Server::new(ORG);
    let mut fresh = Running::new(Lasting::default());
    let configuration = server.load(NET).unwrap();
    let refused = fresh.replace(configuration, || Err("no user `nobody`".into()));
    assert!(matches!(refused, Err(RunError::Privileges(_))));
    assert!(fresh.addresses().is_empty());
}

#[test]
fn plugin_that_may_not_read_its_files_is_told_with_who_must_own_them() {
    let message = "opening state folder `s`: Permission denied (os error 13)".to_owned();
    let error = RunError::from(StartError { plugin: "byzantine-consensus", message });
    let text = error.to_string();
    assert!(text.starts_with("byzantine-consensus: opening state folder `s`: Permission denied"), "{text}");
    assert!(text.contains("must own the state folder"), "{text}");
}

#[tokio::test]
async fn listener_that_is_no_longer_configured_is_closed() {
    let mut server = Server::new(&format!("{ORG}example.org {{\n bind 127.0.0.2\n whoami\n}}\n"));
    let second = ListenerKey { address: Some("127.0.0.2".parse().unwrap()), ..key(Scheme::Dns) };
    let address = server.running.address(&second).unwrap();
    assert_eq!(rcode_of(address, "example.org.").await, NoError);
    server.replace(ORG).unwrap();
    assert!(server.running.address(&second).is_none());
    // The kernel closes the socket when the task that holds it has ended.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn addresses_are_told_with_the_ports_that_were_chosen() {
    let server = Server::new(&ORG.replace("whoami", "whoami\n ready 127.0.0.1:0"));
    let addresses = server.running.addresses();
    assert_eq!(addresses[0], format!("dns://{}", server.dns()));
    assert!(
        addresses[1].starts_with("http://127.0.0.1:") && addresses[1].ends_with("/ready"),
        "{addresses:?}"
    );
    assert!(!addresses[1].contains(":0/"));
}

#[tokio::test]
async fn stop_ends_all_tasks() {
    let server = Server::new(ORG);
    let tasks = server.running.tasks.clone();
    timeout(Duration::from_secs(10), server.running.stop()).await.unwrap();
    assert!(tasks.is_empty());
}
