//! What an operator may write, and what is said of the rest.

use super::{MATERIALS, at, set_up, vectors};

/// What is said of these lines.
fn messages(lines: &str) -> Vec<String> {
    set_up(&vectors(), lines, at(super::AUGUST)).0
}

#[test]
fn every_option_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["log_list.json", "roots.pem", "crl/current.crl"] {
        let name = file.rsplit('/').next().unwrap();
        std::fs::copy(vectors().join(file), folder.path().join(name)).unwrap();
    }
    let lines = "mode flag\nmode enforce example.org example.net\nfail-closed example.org\nlog-list log_list.json\n\
        policy custom min_logs=3 long_after=90d\nroots mozilla roots.pem\nprivate-roots roots.pem\n\
        intermediates roots.pem\nrevocation require\ncrl current.crl http://crl.example.org/a.crl\nrefresh 1h\n\
        fetch crl.example.org *.example.net\nallow-private\naudit on\nmonitor example.org issuer \"Alder CA\"\n\
        monitor example.net\ncertspotter hooks\nprobe www.example.org mail.example.org:25\nprobe-period 1m\nstate state\n\
        certificates 8\nverdict-cache 100";
    let (messages, plugin, _) = set_up(folder.path(), lines, at(super::AUGUST));
    assert_eq!(messages, [""; 0]);
    let core = &plugin.unwrap().core;
    assert_eq!(core.settings.certificates, 8);
    assert_eq!(core.plan.probe_period, 60);
    assert_eq!((core.plan.zones.len(), core.plan.probes.len(), core.plan.crls.len()), (2, 2, 2));
    assert!(!folder.path().join("state").exists(), "nothing is opened");
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    let lines = |line: &str| format!("{line}\n{}", MATERIALS);
    for (line, expected) in [
        (
            "mode warn",
            "Corefile:3:6: error: ct-verify: mode: expected `off`, `flag` or `enforce`, got `warn`",
        ),
        ("mode flag\nmode off", "Corefile:4:1: error: ct-verify: mode: all names has a mode already"),
        (
            "policy google",
            "Corefile:3:8: error: ct-verify: policy: expected `chrome-2026`, `apple` or `custom:...`, got `google`",
        ),
        ("policy custom logs=2", "Corefile:3:8: error: ct-verify: policy: expected `min_logs`"),
        ("certificates 0", "Corefile:3:14: error: ct-verify: certificates: expected"),
        ("refresh 1s", "Corefile:3:9: error: ct-verify: refresh: expected"),
        ("fetch https://crl.example.org", "Corefile:3:7: error: ct-verify: fetch: expected a host"),
        ("probe 192.0.2.1", "Corefile:3:7: error: ct-verify: probe: expected a host and perhaps a port"),
        (
            "probe www.example.org\nprobe-period 10m1ms",
            "Corefile:4:14: error: ct-verify: probe-period: expected a time from 10 to 86400 seconds, got `10m1ms`",
        ),
        (
            "probe-period 1m",
            "Corefile:3:1: error: ct-verify: probe-period: expected a `probe` line, found none",
        ),
        (
            "monitor example.org",
            "Corefile:3:1: error: ct-verify: monitor: expected `audit on`, found `audit off`",
        ),
        (
            "certspotter hooks",
            "Corefile:3:1: error: ct-verify: certspotter: expected a `monitor` line, found none",
        ),
        ("intermediates none.pem", "Corefile:3:15: error: ct-verify: intermediates: cannot read `none.pem`"),
        (
            "intermediates log_list.json",
            "Corefile:3:15: error: ct-verify: intermediates: `log_list.json`: expected certificates in PEM, found none",
        ),
        (
            "crl roots.pem",
            "Corefile:3:5: error: ct-verify: crl: expected a revocation list in DER or PEM, `roots.pem` is none",
        ),
        (
            "crl ftp://example.org/a",
            "Corefile:3:5: error: ct-verify: crl: expected a file, `https://` or `http://`",
        ),
        ("private-roots", "ct-verify: private-roots: expected"),
        ("log-lists a", "Corefile:3:1: error: ct-verify: unknown property `log-lists`"),
    ] {
        let said = messages(&lines(line));
        assert!(said.iter().any(|said| said.contains(expected)), "{line}: {said:?}");
    }
}

#[test]
fn log_list_in_the_clear_or_of_another_form_is_refused() {
    let said = messages("log-list http://example.org/list.json");
    assert!(said[0].contains("expected a log list over TLS"), "{said:?}");
    assert_eq!(messages("allow-private\nlog-list http://example.org/list.json"), [""; 0]);
    let said = messages("log-list roots.pem");
    assert!(said[0].contains("log-list: `roots.pem`: expected a log list of schema version 3"), "{said:?}");
}

#[test]
fn two_blocks_may_not_share_a_state_folder() {
    ["a", "./a", "b/../a"].into_iter().for_each(second_block_may_not_use);
}

/// The state folder of the first block is `a`.
fn second_block_may_not_use(folder: &str) {
    let text = format!(
        ". {{\nct-verify {{\nstate a\n}}\n}}\nexample.org {{\nct-verify {{\nstate {folder}\n}}\n}}\n"
    );
    let sources = corefile::MemorySources::new().with_file("Corefile", text.as_str());
    let names = crate::registry::names();
    let options = corefile::ParseOptions { directives: Some(&names), ..Default::default() };
    let (tree, mut diagnostics) = corefile::parse("Corefile".as_ref(), &sources, &options);
    let context = crate::setup::Context {
        directory: std::env::temp_dir(),
        metrics: Default::default(),
        nodes: Default::default(),
        claims: Default::default(),
        fatal: Default::default(),
    };
    let count = |diagnostics: &mut Vec<corefile::Diagnostic>, number: usize| {
        crate::registry::set_up(&tree.blocks[number], &context, diagnostics).plugins.len()
    };
    assert_eq!((count(&mut diagnostics, 0), count(&mut diagnostics, 1)), (1, 0));
    let expected = format!("`{folder}` is in use by another block");
    assert!(diagnostics[0].to_string().contains(&expected), "{diagnostics:?}");
}

#[test]
fn stands_behind_consensus_and_before_every_source_of_answers() {
    let place = |name: &str| crate::registry::names().iter().position(|known| *known == name).unwrap();
    assert_eq!(place("ct-verify"), place("byzantine-consensus") + 1);
    assert_eq!(place("hosts"), place("ct-verify") + 1);
}
