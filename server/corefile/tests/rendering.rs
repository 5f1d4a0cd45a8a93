//! How errors look to the operator: the whole text, to the blank.

mod support;

#[test]
fn all_errors_come_at_once_each_with_line_caret_and_hint() {
    let text = "\
(common) {
\tlgo {class}
}
example.org:53 grpc://example.com {
    import common
    cache{
        success 100
    }
    forwrad . 192.0.2.1   # typo
    log \"unclosed
}
. {
    import comon
    import zones.inc
    errors }
}
";
    let (corefile, diagnostics) = support::read(text, &[("zones.inc", "hosts {\n  192.0.2.1 a\n")]);
    let expected = "\
Corefile:2:2: error: unknown directive `lgo`
    2 | \tlgo {class}
      | \t^^^
hint: did you mean `log`?

Corefile:4:16: error: expected a known scheme, got `grpc://`
    4 | example.org:53 grpc://example.com {
      |                ^^^^^^^^^^^^^^^^^^
hint: DNS over gRPC is not offered; use `https://` or `quic://`

Corefile:6:10: error: expected a blank before `{` in `cache{`
    6 |     cache{
      |          ^
hint: put a blank before `{`, or quote the word if the brace belongs to it

Corefile:9:5: error: unknown directive `forwrad`
    9 |     forwrad . 192.0.2.1   # typo
      |     ^^^^^^^
hint: did you mean `forward`?

Corefile:10:9: error: expected a closing quote, got the end of the file
   10 |     log \"unclosed
      |         ^
hint: close it with `\"`

Corefile:13:12: error: expected a snippet or a file, found neither for `comon`
   13 |     import comon
      |            ^^^^^
hint: did you mean the snippet `common`?

Corefile:16:1: error: expected a zone, got a `}` that closes nothing
   16 | }
      | ^
hint: remove it, or look for a `{` that is missing above

zones.inc:1:7: error: expected a `}` for this `{`, got the end of the file
    1 | hosts {
      |       ^
hint: close the block with a `}` on a line of its own
";
    assert_eq!(corefile.render_all(&diagnostics), expected);
}

#[test]
fn quote_closed_by_a_later_one_is_traced_back() {
    let text = ". {\n    log \"a\n    errors\n    template IN A {\n        answer \"x y\"\n    }\n}\n";
    let (corefile, diagnostics) = support::read(text, &[]);
    let rendered = corefile.render(&diagnostics[0]);
    let expected = "\
Corefile:5:17: warning: the closing quote ends the word, what follows is another
    5 |         answer \"x y\"
      |                 ^
hint: the quote was opened at Corefile:2:9; is its end missing in that line?
";
    assert_eq!(rendered, expected);

    let (corefile, diagnostics) = support::read(". {\n    log \"a\n    errors \" \"b\n}\n", &[]);
    let rendered = corefile.render_all(&diagnostics);
    let hint =
        "hint: the quoted word at Corefile:2:9 goes on over several lines; is its closing quote missing?\n";
    assert!(rendered.contains(hint), "{rendered}");
}
