//! Settings for a new cluster: a part of a cluster file, read by its rules.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use certificate::Cluster;
use certificate::cluster::{ClusterErrorKind, POLICIES_MAX, Policy, Settings, Template};
use support::{Fixture, wire};

fn settings(text: &str) -> Settings {
    match Template::parse(text, "settings.toml", 4) {
        Ok(Template::Settings(settings)) => settings,
        other => panic!("{other:?}"),
    }
}

fn errors(text: &str) -> Vec<String> {
    Template::parse(text, "settings.toml", 4).unwrap_err().iter().map(ToString::to_string).collect()
}

/// The fixture's cluster of four as if it were new.
fn fresh() -> Cluster {
    Cluster::new("example", 1, Fixture::four().cluster.members).unwrap()
}

fn made_with(settings: &Settings) -> Cluster {
    let mut cluster = fresh();
    settings.apply(&mut cluster);
    cluster
}

#[test]
fn no_settings_leave_the_defaults() {
    assert_eq!(made_with(&settings("")), fresh());
    assert_eq!(made_with(&Settings::default()), fresh());
}

#[test]
fn every_setting_reaches_the_cluster_file() {
    let cluster = made_with(&settings(
        "checkpoint-interval = 10\nbatch-entries = 5\nbatch-bytes = 8192\npipeline = 1\nmessage-size = 49_152\n\
         observation-window = \"1500ms\"\nhistory = \"1h\"\nmin-groups = 3\nttl-max = \"1d\"\n\
         [agreement]\n\"Example.ORG\" = \"strong\"\n\".\" = \"corroborated\"\n\
         [[replica]]\nid = 2\nname = \"ams\"\nupstream-group = \"isp-z\"\n[[replica]]\nid = 0\nupstream-group = \"isp-y\"",
    ));
    let read = Cluster::parse(&cluster.to_toml(), "cluster.toml").unwrap();
    assert_eq!(read, cluster);
    assert_eq!((read.checkpoint_interval, read.batch_entries, read.batch_bytes), (10, 5, 8192));
    assert_eq!((read.pipeline, read.message_size, read.min_groups), (1, 49_152, 3));
    assert_eq!((read.observation_window_ms, read.history_ms, read.ttl_max_s), (1500, 3_600_000, 86_400));
    assert_eq!(read.policies[&wire("example.org")], Policy::Strong);
    assert_eq!(read.policies[&wire(".")], Policy::Corroborated);
    let before = Fixture::four().cluster.members;
    assert_eq!(
        (read.members[2].name.as_str(), read.members[0].name.as_str()),
        ("ams", before[0].name.as_str())
    );
    assert_eq!(read.members[2].upstream_group, "isp-z");
    assert_eq!(read.group_names()[0], "isp-y");
}

#[test]
fn wrong_settings_are_told_with_their_place_and_what_to_do() {
    let text = "name = \"x\"\npipline = 2\nfaults = 2\nhistory = 10\n[agreement]\n\"a..org\" = \"strong\"\nexample.org = \"strong\"\n\
                \"b.org\" = \"dnssec\"\n\"c.org\" = \"strng\"\n[[replica]]\nid = 4\naddress = \"192.0.2.1:5380\"\n[[replica]]\nid = 1\n\
                public-key = \"x\"\n[[replica]]\nid = 1\nname = \"no name\"\n[[replica]]\nname = \"x\"";
    assert_eq!(
        errors(text),
        [
            "settings.toml:1:1: `name` is no setting: `--name` gives it; a whole cluster file also has `epoch`",
            "settings.toml:2:1: unknown key `pipline`; did you mean `pipeline`?",
            "settings.toml:3:1: `faults` is no setting: `--faults` gives it; a whole cluster file also has `epoch`",
            "settings.toml:4:11: history: expected a string, found a value of type integer",
            "settings.toml:6:1: zone `a..org`: expected a label between two dots, found none",
            "settings.toml:7:1: zone `example`: expected a policy; a zone with dots stands in quotes, as in \
             \"example.org.\" = \"strong\", found a value of type table",
            "settings.toml:8:11: policy `dnssec` needs a DNSSEC validator, which this version has not: nothing in the zone would be \
             answered; the strictest policy that it has is `strong`",
            "settings.toml:9:11: expected `strong`, `corroborated`, `records`, `dnssec`, `observe` or `bypass`, found `strng`; \
             did you mean `strong`?",
            "settings.toml:11:6: id: expected 0 to 3, for 4 replicas (`--replicas`), found `4`",
            "settings.toml:12:1: `address` is no setting: `--host` and `--base-port` give it",
            "settings.toml:15:1: `public-key` is no setting: every replica of a new cluster gets keys of its own",
            "settings.toml:17:6: id `1` is already used in line 14",
            "settings.toml:18:8: name: expected 1 to 63 letters, digits, `-`, `_` or `.`, found `no name`",
            "settings.toml:19:1: expected the key `id`, found none",
        ]
    );
}

#[test]
fn names_that_others_get_and_more_groups_than_replicas_are_refused() {
    let text = "min-groups = 5\n[[replica]]\nid = 0\nname = \"Replica-2\"\n[[replica]]\nid = 1\nname = \"replica-1\"";
    assert_eq!(
        errors(text),
        [
            "settings.toml:1:14: min-groups: expected a number from 1 to 4, found `5`",
            "settings.toml:4:8: name `Replica-2` is what replica 2 is called, which has no name here",
        ]
    );
    let swapped = "[[replica]]\nid = 0\nname = \"replica-2\"\n[[replica]]\nid = 2\nname = \"replica-0\"";
    assert_eq!(made_with(&settings(swapped)).members[2].name, "replica-0");
}

#[test]
fn limits_are_held_against_the_number_of_replicas() {
    let text = "batch-bytes = 8192";
    assert!(Template::parse(text, "settings.toml", 4).is_ok());
    let errors = Template::parse(text, "settings.toml", 31).unwrap_err();
    assert!(
        matches!(errors[..], [ref error] if matches!(error.kind, ClusterErrorKind::BatchTooSmall { replicas: 31, .. }))
    );
}

#[test]
fn whole_cluster_file_is_a_template() {
    let mut like = fresh();
    like.policies.insert(wire("example.org"), Policy::Observe);
    like.min_groups = 1;
    like.members[3].name = "fra".to_owned();
    let Ok(Template::Cluster(found)) = Template::parse(&like.to_toml(), "cluster.toml", 7) else { panic!() };
    assert_eq!(*found, like);
    let mut members = like.members.clone();
    members.iter_mut().for_each(|member| member.name = format!("replica-{}", member.id));
    let mut made = Cluster::new(&like.name, 1, members).unwrap();
    Settings::of(&like).apply(&mut made);
    assert_eq!(made, like);
}

#[test]
fn policy_that_needs_a_validator_is_read_by_verifiers_and_refused_by_replicas() {
    let mut cluster = fresh();
    cluster.policies.insert(wire("example.org"), Policy::Dnssec);
    let text = cluster.to_toml();
    assert_eq!(Cluster::parse(&text, "cluster.toml"), Ok(cluster));
    let errors = Cluster::parse_to_run(&text, "cluster.toml").unwrap_err();
    let line = text.lines().position(|line| line.ends_with("\"dnssec\"")).unwrap() + 1;
    assert_eq!((errors.len(), errors[0].line, errors[0].column), (1, line, 18));
    assert_eq!(errors[0].kind, ClusterErrorKind::NoValidator);
    let whole = Template::parse(&text, "cluster.toml", 4).unwrap_err();
    assert_eq!(whole, errors);
}

#[test]
fn policies_of_the_command_line_are_judged_as_those_of_the_file() {
    let mut chosen = settings("[agreement]\n\"b.org\" = \"observe\"");
    chosen.set_policy("Example.org", "strong").unwrap();
    chosen.set_policy(".", "corroborated").unwrap();
    let cluster = made_with(&chosen);
    assert_eq!(cluster.policies[&wire("example.org")], Policy::Strong);
    assert_eq!(cluster.policies[&wire(".")], Policy::Corroborated);
    for (zone, policy, told) in [
        ("example.ORG.", "bypass", "zone `example.ORG.` has a policy already"),
        ("b.org", "bypass", "zone `b.org` has a policy already"),
        ("a..org", "bypass", "zone `a..org`: expected a label between two dots, found none"),
        (
            "c.org",
            "bypas",
            "expected `strong`, `corroborated`, `records`, `dnssec`, `observe` or `bypass`, found `bypas`; did you mean `bypass`?",
        ),
    ] {
        assert_eq!(chosen.set_policy(zone, policy).unwrap_err().to_string(), told);
    }
    assert_eq!(chosen.set_policy("c.org", "dnssec"), Err(ClusterErrorKind::NoValidator));
}

#[test]
fn command_line_gives_no_more_policies_than_a_file_can_hold() {
    let mut chosen = Settings::default();
    let fit = (0..POLICIES_MAX + 1)
        .take_while(|i| chosen.set_policy(&format!("z{i}.org"), "strong").is_ok())
        .count();
    assert_eq!(fit, POLICIES_MAX - 1);
    assert_eq!(made_with(&chosen).policies.len(), POLICIES_MAX);
    chosen.set_policy(".", "strong").unwrap();
    assert_eq!(made_with(&chosen).policies.len(), POLICIES_MAX);
    assert!(chosen.set_policy("last.org", "strong").is_err());
}

#[test]
fn mistake_is_shown_below_its_line() {
    let errors = Template::parse("\thistory = 10", "settings.toml", 4).unwrap_err();
    assert_eq!(
        errors[0].render(),
        "settings.toml:1:12: history: expected a string, found a value of type integer\n    1 | \thistory = 10\n      | \t          ^"
    );
}
