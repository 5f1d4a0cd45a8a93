//! What the real CoreDNS parser did with 67 texts, and what ours must do with them: the same, or as the case
//! advises.

mod support;

use std::{collections::BTreeMap, fs};

use corefile::{Corefile, Diagnostic, Directive, MemorySources, ParseOptions, has_errors, parse};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    input: String,
    files: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    coredns: Outcome,
    advice: String,
}

#[derive(Deserialize)]
struct Outcome {
    ok: bool,
    blocks: Vec<ObservedBlock>,
}

#[derive(Deserialize)]
struct ObservedBlock {
    keys: Vec<String>,
    directives: BTreeMap<String, Vec<String>>,
}

/// The words that CoreDNS's parser was given as directives.
const DIRECTIVES: &[&str] = &["cache", "errors", "log", "rewrite", "template", "whoami"];

/// Cases advised `same` that CoreDNS's parser accepts, but the code behind it does not, or should not: the
/// keys are read here at once, and `a.org,b.org` is refused as the study of its keys asks.
const REFUSED_AS_KEYS: &[&str] = &["env unset key+port", "comma no space"];

fn cases() -> Vec<Case> {
    let Some(folder) = support::data("coredns") else { return Vec::new() };
    let text = fs::read_to_string(folder.join("corefile-grammar.jsonl")).expect("the cases can be read");
    text.lines().map(|line| serde_json::from_str(line).expect("a case a line")).collect()
}

fn read(case: &Case) -> (Corefile, Vec<Diagnostic>) {
    let mut sources = MemorySources::new().with_file("Corefile", case.input.as_str());
    for (path, content) in &case.files {
        sources = sources.with_file(path, content.as_str());
    }
    for (name, value) in &case.env {
        sources = sources.with_env(name, value);
    }
    let options = ParseOptions { directives: Some(DIRECTIVES), ..ParseOptions::default() };
    parse("Corefile".as_ref(), &sources, &options)
}

/// A block as CoreDNS stores it: words by directive, with their lines. Braces go without line: our tree does
/// not keep it.
type Stored = (Vec<String>, BTreeMap<String, Vec<String>>);

fn ours(corefile: &Corefile) -> Vec<Stored> {
    fn words(directive: &Directive, into: &mut Vec<String>) {
        let all = std::iter::once(&directive.name).chain(&directive.args);
        into.extend(all.map(|word| shown(&word.text, word.span.line)));
        if let Some(block) = &directive.block {
            into.push("{".to_owned());
            block.iter().for_each(|line| words(line, into));
            into.push("}".to_owned());
        }
    }
    let stored = |block: &corefile::Block| {
        let keys = block.keys.iter().map(|key| key.zone.clone()).collect();
        let mut directives: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for directive in &block.directives {
            words(directive, directives.entry(directive.name.text.clone()).or_default());
        }
        (keys, directives)
    };
    corefile.blocks.iter().map(stored).collect()
}

fn shown(text: &str, line: u32) -> String {
    if matches!(text, "{" | "}") { text.to_owned() } else { format!("{text}@{line}") }
}

fn theirs(blocks: &[ObservedBlock]) -> Vec<Stored> {
    let absolute = |key: &String| if key.ends_with('.') { key.clone() } else { format!("{key}.") };
    let word = |word: &String| {
        let (text, line) = word.rsplit_once('@').expect("words are `text@line`");
        shown(text, line.parse().expect("a line number"))
    };
    let stored = |block: &ObservedBlock| {
        let directives =
            block.directives.iter().map(|(name, words)| (name.clone(), words.iter().map(word).collect()));
        (block.keys.iter().map(absolute).collect(), directives.collect())
    };
    blocks.iter().map(stored).collect()
}

#[test]
fn cases_advised_same_give_the_tree_or_the_error_of_coredns() {
    for case in cases().iter().filter(|case| case.advice == "same") {
        let (corefile, diagnostics) = read(case);
        let accepted = case.coredns.ok && !REFUSED_AS_KEYS.contains(&case.name.as_str());
        let shown = corefile.render_all(&diagnostics);
        assert_eq!(!has_errors(&diagnostics), accepted, "{}: {shown}", case.name);
        if accepted {
            assert_eq!(ours(&corefile), theirs(&case.coredns.blocks), "{}", case.name);
        }
    }
}

#[test]
fn cases_advised_stricter_are_refused_or_warned_of() {
    for case in cases().iter().filter(|case| case.advice == "stricter") {
        let (corefile, diagnostics) = read(case);
        assert!(case.coredns.ok, "{}: CoreDNS refuses it too, it is not stricter", case.name);
        let only_warned = case.name == "adjacent quote";
        assert_eq!(has_errors(&diagnostics), !only_warned, "{}", case.name);
        if only_warned {
            assert_eq!(ours(&corefile), theirs(&case.coredns.blocks));
            assert_eq!(diagnostics.len(), 2);
        }
    }
}

#[test]
fn cases_advised_better_are_read_as_meant() {
    for case in cases().iter().filter(|case| case.advice == "better") {
        let (corefile, diagnostics) = read(case);
        let expected = match case.name.as_str() {
            "snippet twice in directive block" => "dns://.:53 { rewrite { x 1; x 1 } }",
            "snippet twice" => "dns://.:53 { log a; log a }",
            "one-line with directive" => "dns://.:53 { whoami }",
            "hash mid token" => {
                assert_eq!(diagnostics.len(), 1, "a warning");
                "dns://.:53 { log foo#bar }"
            }
            "quoted close brace alone" => {
                let messages = support::messages(&diagnostics);
                assert_eq!(
                    messages,
                    [
                        "Corefile:1:3: error: expected a `}` for this `{`, got the end of the file",
                        "Corefile:3:2: error: unknown directive `}`"
                    ]
                );
                "dns://.:53 { log; \"}\"; errors }"
            }
            other => panic!("what should `{other}` be read as?"),
        };
        assert_eq!(support::tree(&corefile), expected, "{}", case.name);
    }
}

#[test]
fn every_case_has_an_advice_that_is_tested() {
    let cases = cases();
    assert!(cases.iter().all(|case| ["same", "stricter", "better"].contains(&case.advice.as_str())));
    assert!(cases.is_empty() || cases.len() >= 67, "{} cases", cases.len());
}
