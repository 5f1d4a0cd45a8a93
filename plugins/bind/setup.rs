//! Reads `bind`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use corefile::options::Options;
use corefile::{Diagnostic, Directive, Word, quote, suggest};

use super::interfaces;
use crate::setup::{Block, Context};

/// Sets the addresses to listen on. Several directives are taken together.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    _context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    // without a list of interfaces, their names are unknown and addresses work
    let interfaces = interfaces::addresses().unwrap_or_default();
    for directive in directives {
        read(directive, &interfaces, block, diagnostics);
    }
}

fn read(
    directive: &Directive,
    interfaces: &BTreeMap<String, Vec<IpAddr>>,
    block: &mut Block<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut options = Options::new(directive, diagnostics);
    let span = options.span().clone();
    let mut bound = addresses(&mut options, interfaces);
    let none_named = directive.args.is_empty();
    let excepted = options.properties(&["except"], |line| Some(addresses(line, interfaces))).concat();
    if none_named {
        options.error(&span, "expected addresses or names of interfaces, got the end of the line");
    }
    bound.retain(|address| !excepted.contains(address));
    if options.finish() {
        if bound.is_empty() {
            let message = "bind: no address is left after `except`";
            diagnostics.push(Diagnostic::error(&span, message));
        }
        for address in bound {
            if !block.settings.bind.contains(&address) {
                block.settings.bind.push(address);
            }
        }
    }
}

/// What the words that are left on the line stand for.
fn addresses(options: &mut Options<'_>, interfaces: &BTreeMap<String, Vec<IpAddr>>) -> Vec<IpAddr> {
    let mut found = Vec::new();
    while let Some(word) = options.word() {
        if let Ok(address) = word.text.parse() {
            found.push(address);
        } else {
            match interfaces.get(&word.text) {
                Some(addresses) if !addresses.is_empty() => found.extend(addresses),
                Some(_) => {
                    let message = format!("interface {} has no address", quote(&word.text));
                    options.error(&word.span, message);
                }
                None => unknown(options, word, interfaces),
            }
        }
    }
    found
}

fn unknown(options: &mut Options<'_>, word: &Word, interfaces: &BTreeMap<String, Vec<IpAddr>>) {
    let names: Vec<&str> = interfaces.keys().map(String::as_str).collect();
    let hint = match suggest(&word.text, &names) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("this machine has {}", names.join(", ")),
    };
    let message = format!("expected an IP address or the name of an interface, got {}", quote(&word.text));
    options.error_with_hint(&word.span, message, hint);
}
