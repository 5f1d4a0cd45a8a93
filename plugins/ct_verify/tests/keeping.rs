//! What outlives a restart, and what runs beside queries.

use std::path::Path;
use std::sync::Arc;

use transparency::operation::InputKind;

use super::agreeing::put;
use super::{MATERIALS, august_ms, plugin_at, vectors};
use crate::chain::Chain;
use crate::ct_verify::CtVerify;
use crate::plugin::Plugin;
use crate::rehearsal::{self, Script};
use crate::validator::Validator;

/// The plugin in a folder of its own, started in a chain.
fn started(folder: &Path) -> (Arc<CtVerify>, Chain) {
    for file in ["log_list.json", "roots.pem"] {
        std::fs::copy(vectors().join(file), folder.join(file)).unwrap();
    }
    let plugin = Arc::new(plugin_at(folder, &format!("{MATERIALS}state state"), super::AUGUST));
    let script = Script::new([Ok(rehearsal::answer(Vec::new()))]);
    let chain = Chain::new(vec![plugin.clone() as Arc<dyn Plugin>, script]);
    chain.start().unwrap();
    (plugin, chain)
}

#[tokio::test]
async fn input_in_force_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, chain) = started(folder.path());
    let own = plugin.core.own.materials();
    let digest = own.trust.digest;
    put(&plugin, InputKind::Trust, digest, august_ms());
    put(&plugin, InputKind::LogList, own.log_list.as_ref().unwrap().digest, august_ms());
    chain.stop();
    let (again, chain) = started(folder.path());
    for kind in [InputKind::Trust, InputKind::LogList] {
        let now = again.core.in_force.now(kind).unwrap();
        assert_eq!(Some(now.digest), own.input(kind).map(|input| input.digest()));
        assert!(now.input.is_some() && now.time_ms == august_ms());
    }
    assert_eq!(again.core.wishes(august_ms()), []);
    put(&again, InputKind::Trust, own.log_list.as_ref().unwrap().digest, august_ms());
    assert_eq!(
        again.core.in_force.now(InputKind::Trust).unwrap().digest,
        digest,
        "not later, so nothing new"
    );
    chain.stop();
}

#[tokio::test]
async fn file_of_the_state_folder_that_is_not_what_its_name_says_is_not_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, chain) = started(folder.path());
    let digest = plugin.core.own.materials().trust.digest;
    put(&plugin, InputKind::Trust, digest, august_ms());
    chain.stop();
    let file = folder.path().join(format!("state/in-force/{digest}"));
    let others = super::plugin("audit off").core.own.materials();
    std::fs::write(&file, &others.trust.bytes).unwrap();
    let (again, chain) = started(folder.path());
    assert!(again.core.in_force.now(InputKind::Trust).is_none());
    chain.stop();
}

#[tokio::test]
async fn started_plugin_judges_by_what_the_watch_holds() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, chain) = started(folder.path());
    let watched = plugin.core.background().unwrap().watch().inputs();
    let own = plugin.core.own.materials();
    assert_eq!(own.log_list.as_ref().unwrap().digest, watched.log_list.as_ref().unwrap().digest);
    assert!(Arc::ptr_eq(&own, &plugin.core.own.materials()), "nothing is made twice");
    let (status, events) = plugin.api("/v1/transparency/events", "").unwrap();
    assert_eq!(status, 200);
    assert!(events.starts_with("{\"events\":["), "{events}");
    assert_eq!(plugin.api("/v1/transparency/probes", "").unwrap().1, "{\"targets\":{}}");
    assert_eq!(plugin.api("/v1/transparencies", ""), None);
    chain.stop();
}
