//! What takes long is done beside: neither a decision nor a wish waits for it, and decisions take effect in their order.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use transparency::content::encode_lists;
use transparency::digest::Sha256;
use transparency::operation::InputKind;

use super::agreeing::{idle, put, update};
use super::lists::{list, with_lists};
use super::{august_ms, vectors};
use crate::chain::Chain;
use crate::ct_verify::CtVerify;
use crate::ct_verify::in_force::Decided;
use crate::ct_verify::inputs::Input;
use crate::plugin::Plugin;
use crate::validator::Validator;

/// A runtime whose one thread for long work is taken until the sender goes.
fn busy() -> (Runtime, Sender<()>) {
    let runtime = Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1).enable_all().build();
    let runtime = runtime.unwrap();
    let (free, taken) = channel::<()>();
    runtime.spawn_blocking(move || taken.recv().is_err());
    (runtime, free)
}

/// Does this on a worker of the runtime.
fn on<T: Send + 'static>(runtime: &Runtime, work: impl Future<Output = T> + Send + 'static) -> T {
    runtime.block_on(async { tokio::spawn(work).await.unwrap() })
}

fn content(plugin: &CtVerify, names: &[&str]) -> Sha256 {
    let lists: Vec<Vec<u8>> = names.iter().map(|name| list(name)).collect();
    plugin.core.contents.put(Bytes::from(encode_lists(&lists)))
}

/// The digest of the lists in force, and whether they are read.
fn now(plugin: &CtVerify) -> (Sha256, bool) {
    let now = plugin.core.in_force.now(InputKind::Lists).unwrap();
    (now.digest, now.input.is_some())
}

#[test]
fn decision_takes_effect_at_once_and_none_overtakes_a_later_one() {
    let plugin = Arc::new(with_lists(""));
    let (first, second, third) = (
        content(&plugin, &["current"]),
        content(&plugin, &["root-good"]),
        content(&plugin, &["current", "root-good"]),
    );
    put(&plugin, InputKind::Lists, first, august_ms());
    assert_eq!(now(&plugin), (first, true), "without a runtime it is read here");
    let (runtime, free) = busy();
    let told = plugin.clone();
    on(&runtime, async move {
        put(&told, InputKind::Lists, second, august_ms() + 1);
        assert_eq!(now(&told), (second, false));
        put(&told, InputKind::Lists, third, august_ms() + 2);
    });
    assert_eq!(now(&plugin), (third, false));
    assert_eq!(plugin.core.missing(), [], "nobody is asked for what is being read");
    drop(free);
    let told = plugin.clone();
    on(&runtime, async move { idle(&told).await });
    assert_eq!(now(&plugin), (third, true));
}

#[test]
fn until_lists_in_force_are_read_answers_are_judged_by_those_before() {
    let plugin = Arc::new(with_lists("crl crl/current.crl"));
    let (before, after) = (content(&plugin, &["root-good"]), content(&plugin, &["current", "root-good"]));
    put(&plugin, InputKind::Lists, before, august_ms());
    let (runtime, free) = busy();
    let told = plugin.clone();
    on(&runtime, async move { put(&told, InputKind::Lists, after, august_ms() + 1) });
    let judged_by = |after_ms| plugin.core.in_force.judged_by(InputKind::Lists, august_ms() + after_ms);
    let digest = |input: Option<Input>| input.map(|input| input.digest());
    assert_eq!(digest(judged_by(0)), Some(before));
    assert_eq!(digest(judged_by(600_001)), None, "not for ever");
    drop(free);
    let told = plugin.clone();
    on(&runtime, async move { idle(&told).await });
    assert_eq!(digest(judged_by(0)), Some(after));
}

#[test]
fn content_that_is_read_too_late_is_not_in_force() {
    let plugin = with_lists("");
    let (first, second) = (Bytes::from(encode_lists(&[list("current")])), Sha256::of(b"later"));
    put(&plugin, InputKind::Lists, Sha256::of(&first), august_ms());
    let reading = plugin.core.in_force.begin_reading(&Sha256::of(&first)).unwrap();
    assert!(plugin.core.in_force.begin_reading(&Sha256::of(&first)).is_none(), "once at a time");
    put(&plugin, InputKind::Lists, second, august_ms() + 1);
    assert!(!reading.is_wanted());
    reading.end(Input::read(InputKind::Lists, first));
    assert_eq!(now(&plugin), (second, false));
}

#[test]
fn content_of_an_input_that_comes_back_is_kept() {
    let plugin = with_lists("crl crl/current.crl");
    let in_force = &plugin.core.in_force;
    let first = Input::Lists(plugin.core.own.materials().lists.clone().unwrap());
    let [second, third] = [Sha256::of(b"second"), Sha256::of(b"third")];
    let decide = |digest, input, after_ms| {
        let decided = Decided { digest, time_ms: august_ms() + after_ms, input };
        assert!(in_force.decide(InputKind::Lists, decided, august_ms() + after_ms));
    };
    decide(first.digest(), Some(first.clone()), 0);
    decide(second, None, 1);
    decide(third, None, 2);
    let judged_by = || in_force.judged_by(InputKind::Lists, august_ms() + 3).map(|input| input.digest());
    assert_eq!(judged_by(), Some(first.digest()), "the latest that is here");
    let is_judgeable = |digest| in_force.judgeable(InputKind::Lists, &digest, august_ms() + 3).is_some();
    assert!([first.digest(), second, third].into_iter().all(is_judgeable));
    decide(first.digest(), None, 3);
    assert_eq!(now(&plugin), (first.digest(), true));
}

#[test]
fn wishes_do_not_wait_for_the_merge_of_lists() {
    let plugin = Arc::new(with_lists("crl crl/current.crl"));
    let own = plugin.core.own.materials().lists.clone().unwrap().digest;
    let (runtime, free) = busy();
    let wishes = |at: u64| {
        let plugin = plugin.clone();
        on(&runtime, async move { plugin.core.wishes(at) })
    };
    let lists = update(InputKind::Lists, own);
    assert!(!wishes(august_ms()).contains(&lists));
    assert!(!wishes(august_ms() + 1).contains(&lists));
    drop(free);
    let told = plugin.clone();
    on(&runtime, async move { idle(&told).await });
    assert!(wishes(august_ms() + 2).contains(&lists));
}

#[test]
fn what_is_in_force_is_written_before_the_plugin_has_stopped() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["log_list.json", "roots.pem"] {
        std::fs::copy(vectors().join(file), folder.path().join(file)).unwrap();
    }
    let lines = format!("{}state state", super::MATERIALS);
    let plugin = Arc::new(super::plugin_at(folder.path(), &lines, super::AUGUST));
    let chain = Chain::new(vec![plugin.clone() as Arc<dyn Plugin>]);
    let (runtime, free) = busy();
    on(&runtime, async move {
        chain.start().unwrap();
        let digest = plugin.core.own.materials().trust.digest;
        put(&plugin, InputKind::Trust, digest, august_ms());
        chain.stop();
    });
    assert!(folder.path().join("state/in-force.json").exists());
    drop(free);
    runtime.shutdown_timeout(Duration::from_secs(20));
}
