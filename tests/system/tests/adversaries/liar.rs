//! A replica whose upstream lies to it: no message of it is wrong, so nothing is proven and nobody shuts it out; but nobody ever sees what it saw.

use std::net::Ipv4Addr;
use std::time::Duration;

use system_tests::trial::{Named, Trial};

use super::{CERTIFIED_PERCENT, has};

/// The same names for all, with a TTL that makes every one a slot again after a second.
const TRUTH: &str = "$ORIGIN example.org.\n$TTL 1\n@ IN SOA ns hostmaster 1 3600 600 86400 1\n@ IN NS ns\nns IN A 192.0.2.53\n* IN A 192.0.2.80\n";
const NAMES: usize = 6;

/// A name is stable after 30 s; then it takes 20 judged observations, and a reputation that sinks faster than what was earned before.
const NAMED_MAX: Duration = Duration::from_secs(240);

#[test]
fn liar_about_all_names_is_called_lying_by_every_honest_replica_and_is_not_shut_out() {
    let lies = TRUTH.replace("192.0.2.80", "192.0.2.66");
    let names: Vec<String> = (0..NAMES).map(|name| format!("name-{name}.example.org")).collect();
    let trial = Trial::of_liar(2, (TRUTH, &lies), &names, NAMED_MAX);
    let named = trial.named(|said| {
        said["is_byzantine"] == true && said["pattern"] == "lying" && has(said, "low-accuracy")
    });
    let Named { by, slots, seconds } = &named;
    println!("named by {by:?} after {slots} slots, {seconds:.1} s");
    assert!(*seconds <= NAMED_MAX.as_secs_f64(), "{named:?}");
    trial.slots_pass(20);
    for by in trial.honest() {
        let said = trial.assessment(by, 2).unwrap();
        assert!(said["quarantined"].is_null() && trial.connected(by) == Some(true), "{said}");
    }
    let asks = trial.verified();
    let certified: Vec<_> = asks.iter().filter(|ask| ask.is_certified()).collect();
    for ask in asks.iter().filter(|ask| ask.is_certified() || !ask.addresses.is_empty()) {
        assert_eq!(ask.addresses, [Ipv4Addr::new(192, 0, 2, 80)], "{ask:?}");
    }
    println!("{} of {} answers were certified in time", certified.len(), asks.len());
    assert!(certified.len() * 100 >= asks.len() * CERTIFIED_PERCENT, "of {}", asks.len());
}
