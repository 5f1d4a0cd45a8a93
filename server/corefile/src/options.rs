//! A reading aid for plugins: arguments and properties of one directive, with errors of one quality for all.
//!
//! A plugin declares each option once, by reading it. [`Options`] notes what was read, so that
//! [`Options::finish`] can say which arguments and properties nobody asked for. Reading goes on after an
//! error, so all come at once. Values are described by [`Value`]s: [`integer`], [`duration`], [`one_of`], ...
//! or a plugin's own [`Value::new`].
//!
//! ```
//! use std::{net::SocketAddr, time::Duration};
//!
//! use corefile::{Diagnostic, Directive, MemorySources, ParseOptions, has_errors, options::*, parse};
//!
//! #[derive(Clone, Copy, Debug, PartialEq)]
//! enum Policy { Random, Sequential }
//!
//! #[derive(Debug, PartialEq)]
//! struct Settings {
//!     from: String,
//!     to: Vec<SocketAddr>,
//!     policy: Policy,
//!     max_fails: u32,
//!     expire: Duration,
//!     force_tcp: bool,
//!     health_check: Option<(Duration, bool)>,
//! }
//!
//! /// `forward FROM TO... { policy NAME; max_fails N; expire TIME; force_tcp; health_check TIME [no_rec] }`
//! fn setup(directive: &Directive, diagnostics: &mut Vec<Diagnostic>) -> Option<Settings> {
//!     let mut options = Options::new(directive, diagnostics);
//!     let from = options.required(zone());
//!     let to = options.rest(1..=15, socket_address(53).named("an upstream"));
//!     let settings = Settings {
//!         from: from.unwrap_or_default(),
//!         to,
//!         policy: options
//!             .value("policy", one_of([("random", Policy::Random), ("sequential", Policy::Sequential)]))
//!             .unwrap_or(Policy::Random),
//!         max_fails: options.value("max_fails", integer(0..=u32::MAX)).unwrap_or(2),
//!         expire: options
//!             .value("expire", duration(Duration::from_secs(1)..=Duration::from_secs(3600)))
//!             .unwrap_or(Duration::from_secs(10)),
//!         force_tcp: options.flag("force_tcp"),
//!         health_check: options.property("health_check", |line| {
//!             let interval = line.required(duration(Duration::from_millis(100)..=Duration::from_secs(60)))?;
//!             Some((interval, line.keyword("no_rec")))
//!         }),
//!     };
//!     options.finish().then_some(settings)
//! }
//!
//! let text = "\
//! . {
//!     forward example.org 192.0.2.1 [2001:db8::1]:5353 {
//!         policy sequential
//!         health_check 500ms no_rec
//!     }
//!     forward . 192.0.2.300 {
//!         max_fails -1
//!         max_fials 3
//!         policy randon
//!         force_tcp yes
//!     }
//! }
//! ";
//! let sources = MemorySources::new().with_file("Corefile", text);
//! let (corefile, mut diagnostics) = parse("Corefile".as_ref(), &sources, &ParseOptions::default());
//! let forwards: Vec<_> = corefile.blocks[0].directives_named("forward").collect();
//!
//! let settings = setup(forwards[0], &mut diagnostics).unwrap();
//! assert_eq!(settings.to[1], "[2001:db8::1]:5353".parse().unwrap());
//! assert_eq!((settings.policy, settings.max_fails), (Policy::Sequential, 2));
//! assert_eq!(settings.health_check, Some((Duration::from_millis(500), true)));
//!
//! assert_eq!(setup(forwards[1], &mut diagnostics), None);
//! assert!(has_errors(&diagnostics));
//! let messages: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
//! assert_eq!(messages, [
//!     "Corefile:6:15: error: forward: expected an upstream, got `192.0.2.300`",
//!     "Corefile:9:16: error: forward: policy: expected `random` or `sequential`, got `randon`",
//!     "Corefile:7:19: error: forward: max_fails: expected a number from 0 to 4294967295, got `-1`",
//!     "Corefile:10:19: error: forward: force_tcp: expected the end of the line, got `yes`",
//!     "Corefile:8:9: error: forward: unknown property `max_fials`",
//! ]);
//! assert_eq!(diagnostics[1].hint.as_deref(), Some("did you mean `random`?"));
//! ```

use std::ops::RangeBounds;

use count::{describe_count, is_above};

use crate::{
    diagnostic::{Diagnostic, quote},
    suggest::suggest,
    tree::{Directive, Span, Word},
};

mod count;
mod network;
mod scalar;
mod value;

pub use network::{address, network_zones, socket_address, zone};
pub use scalar::{
    decimal, duration, duration_or_seconds, integer, on_off, one_of, path, percentage, seconds, size, text,
};
pub use value::{Mismatch, Value};

/// Reads one directive, or one of its properties: arguments from left to right, properties by name.
///
/// Every reader returns `None`, `false` or nothing both for what is absent and for what is wrong; the latter
/// leaves an error. [`Options::finish`] tells whether there was one.
pub struct Options<'a> {
    line: &'a Directive,
    /// `forward: max_fails: `, before every message.
    prefix: String,
    diagnostics: &'a mut Vec<Diagnostic>,
    /// Arguments read so far.
    taken: usize,
    /// Names of all properties asked for, in the order asked.
    declared: Vec<&'static str>,
    /// Set by readers that take the whole block, whatever its names.
    block_taken: bool,
    failed: bool,
}

impl<'a> Options<'a> {
    /// Returns a reader of `directive`, which puts errors into `diagnostics`.
    pub fn new(directive: &'a Directive, diagnostics: &'a mut Vec<Diagnostic>) -> Self {
        Self::with_prefix(directive, "", diagnostics)
    }

    fn with_prefix(line: &'a Directive, outer: &str, diagnostics: &'a mut Vec<Diagnostic>) -> Self {
        let prefix = format!("{outer}{}: ", line.name.text);
        Self { line, prefix, diagnostics, taken: 0, declared: Vec::new(), block_taken: false, failed: false }
    }

    // What there is.

    /// Returns the first word of the line: the directive's name, or the property's.
    pub fn name(&self) -> &'a str {
        &self.line.name.text
    }

    /// Returns where the line's first word stands.
    pub fn span(&self) -> &'a Span {
        &self.line.span
    }

    /// Returns the next argument without taking it.
    pub fn peek(&self) -> Option<&'a Word> {
        self.line.args.get(self.taken)
    }

    /// Returns how many arguments are left.
    pub fn remaining(&self) -> usize {
        self.line.args.len() - self.taken
    }

    // Errors of the plugin's own.

    /// Adds an error at `span`, the names of directive and property before `message`.
    pub fn error(&mut self, span: &Span, message: impl AsRef<str>) {
        self.push(Diagnostic::error(span, message.as_ref()));
    }

    /// Adds an error with a hint.
    pub fn error_with_hint(&mut self, span: &Span, message: impl AsRef<str>, hint: impl Into<String>) {
        self.push(Diagnostic::error(span, message.as_ref()).with_hint(hint));
    }

    /// Adds a warning with a hint; the directive stays usable.
    pub fn warning(&mut self, span: &Span, message: impl AsRef<str>, hint: impl Into<String>) {
        self.push(Diagnostic::warning(span, message.as_ref()).with_hint(hint));
    }

    fn push(&mut self, mut diagnostic: Diagnostic) {
        self.failed |= diagnostic.is_error();
        diagnostic.message.insert_str(0, &self.prefix);
        self.diagnostics.push(diagnostic);
    }

    /// Reads `word` as `value`, with an error if it is none.
    pub fn read<T>(&mut self, word: &Word, value: &Value<T>) -> Option<T> {
        match value.read(&word.text) {
            Ok((read, warning)) => {
                if let Some((message, hint)) = warning {
                    self.warning(&word.span, message, hint);
                }
                Some(read)
            }
            Err(mismatch) => {
                let message = format!("expected {}, got {}", value.expected(), quote(&word.text));
                match mismatch.hint.or_else(|| hint_for_empty(word)) {
                    Some(hint) => self.error_with_hint(&word.span, message, hint),
                    None => self.error(&word.span, message),
                }
                None
            }
        }
    }

    // Arguments, from left to right.

    /// Takes the next argument as a word.
    pub fn word(&mut self) -> Option<&'a Word> {
        let word = self.peek()?;
        self.taken += 1;
        Some(word)
    }

    /// Reads the next argument. Its absence is an error.
    pub fn required<T>(&mut self, value: Value<T>) -> Option<T> {
        let Some(word) = self.word() else {
            let message = format!("expected {}, got the end of the line", value.expected());
            self.error(&self.end(), message);
            return None;
        };
        self.read(word, &value)
    }

    /// Reads the next argument, if there is one.
    pub fn optional<T>(&mut self, value: Value<T>) -> Option<T> {
        let word = self.word()?;
        self.read(word, &value)
    }

    /// Reads the next argument if `is_meant` says that it is this one: `cache [TTL] [ZONES...]`.
    pub fn optional_if<T>(&mut self, is_meant: impl FnOnce(&str) -> bool, value: Value<T>) -> Option<T> {
        self.peek().filter(|word| is_meant(&word.text))?;
        self.optional(value)
    }

    /// Takes the next argument if it is the unquoted `keyword`.
    pub fn keyword(&mut self, keyword: &'static str) -> bool {
        let found = self.peek().is_some_and(|word| !word.quoted && word.text == keyword);
        self.taken += usize::from(found);
        found
    }

    /// Reads all arguments that are left. Other than `count` of them is an error; wrong ones are left out.
    pub fn rest<T>(&mut self, count: impl RangeBounds<usize>, value: Value<T>) -> Vec<T> {
        let words = &self.line.args[self.taken..];
        self.taken = self.line.args.len();
        if !count.contains(&words.len()) {
            let expected = format!("expected {} (each {})", describe_count(&count), value.expected());
            let place = match words.last() {
                Some(last) if is_above(&count, words.len()) => last.span.clone(),
                _ => self.end(),
            };
            self.error(&place, format!("{expected}, got {}", words.len()));
        }
        words.iter().filter_map(|word| self.read(word, &value)).collect()
    }

    /// The place behind the last word of the line.
    fn end(&self) -> Span {
        let last = self.line.args.last().unwrap_or(&self.line.name);
        Span { column: last.span.column + last.span.length, length: 1, ..last.span.clone() }
    }

    // Properties, by name.

    /// Reads the property `name` with `read`; twice is an error. Arguments and properties that `read` leaves
    /// are errors.
    pub fn property<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Options<'_>) -> Option<T>,
    ) -> Option<T> {
        let lines = self.lines_named(&[name]);
        for again in lines.iter().skip(1) {
            let message = format!("property {} is given twice", quote(name));
            self.error_with_hint(&again.span, message, format!("the first is at {}", lines[0].span));
        }
        self.read_line(lines.first()?, read)
    }

    /// Reads every property called one of `names`, in file order; [`Options::name`] tells which it is.
    pub fn properties<T>(
        &mut self,
        names: &[&'static str],
        mut read: impl FnMut(&mut Options<'_>) -> Option<T>,
    ) -> Vec<T> {
        let lines = self.lines_named(names);
        lines.into_iter().filter_map(|line| self.read_line(line, &mut read)).collect()
    }

    /// Reads the property `name`, which has one argument.
    pub fn value<T>(&mut self, name: &'static str, value: Value<T>) -> Option<T> {
        self.property(name, |line| line.required(value))
    }

    /// Reads the property `name`, which has `count` arguments of one kind. Without the property: no values.
    pub fn values<T>(
        &mut self,
        name: &'static str,
        count: impl RangeBounds<usize>,
        value: Value<T>,
    ) -> Vec<T> {
        self.property(name, |line| Some(line.rest(count, value))).unwrap_or_default()
    }

    /// Reads the property `name`, which has no arguments: whether it is there.
    pub fn flag(&mut self, name: &'static str) -> bool {
        self.property(name, |_| Some(())).is_some()
    }

    /// Reads every line of the block that no property claimed before, as `hosts` has them. Comes last.
    pub fn other_lines<T>(&mut self, mut read: impl FnMut(&mut Options<'_>) -> Option<T>) -> Vec<T> {
        self.block_taken = true;
        let declared = self.declared.clone();
        let others = self.block().iter().filter(|line| !declared.contains(&line.name.text.as_str()));
        others.filter_map(|line| self.read_line(line, &mut read)).collect()
    }

    fn block(&self) -> &'a [Directive] {
        self.line.block.as_deref().unwrap_or_default()
    }

    fn lines_named(&mut self, names: &[&'static str]) -> Vec<&'a Directive> {
        self.declared.extend(names);
        self.block().iter().filter(|line| names.contains(&line.name.text.as_str())).collect()
    }

    fn read_line<T>(
        &mut self,
        line: &Directive,
        read: impl FnOnce(&mut Options<'_>) -> Option<T>,
    ) -> Option<T> {
        let mut options = Options::with_prefix(line, &self.prefix, self.diagnostics);
        let read = read(&mut options);
        let fine = options.finish();
        self.failed |= !fine;
        read
    }

    /// Ends the reading: arguments and properties that were not asked for are errors. Returns whether there
    /// was no error.
    pub fn finish(mut self) -> bool {
        // After an error the arguments behind it were often not reached, and say nothing.
        if !self.failed
            && let Some(word) = self.word()
        {
            let message = format!("expected the end of the line, got {}", quote(&word.text));
            self.error(&word.span, message);
        }
        if self.block_taken {
            return !self.failed;
        }
        let unknown = self.block().iter().filter(|line| !self.declared.contains(&line.name.text.as_str()));
        for line in unknown.collect::<Vec<_>>() {
            let message = format!("unknown property {}", quote(&line.name.text));
            self.error_with_hint(&line.name.span, message, self.hint_for_unknown(&line.name.text));
        }
        !self.failed
    }

    fn hint_for_unknown(&self, name: &str) -> String {
        if self.declared.is_empty() {
            return format!("{} has no properties", quote(self.name()));
        }
        match suggest(name, &self.declared) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("it has {}", self.declared.join(", ")),
        }
    }
}

/// Adds an error for each directive called one of `names` that `directives` holds a second time.
///
/// For directives that a server block may hold once, such as `cache`.
pub fn once_per_block(directives: &[Directive], names: &[&str], diagnostics: &mut Vec<Diagnostic>) {
    for name in names {
        let mut found = directives.iter().filter(|directive| directive.name.text == *name);
        let Some(first) = found.next() else { continue };
        for again in found {
            let message = format!("{name}: expected at most once in a server block");
            let hint = format!("the first is at {}", first.span);
            diagnostics.push(Diagnostic::error(&again.span, message).with_hint(hint));
        }
    }
}

/// An empty word that was not written as `""` came out of a variable.
fn hint_for_empty(word: &Word) -> Option<String> {
    (word.text.is_empty() && !word.quoted).then(|| "is an environment variable not set?".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemorySources, ParseOptions, parse};

    /// Hands the only directive of a block that holds `text` to `read`; returns its result and the messages.
    fn with<T>(text: &str, read: impl FnOnce(&mut Options<'_>) -> T) -> (T, Vec<String>) {
        let sources = MemorySources::new().with_file("f", format!(". {{\n{text}\n}}\n"));
        let (corefile, mut diagnostics) = parse("f".as_ref(), &sources, &ParseOptions::default());
        diagnostics.clear();
        let mut options = Options::new(&corefile.blocks[0].directives[0], &mut diagnostics);
        let read = read(&mut options);
        let fine = options.finish();
        assert_eq!(fine, !diagnostics.iter().any(Diagnostic::is_error), "`finish` tells of errors");
        (read, diagnostics.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn arguments_are_read_from_left_to_right() {
        let (read, messages) = with("cache 30 example.org b", |options| {
            let ttl =
                options.optional_if(|text| text.starts_with(|c: char| c.is_ascii_digit()), seconds(1..=60));
            (ttl, options.rest(.., zone()))
        });
        assert_eq!(read, (Some(30), vec!["example.org.".to_owned(), "b.".to_owned()]));
        assert_eq!(messages, Vec::<String>::new());
        let (read, _) = with("cache a", |options| {
            let ttl =
                options.optional_if(|text| text.starts_with(|c: char| c.is_ascii_digit()), seconds(1..=60));
            (ttl, options.rest(.., zone()))
        });
        assert_eq!(read, (None, vec!["a.".to_owned()]));
    }

    #[test]
    fn missing_and_surplus_arguments_are_errors_at_their_place() {
        let (_, messages) = with("file", |options| options.required(path()));
        assert_eq!(messages, ["f:2:5: error: file: expected a path, got the end of the line"]);
        let (_, messages) = with("file a b", |options| options.required(path()));
        assert_eq!(messages, ["f:2:8: error: file: expected the end of the line, got `b`"]);
        let (_, messages) =
            with("forward .", |options| (options.word().is_some(), options.rest(1.., address())));
        assert_eq!(
            messages,
            ["f:2:10: error: forward: expected at least 1 argument (each an IP address), got 0"]
        );
        let (_, messages) = with("bind ::1 ::2", |options| options.rest(..=1, address()));
        assert_eq!(
            messages,
            ["f:2:10: error: bind: expected at most 1 argument (each an IP address), got 2"]
        );
    }

    #[test]
    fn surplus_is_not_said_behind_an_error() {
        let (_, messages) =
            with("x y 5", |options| options.required(integer(0..=9)).and_then(|_| options.word().cloned()));
        assert_eq!(messages, ["f:2:3: error: x: expected a number from 0 to 9, got `y`"]);
    }

    #[test]
    fn property_given_twice_is_an_error() {
        let (read, messages) = with("x {\n a 1\n a 2\n}", |options| options.value("a", integer(0..=9)));
        assert_eq!(read, Some(1));
        assert_eq!(messages, ["f:4:2: error: x: property `a` is given twice"]);
    }

    #[test]
    fn properties_of_several_names_keep_the_order_of_the_file() {
        let (read, messages) = with("acl {\n block net a\n allow\n block\n}", |options| {
            options.properties(&["allow", "block"], |line| {
                let words = line.rest(.., text()).len();
                Some(format!("{} {words}", line.name()))
            })
        });
        assert_eq!(read, ["block 2", "allow 0", "block 0"]);
        assert_eq!(messages, Vec::<String>::new());
    }

    #[test]
    fn properties_nest_and_name_the_whole_way_in_errors() {
        let (read, messages) = with("x {\n a {\n  b 10\n  c\n }\n}", |options| {
            options.property("a", |a| a.value("b", integer(0..=9)))
        });
        assert_eq!(read, None);
        assert_eq!(
            messages,
            [
                "f:4:5: error: x: a: b: expected a number from 0 to 9, got `10`",
                "f:5:3: error: x: a: unknown property `c`"
            ]
        );
    }

    #[test]
    fn unknown_properties_get_a_suggestion_or_the_list() {
        let mut hints = Vec::new();
        let sources = MemorySources::new().with_file("f", ". {\nx {\n max_fials 1\n zzz\n}\ny {\n a\n}\n}");
        let (corefile, mut diagnostics) = parse("f".as_ref(), &sources, &ParseOptions::default());
        let mut options = Options::new(&corefile.blocks[0].directives[0], &mut diagnostics);
        options.flag("force_tcp");
        options.value("max_fails", integer(0..=9));
        assert!(!options.finish());
        assert!(!Options::new(&corefile.blocks[0].directives[1], &mut diagnostics).finish());
        hints.extend(diagnostics.iter().filter_map(|diagnostic| diagnostic.hint.as_deref()));
        assert_eq!(
            hints,
            ["did you mean `max_fails`?", "it has force_tcp, max_fails", "`y` has no properties"]
        );
    }

    #[test]
    fn other_lines_are_those_that_no_property_claims() {
        let (read, messages) = with("hosts {\n 192.0.2.1 a b\n ttl 60\n 192.0.2.2 c\n}", |options| {
            let ttl = options.value("ttl", seconds(1..=65_535));
            let lines = options
                .other_lines(|line| Some(format!("{} {}", line.name(), line.rest(1.., zone()).join(" "))));
            (ttl, lines)
        });
        assert_eq!(read, (Some(60), vec!["192.0.2.1 a. b.".to_owned(), "192.0.2.2 c.".to_owned()]));
        assert_eq!(messages, Vec::<String>::new());
    }

    #[test]
    fn keyword_is_taken_only_where_it_stands_unquoted() {
        let (read, _) = with("x no_rec", |options| options.keyword("no_rec"));
        assert!(read);
        let (read, messages) = with("x \"no_rec\"", |options| options.keyword("no_rec"));
        assert!(!read && messages.len() == 1);
    }

    #[test]
    fn empty_word_of_a_variable_is_explained() {
        let sources = MemorySources::new().with_file("f", ". {\nx {$NOPE} \"\"\n}");
        let (corefile, _) = parse("f".as_ref(), &sources, &ParseOptions::default());
        let mut diagnostics = Vec::new();
        let mut options = Options::new(&corefile.blocks[0].directives[0], &mut diagnostics);
        assert_eq!(options.rest(2..=2, integer(0..=9)), Vec::<i32>::new());
        assert_eq!(diagnostics[1].hint, None);
        assert_eq!(diagnostics[0].hint.as_deref(), Some("is an environment variable not set?"));
    }

    #[test]
    fn warning_leaves_the_directive_usable() {
        let (read, messages) = with("x 2001:db8::1:53", |options| options.required(socket_address(53)));
        assert!(read.is_some());
        assert_eq!(
            messages,
            ["f:2:3: warning: x: `2001:db8::1:53` is an address without a port, `53` is its last part"]
        );
    }

    #[test]
    fn second_use_in_a_block_is_an_error_for_the_named_only() {
        let sources = MemorySources::new().with_file("f", ". {\nlog\ncache\nlog\ncache\ncache\n}");
        let (corefile, mut diagnostics) = parse("f".as_ref(), &sources, &ParseOptions::default());
        once_per_block(&corefile.blocks[0].directives, &["cache", "tls"], &mut diagnostics);
        let messages: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
        assert_eq!(
            messages,
            [
                "f:5:1: error: cache: expected at most once in a server block",
                "f:6:1: error: cache: expected at most once in a server block"
            ]
        );
    }
}
