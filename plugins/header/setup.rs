//! Reads `header`.

use std::sync::Arc;

use corefile::options::{Options, one_of};
use corefile::{Diagnostic, Directive, quote};

use super::handler::{Header, Rules};
use crate::setup::{Block, Context};

/// Puts `header` into the chain. Several directives are one, in file order; the last rule about a flag decides.
pub fn setup(
    directives: &[&Directive],
    block: &mut Block<'_>,
    _context: &Context,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut rules = Rules::default();
    let mut fine = true;
    for directive in directives {
        fine &= read(directive, &mut rules, diagnostics);
    }
    if fine {
        block.plugins.push(Arc::new(Header::new(rules)));
    }
}

fn read(directive: &Directive, rules: &mut Rules, diagnostics: &mut Vec<Diagnostic>) -> bool {
    let mut options = Options::new(directive, diagnostics);
    options.properties(&["query", "response", "set", "clear"], |line| {
        let set = match line.name() {
            "set" => Some(true),
            "clear" => Some(false),
            _ => line.required(one_of([("set", true), ("clear", false)])),
        };
        if let Some(set) = set {
            read_flags(line, set, rules);
        }
        Some(())
    });
    if directive.block.as_ref().is_none_or(Vec::is_empty) {
        let hint = "rules stand between braces, such as `response set ra`";
        options.error_with_hint(&directive.span, "expected at least one rule", hint);
    }
    options.finish()
}

/// `FLAG...` of a line about queries or answers.
fn read_flags(line: &mut Options<'_>, set: bool, rules: &mut Rules) {
    let of_query = line.name() == "query";
    if line.remaining() == 0 {
        let expected = if of_query { "`rd`" } else { "`aa` or `ra`" };
        let place = line.span().clone();
        line.error(&place, format!("expected {expected}, got the end of the line"));
    }
    while let Some(word) = line.word() {
        match (of_query, word.text.as_str()) {
            (true, "rd") => rules.recursion_desired = Some(set),
            (false, "aa") => rules.authoritative = Some(set),
            (false, "ra") => rules.recursion_available = Some(set),
            (true, _) => {
                let message = format!("expected `rd`, got {}", quote(&word.text));
                line.error_with_hint(
                    &word.span,
                    message,
                    "no other flag of a query means anything to what is behind",
                );
            }
            (false, _) => {
                let message = format!("expected `aa` or `ra`, got {}", quote(&word.text));
                line.error_with_hint(
                    &word.span,
                    message,
                    "the other flags say what was asked, or what the answer is",
                );
            }
        }
    }
}
