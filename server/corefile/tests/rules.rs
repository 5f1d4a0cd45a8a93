//! The grammar, rule by rule. `support::read` knows which directives and variables there are.

mod support;

use corefile::{Diagnostic, MemorySources, ParseOptions, Severity, SystemSources, has_errors, parse};
use support::{messages, read, tree};

/// Asserts that `text` is read as `expected`, without a word of complaint.
#[track_caller]
fn reads(text: &str, expected: &str) {
    reads_with(text, &[], expected);
}

#[track_caller]
fn reads_with(text: &str, files: &[(&str, &str)], expected: &str) {
    let (corefile, diagnostics) = read(text, files);
    assert_eq!(messages(&diagnostics), Vec::<String>::new(), "{text}");
    assert_eq!(tree(&corefile), expected, "{text}");
}

/// Asserts that `text` gives exactly the diagnostics `expected`, without their file's name if that is
/// `Corefile`.
#[track_caller]
fn complains(text: &str, expected: &[&str]) {
    complains_with(text, &[], expected);
}

#[track_caller]
fn complains_with(text: &str, files: &[(&str, &str)], expected: &[&str]) {
    let (_, diagnostics) = read(text, files);
    let short = |diagnostic: &Diagnostic| diagnostic.to_string().trim_start_matches("Corefile:").to_owned();
    assert_eq!(diagnostics.iter().map(short).collect::<Vec<_>>(), expected, "{text}");
}

#[track_caller]
fn hint(text: &str, expected: &str) {
    let (corefile, diagnostics) = read(text, &[]);
    let found = diagnostics.iter().any(|diagnostic| diagnostic.hint.as_deref() == Some(expected));
    assert!(found, "{}", corefile.render_all(&diagnostics));
}

// Blocks and braces.

#[test]
fn nothing_but_blanks_and_comments_is_no_block() {
    for text in ["", " \n\t\n", "# hi\n", "\u{feff}"] {
        reads(text, "");
    }
}

#[test]
fn directives_keep_the_order_of_the_file() {
    reads(". {\n log a\n cache\n log b\n}", "dns://.:53 { log a; cache; log b }");
}

#[test]
fn brace_may_stand_on_the_next_line() {
    reads(".\n{\n cache\n {\n  success 1\n }\n}", "dns://.:53 { cache { success 1 } }");
}

#[test]
fn block_may_stand_on_one_line() {
    reads(". { whoami }", "dns://.:53 { whoami }");
    reads(". { }", "dns://.:53 {  }");
    reads(". { cache { success 1 } }", "dns://.:53 { cache { success 1 } }");
    reads(". { whoami\n} a.org { log\n}", "dns://.:53 { whoami }\ndns://a.org.:53 { log }");
}

#[test]
fn only_block_may_go_without_braces() {
    reads(".\nwhoami\nlog", "dns://.:53 { whoami; log }");
    reads(
        "a.org {\nlog\n}\n.\nwhoami\ncache {\nx\n}",
        "dns://a.org.:53 { log }\ndns://.:53 { whoami; cache { x } }",
    );
}

#[test]
fn quoted_words_are_never_structure() {
    reads(". {\n log \"{\" \"import\"\n}", "dns://.:53 { log \"{\" \"import\" }");
    complains(". {\n \"import\" x\n}", &["2:2: error: unknown directive `import`"]);
    complains(
        ". {\n log\n \"}\"\n errors\n",
        &[
            "1:3: error: expected a `}` for this `{`, got the end of the file",
            "3:2: error: unknown directive `}`",
        ],
    );
}

#[test]
fn braces_of_a_deeper_block_do_not_close_the_outer() {
    complains(
        ". {\ncache {\nsuccess 1\n}\n",
        &["1:3: error: expected a `}` for this `{`, got the end of the file"],
    );
    complains(". {\nwhoami\n}\n}\n", &["4:1: error: expected a zone, got a `}` that closes nothing"]);
}

#[test]
fn brace_needs_words_before_it() {
    complains("{ whoami }", &["1:1: error: expected a zone before `{`, got nothing"]);
    complains(". {\n{\nx\n}\n}", &["2:1: error: expected a directive before `{`, got nothing"]);
    complains(". {\ncache {\n{\n}\n}\n}", &["3:1: error: expected a property before `{`, got nothing"]);
}

#[test]
fn words_behind_the_brace_of_a_directive_are_refused() {
    complains(". {\n cache {\n } log\n}", &["3:4: error: expected the end of the line after `}`, got `log`"]);
}

#[test]
fn braces_glued_to_a_word_are_refused_and_understood() {
    let (corefile, diagnostics) = read(". {\n cache{\n  success 100\n }\n whoami}\n", &[]);
    assert_eq!(
        messages(&diagnostics),
        [
            "Corefile:2:7: error: expected a blank before `{` in `cache{`",
            "Corefile:5:8: error: expected a blank before `}` in `whoami}`"
        ]
    );
    assert_eq!(tree(&corefile), "dns://.:53 { cache { success 100 }; whoami }");
}

#[test]
fn unclosed_block_is_named_where_the_next_zone_stands() {
    hint(
        "a.org {\n whoami\n\nb.org {\n whoami\n}",
        "is this a zone? the block that begins at Corefile:1:1 is not closed before it",
    );
    hint(
        "a.org.\nwhoami\nb.org.\nwhoami",
        "is this a zone? the block at Corefile:1:1 has no braces, so all that follows belongs to it",
    );
}

#[test]
fn directive_behind_the_blocks_is_no_zone() {
    complains(". {\n whoami\n}\nlog\n", &["4:1: error: directive `log` stands outside of a server block"]);
    complains("log\nwhoami\n", &["1:1: warning: directive `log` stands outside of a server block"]);
}

// Keys.

#[test]
fn commas_and_blanks_separate_zones() {
    let expected = "dns://a.org.:53 dns://b.org.:53 { whoami }";
    for keys in ["a.org b.org", "a.org, b.org", "a.org ,b.org", "a.org , b.org", "a.org,\nb.org"] {
        if keys != "a.org ,b.org" {
            reads(&format!("{keys} {{\nwhoami\n}}"), expected);
        }
    }
    complains("a.org ,b.org {\n}", &["1:7: error: expected one zone, got `,b.org`"]);
    complains("a.org,b.org {\n}", &["1:1: error: expected one zone, got `a.org,b.org`"]);
    complains("a.org, {\n}", &["1:8: error: expected another zone after the comma of `a.org,`, got `{`"]);
    complains("a.org,", &["1:7: error: expected another zone after the comma, got the end of the file"]);
}

#[test]
fn port_belongs_to_its_own_zone_only() {
    reads("a b c:5353 {\n}", "dns://a.:53 dns://b.:53 dns://c.:5353 {  }");
}

#[test]
fn default_port_is_a_parameter() {
    let sources = MemorySources::new().with_file("Corefile", "a.org tls://b.org c.org:53 {\n}");
    let options = ParseOptions { default_port: 1053, ..ParseOptions::default() };
    let (corefile, _) = parse("Corefile".as_ref(), &sources, &options);
    assert_eq!(tree(&corefile), "dns://a.org.:1053 tls://b.org.:853 dns://c.org.:53 {  }");
}

#[test]
fn networks_expand_in_place() {
    reads(
        "10.0.0.0/15 a.org {\n}",
        "dns://0.10.in-addr.arpa.:53 dns://1.10.in-addr.arpa.:53 dns://a.org.:53 {  }",
    );
}

#[test]
fn empty_zone_is_refused_unless_a_variable_is_and_others_are_left() {
    complains("\"\" {\n}", &["1:1: error: expected a zone, got an empty word"]);
    complains(
        "{$NOPE} {\n}",
        &["1:1: error: expected a zone, got nothing", "1:1: warning: environment variable `NOPE` is not set"],
    );
    let (corefile, diagnostics) = read("a.org {$NOPE} {\n}", &[]);
    assert_eq!(tree(&corefile), "dns://a.org.:53 {  }");
    assert!(!has_errors(&diagnostics) && diagnostics.len() == 1);
}

#[test]
fn unusual_names_are_served_with_a_warning() {
    complains("\"{x\" {\n}", &["1:1: warning: `{x.` is no usual name of a zone"]);
    complains("*.example.org {\n}", &["1:1: warning: `*.example.org.` is no usual name of a zone"]);
    reads(
        "_tcp.example.org 32/27.2.0.192.in-addr.arpa {\n}",
        "dns://_tcp.example.org.:53 dns://32/27.2.0.192.in-addr.arpa.:53 {  }",
    );
}

#[test]
fn faulty_keys_do_not_hide_other_errors() {
    complains(
        "a..b grpc://c {\n bogus\n}\nd:99999 {\n}",
        &[
            "1:1: error: expected a zone, got `a..b`: a label is empty",
            "1:6: error: expected a known scheme, got `grpc://`",
            "2:2: error: unknown directive `bogus`",
            "4:1: error: expected a port from 0 to 65535, got `99999`",
        ],
    );
}

// Environment.

#[test]
fn variables_are_put_in_everywhere_and_stay_one_word() {
    reads_with(
        "{$ZONE}:{%PORT%}53 {\n {$WHO} {$A}{%A%} {$BRACE} \"x {$A}\"\n import {$A}.conf\n}"
            .replace("{%PORT%}", "")
            .replace("{$WHO}", "log")
            .as_str(),
        &[("a.conf", "errors\n")],
        "dns://example.org.:53 { log aa } \"x a\"; errors }",
    );
    reads(". {\n # {$NOPE}\n log {$} {%} {%%}\n}", "dns://.:53 { log {$} {%} {%%} }");
}

#[test]
fn unset_variable_is_empty_and_said() {
    let (corefile, diagnostics) = read(". {\n log {$NOPE:x}\n}", &[]);
    assert_eq!(tree(&corefile), "dns://.:53 { log  }");
    assert_eq!(diagnostics[0].severity, Severity::Warning);
    assert_eq!(
        diagnostics[0].hint.as_deref(),
        Some("there are no default values, the colon is part of the name")
    );
    complains(
        ". {\n {$NOPE}\n}",
        &[
            "2:2: error: expected a directive, got an empty word",
            "2:2: warning: environment variable `NOPE` is not set",
        ],
    );
}

// Snippets.

#[test]
fn snippet_stands_for_its_lines_each_time() {
    reads("(s) {\n log a\n}\n. {\n import s\n import s\n}", "dns://.:53 { log a; log a }");
    reads("(s) {\n x 1\n}\n. {\n cache {\n import s\n import s\n }\n}", "dns://.:53 { cache { x 1; x 1 } }");
    reads("(s) { log\n errors }\n. {\n import s\n}", "dns://.:53 { log; errors }");
    reads("(s) {\n a.org {\n whoami\n }\n}\nimport s", "dns://a.org.:53 { whoami }");
}

#[test]
fn snippet_may_use_one_that_is_declared_later_but_before_its_own_use() {
    reads("(a) {\n import b\n}\n(b) {\n log\n}\n. {\n import a\n}", "dns://.:53 { log }");
}

#[test]
fn snippet_is_judged_only_where_it_is_used_and_then_once() {
    reads("(s) {\n bogus\n}\n. {\n whoami\n}", "dns://.:53 { whoami }");
    complains(
        "(s) {\n bogus\n}\na {\n import s\n}\nb {\n import s\n}",
        &["2:2: error: unknown directive `bogus`"],
    );
}

#[test]
fn snippet_wins_over_a_file() {
    reads_with("(f) {\n log\n}\n. {\n import f\n}", &[("f", "errors\n")], "dns://.:53 { log }");
}

#[test]
fn snippet_needs_one_name_braces_and_to_be_declared_once_and_before() {
    complains("(s) (t) {\n log\n}", &["1:5: error: expected `{` after the name of a snippet, got `(t)`"]);
    complains("(my snippet) {\n}", &["1:5: error: expected `{` after the name of a snippet, got `snippet)`"]);
    complains(
        "(s)\n log\n errors\n. {\n}",
        &["1:1: error: expected `{` after the name of the snippet `(s)`"],
    );
    complains("(s) {\n}\n(s) {\n}", &["3:1: error: snippet `s` is declared twice"]);
    hint(
        ". {\n import s\n}\n(s) {\n}",
        "the snippet is declared later, at Corefile:4:1; move it above its use",
    );
    hint("(common) {\n}\n. {\n import comon\n}", "did you mean the snippet `common`?");
    hint(". {\n (s) {\n }\n}", "snippets are declared outside of server blocks");
}

// Imports.

#[test]
fn import_is_relative_to_the_file_that_holds_it() {
    reads_with(
        "import d/a.conf",
        &[("d/a.conf", ". {\n import b.inc\n import ../c.inc\n}"), ("d/b.inc", "log\n"), ("c.inc", "errors")],
        "dns://.:53 { log; errors }",
    );
}

#[test]
fn pattern_brings_its_files_in_the_order_of_their_names() {
    let files = [("d/b.conf", "b {\n}\n"), ("d/a.conf", "a {\n}\n"), ("d/sub/c.conf", "c {\n}\n")];
    reads_with("import d/*.conf", &files, "dns://a.:53 {  }\ndns://b.:53 {  }");
    reads_with("import d/?.conf", &files, "dns://a.:53 {  }\ndns://b.:53 {  }");
    complains_with("import e/*.conf", &files, &["1:8: warning: no file matches `e/*.conf`"]);
    for pattern in ["d/*/*.conf", "d/??.conf", "d/[ab].conf"] {
        let message =
            format!("1:8: error: expected at most one `*` and one `?` in a pattern, got `{pattern}`");
        complains_with(&format!("import {pattern}"), &files, &[&message]);
    }
}

#[test]
fn zones_may_come_from_a_file() {
    let files = [("k.inc", "a.org b.org")];
    reads_with("import k.inc\n{\n whoami\n}", &files, "dns://a.org.:53 dns://b.org.:53 { whoami }");
    complains_with(
        "import k.inc {\n whoami\n}",
        &files,
        &["1:14: error: expected one snippet, file or pattern after `import`, got `{`"],
    );
    complains_with(
        "import k.inc\n{\n}",
        &[("k.inc", "")],
        &["2:1: error: expected a zone before `{`, got nothing"],
    );
    complains_with(
        "import k.inc\n{\n}",
        &[("k.inc", "a {\n}")],
        &["2:1: error: expected a line that may have braces before `{`, got one that has its own"],
    );
    complains(
        "import *.none\n{\n whoami\n}",
        &["1:8: warning: no file matches `*.none`", "2:1: error: expected a zone before `{`, got nothing"],
    );
}

#[test]
fn files_of_the_system_are_found_whatever_their_folder_is_called() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("[a]*b");
    std::fs::create_dir_all(folder.join("zones")).unwrap();
    std::fs::write(folder.join("Corefile"), "import zones/*.conf\n").unwrap();
    std::fs::write(folder.join("zones/x.conf"), "x {\n import ../common\n}\n").unwrap();
    std::fs::write(folder.join("common"), "log\n").unwrap();
    let (corefile, diagnostics) = parse(&folder.join("Corefile"), &SystemSources, &ParseOptions::default());
    assert_eq!((tree(&corefile), diagnostics), ("dns://x.:53 { log }".to_owned(), vec![]));
}

#[test]
fn import_needs_exactly_one_thing_that_exists() {
    let after = "expected one snippet, file or pattern after `import`, got";
    complains("import a b", &[&format!("1:10: error: {after} also `b`")]);
    complains("import", &[&format!("1:1: error: {after} nothing")]);
    complains("import \"\"", &[&format!("1:8: error: {after} an empty word")]);
    complains(
        ". {\n import nope\n}",
        &["2:9: error: expected a snippet or a file, found neither for `nope`"],
    );
    complains_with("import d", &[("d/a", "")], &["1:8: error: cannot import `d`: it is a directory"]);
}

#[test]
fn import_is_a_plain_word_but_at_the_start_of_a_line() {
    reads(". {\n log import x\n}", "dns://.:53 { log import x }");
}

#[test]
fn imported_file_must_be_balanced() {
    complains_with(
        ". {\n import f.inc\n whoami\n}\n",
        &[("f.inc", "cache {\n")],
        &["f.inc:1:7: error: expected a `}` for this `{`, got the end of the file"],
    );
    complains_with(
        ". {\n import f.inc\n whoami\n}\n",
        &[("f.inc", "log\n}\n")],
        &["f.inc:2:1: error: expected a zone, got a `}` that closes nothing"],
    );
}

#[test]
fn cycles_are_named() {
    complains(
        "(a) {\n import b\n}\n(b) {\n import a\n}\n. {\n import a\n}",
        &["5:9: error: imports go in a circle: `(a)` -> `(b)` -> `(a)`"],
    );
    complains_with(
        "import d/f.conf",
        &[("d/f.conf", "(s) {\n import ../d/f.conf\n}\n. {\n import s\n}")],
        &["d/f.conf:2:9: error: imports go in a circle: `d/f.conf` -> `(s)` -> `d/f.conf`"],
    );
    complains("import Corefile", &["1:8: error: imports go in a circle: `Corefile` -> `Corefile`"]);
}

#[test]
fn errors_of_imported_files_carry_their_place() {
    complains_with(
        ". {\n import d/a.inc\n}",
        &[("d/a.inc", "\nbogus\n")],
        &["d/a.inc:2:1: error: unknown directive `bogus`"],
    );
}

#[test]
fn files_are_listed_once_the_corefile_first() {
    let (corefile, _) = read("a {\n import x\n import y\n import x\n}", &[("x", "log"), ("y", "errors")]);
    let paths: Vec<String> = corefile.files.iter().map(|file| file.path.display().to_string()).collect();
    assert_eq!(paths, ["Corefile", "x", "y"]);
}

#[test]
fn diagnostics_of_plugins_are_sorted_among_those_of_the_parser() {
    let (corefile, mut diagnostics) =
        read("a {\n import x\n bogus\n log\n}\nb {\n import x\n}", &[("x", "log")]);
    for block in corefile.blocks.iter().rev() {
        for directive in block.directives_named("log") {
            diagnostics.push(Diagnostic::warning(&directive.span, "log: seen"));
        }
    }
    corefile.sort(&mut diagnostics);
    assert_eq!(
        messages(&diagnostics),
        [
            "Corefile:3:2: error: unknown directive `bogus`",
            "Corefile:4:2: warning: log: seen",
            "x:1:1: warning: log: seen"
        ]
    );
}

#[test]
fn missing_corefile_is_an_error_without_a_line() {
    let (corefile, diagnostics) = parse("nope".as_ref(), &MemorySources::new(), &ParseOptions::default());
    assert_eq!(corefile.render_all(&diagnostics), "nope: error: cannot read the Corefile: no such file\n");
}

// Directives.

#[test]
fn unknown_directives_get_a_hint() {
    hint(". {\n forwrad . 192.0.2.1\n}", "did you mean `forward`?");
    hint(". {\n LOG\n}", "did you mean `log`?");
    hint(". {\n log#x\n}", "put a blank before `#` for a comment");
    hint(". {whoami\n}", "put blanks around braces");
}

#[test]
fn without_a_list_every_directive_is_accepted() {
    let sources = MemorySources::new().with_file("Corefile", ". {\n anything goes\n}");
    let (corefile, diagnostics) = parse("Corefile".as_ref(), &sources, &ParseOptions::default());
    assert_eq!((tree(&corefile), diagnostics), ("dns://.:53 { anything goes }".to_owned(), vec![]));
}

#[test]
fn line_end_is_never_continued_by_a_backslash() {
    complains(". {\n log a \\\n b\n}", &["3:2: error: unknown directive `b`"]);
}
