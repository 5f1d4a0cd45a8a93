//! A master file to records: directives, owners, TTLs, classes, types. RFC 1035 §5.1, RFC 2308 §4 for `$TTL`.
//!
//! Reads no file by itself: the text of an `$INCLUDE` comes from a function. Errors are collected, each with file, line and column.

use std::fmt;
use std::path::{Path, PathBuf};

use hickory_proto::rr::{Name, RData};
use hickory_proto::serialize::txt::parse_ttl;

use super::generate;
use super::lexer::{Entry, Lexer, Position, Word, unescape};
use super::name::{Key, key, name_of, parse_name};
use super::rdata::{rdata_of, rdata_wire};
use super::types::rtype_named;

/// How deep `$INCLUDE` may nest.
pub const INCLUDE_DEPTH_MAX: usize = 8;

/// How many errors of one zone are told.
pub const ERRORS_MAX: usize = 20;

/// Largest TTL: RFC 2181 §8.
const TTL_MAX: u32 = i32::MAX as u32;

/// One record of a zone, as it was written.
#[derive(Clone, Debug)]
pub struct ZoneRecord {
    /// Owner name in wire form, lower-case.
    pub owner: Key,
    /// Time to live in seconds.
    pub ttl: u32,
    /// Its type.
    pub rtype: u16,
    /// Its data in wire form.
    pub wire: Vec<u8>,
    /// Its data.
    pub data: RData,
    /// Which of the files, from 0, and where in it.
    pub place: (usize, Position),
}

impl ZoneRecord {
    /// The owner as a name.
    pub fn owner_name(&self) -> Name {
        name_of(&self.owner)
    }
}

/// What is wrong in a zone file, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ZoneError {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Line and column; none when the fault is in no single place.
    pub at: Option<Position>,
    /// What was expected, then what came.
    pub message: String,
}

impl fmt::Display for ZoneError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:", self.file.display())?;
        if let Some(at) = self.at {
            write!(formatter, "{}:{}:", at.line, at.column)?;
        }
        write!(formatter, " {}", self.message)
    }
}

/// Gives the text of an included file.
pub type Include<'a> = &'a dyn Fn(&Path) -> std::io::Result<String>;

/// The records of a zone file and its includes.
pub struct MasterFile {
    /// In file order.
    pub records: Vec<ZoneRecord>,
    /// The files that were read, first the one that was asked for.
    pub files: Vec<PathBuf>,
}

/// Reads the master file `text` of the zone `origin`. `file` names it in errors and is where relative includes start from.
///
/// Errors: the first `ERRORS_MAX` faults, in file order.
pub fn parse(
    text: &str,
    file: &Path,
    origin: &Name,
    include: Include<'_>,
) -> Result<MasterFile, Vec<ZoneError>> {
    let mut parser = Parser {
        include,
        files: Vec::new(),
        depth: 0,
        records: Vec::new(),
        errors: Vec::new(),
        owner: None,
        default_ttl: None,
        last_ttl: None,
    };
    parser.file(text, file.to_path_buf(), key(origin).to_vec());
    if parser.errors.is_empty() {
        Ok(MasterFile { records: parser.records, files: parser.files })
    } else {
        Err(parser.errors)
    }
}

struct Parser<'i> {
    include: Include<'i>,
    files: Vec<PathBuf>,
    depth: usize,
    records: Vec<ZoneRecord>,
    errors: Vec<ZoneError>,
    /// The owner that an indented entry means.
    owner: Option<Vec<u8>>,
    /// `$TTL`
    default_ttl: Option<u32>,
    /// The last TTL that a record stated.
    last_ttl: Option<u32>,
}

/// A fault in an entry, before the file is known.
struct Fault {
    at: Position,
    message: String,
}

fn fault(word: &Word<'_>, message: impl Into<String>) -> Fault {
    Fault { at: word.at, message: message.into() }
}

impl Parser<'_> {
    fn file(&mut self, text: &str, file: PathBuf, mut origin: Vec<u8>) {
        let file_index = self.files.len();
        self.files.push(file);
        let mut lexer = Lexer::new(text);
        while self.errors.len() < ERRORS_MAX {
            let read = match lexer.next_entry() {
                Ok(None) => break,
                Ok(Some(entry)) => self.entry(&entry, file_index, &mut origin),
                Err(error) => Err(Fault { at: error.at, message: error.message.to_owned() }),
            };
            if let Err(Fault { at, message }) = read {
                self.errors.push(ZoneError { file: self.files[file_index].clone(), at: Some(at), message });
            }
        }
    }

    fn entry(&mut self, entry: &Entry<'_>, file: usize, origin: &mut Vec<u8>) -> Result<(), Fault> {
        let first = entry.words[0];
        if first.quoted || !first.text.starts_with('$') {
            return self.record(entry, file, origin);
        }
        let arguments = &entry.words[1..];
        match first.text.to_ascii_uppercase().as_str() {
            "$ORIGIN" => {
                let [word] = arguments else {
                    return Err(fault(&first, "expected one name behind `$ORIGIN`"));
                };
                *origin = parse_name(word.text, origin).map_err(|message| fault(word, message))?;
                Ok(())
            }
            "$TTL" => {
                let [word] = arguments else { return Err(fault(&first, "expected one time behind `$TTL`")) };
                self.default_ttl = Some(ttl(word.text).ok_or_else(|| expected_ttl(word))?);
                Ok(())
            }
            "$INCLUDE" => self.include(&first, arguments, file, origin),
            "$GENERATE" => self.generate(&first, arguments, file, origin),
            other => Err(fault(&first, format!("unknown directive `{other}`"))),
        }
    }

    /// `$INCLUDE file [origin]`. The included file changes neither origin nor owner of this one. RFC 1035 §5.1.
    fn include(
        &mut self,
        at: &Word<'_>,
        arguments: &[Word<'_>],
        file: usize,
        origin: &[u8],
    ) -> Result<(), Fault> {
        let (path, origin) = match arguments {
            [path] => (path, origin.to_vec()),
            [path, name] => (path, parse_name(name.text, origin).map_err(|message| fault(name, message))?),
            _ => return Err(fault(at, "expected a file and at most an origin behind `$INCLUDE`")),
        };
        if self.depth >= INCLUDE_DEPTH_MAX {
            return Err(fault(at, format!("includes nest more than {INCLUDE_DEPTH_MAX} deep")));
        }
        let named = unescape(path.text).map_err(|message| fault(path, message))?;
        let named = String::from_utf8(named).map_err(|_| fault(path, "a file name is UTF-8"))?;
        let target = self.files[file].parent().unwrap_or(Path::new("")).join(named);
        let text = (self.include)(&target)
            .map_err(|error| fault(path, format!("cannot read `{}`: {error}", target.display())))?;
        let owner = self.owner.clone();
        self.depth += 1;
        self.file(&text, target, origin);
        self.depth -= 1;
        self.owner = owner;
        Ok(())
    }

    /// `$GENERATE first-last[/step] owner [ttl] [class] type data`.
    fn generate(
        &mut self,
        at: &Word<'_>,
        arguments: &[Word<'_>],
        file: usize,
        origin: &[u8],
    ) -> Result<(), Fault> {
        let [range, template @ ..] = arguments else {
            return Err(fault(at, "expected a range behind `$GENERATE`"));
        };
        let numbers = generate::range(range.text).map_err(|message| fault(range, message))?;
        for number in numbers {
            let texts = template
                .iter()
                .map(|word| generate::fill(word.text, number).map_err(|message| fault(word, message)));
            let texts: Vec<String> = texts.collect::<Result<_, _>>()?;
            let words = template.iter().zip(&texts).map(|(word, text)| Word { text, ..*word });
            let entry = Entry { words: words.collect(), indented: false };
            if entry.words.is_empty() {
                return Err(fault(range, "expected a record behind the range"));
            }
            self.record(&entry, file, origin)?;
        }
        Ok(())
    }

    fn record(&mut self, entry: &Entry<'_>, file: usize, origin: &[u8]) -> Result<(), Fault> {
        let mut words = entry.words.as_slice();
        if !entry.indented {
            let owner = parse_name(words[0].text, origin).map_err(|message| fault(&words[0], message))?;
            self.owner = Some(owner);
            words = &words[1..];
        }
        let last = entry.words[entry.words.len() - 1];
        let Some(owner) = &self.owner else {
            return Err(fault(&last, "expected an owner name before the first record"));
        };
        let owner: Key = owner.to_ascii_lowercase().into();
        let (stated_ttl, rtype, data) = head(words, &last)?;
        let wire = rdata_wire(rtype, data, origin)
            .and_then(|wire| rdata_of(rtype, &wire).map(|rdata| (wire, rdata)));
        let (wire, rdata) =
            wire.map_err(|error| fault(data.get(error.word).unwrap_or(&last), error.message))?;
        let ttl = match stated_ttl.or(self.default_ttl).or(self.last_ttl) {
            Some(ttl) => ttl,
            None => soa_minimum(&rdata)
                .ok_or_else(|| fault(&last, "no TTL: state one, or `$TTL` before this record"))?,
        };
        if stated_ttl.is_some() || self.last_ttl.is_none() {
            self.last_ttl = Some(ttl);
        }
        self.records.push(ZoneRecord {
            owner,
            ttl,
            rtype,
            wire,
            data: rdata,
            place: (file, entry.words[0].at),
        });
        Ok(())
    }
}

/// TTL, type and data words of a record: `[TTL] [class] type data` or `[class] [TTL] type data`.
fn head<'w, 't>(words: &'w [Word<'t>], last: &Word<'_>) -> Result<(Option<u32>, u16, &'w [Word<'t>]), Fault> {
    let mut stated_ttl = None;
    let mut class_seen = false;
    for (index, word) in words.iter().enumerate() {
        if word.text.starts_with(|first: char| first.is_ascii_digit()) && stated_ttl.is_none() {
            stated_ttl = Some(ttl(word.text).ok_or_else(|| expected_ttl(word))?);
            continue;
        }
        match word.text.to_ascii_uppercase().as_str() {
            "IN" | "CLASS1" if !class_seen => class_seen = true,
            "CH" | "HS" | "CS" => return Err(fault(word, "records here are of class IN")),
            name => {
                let rtype = rtype_named(name)
                    .ok_or_else(|| fault(word, format!("expected a record type, got `{}`", word.text)))?;
                return Ok((stated_ttl, rtype, &words[index + 1..]));
            }
        }
    }
    Err(fault(last, "expected a record type, got the end of the record"))
}

fn ttl(text: &str) -> Option<u32> {
    parse_ttl(text).ok().filter(|seconds| *seconds <= TTL_MAX)
}

fn expected_ttl(word: &Word<'_>) -> Fault {
    fault(word, format!("expected a TTL from 0 to {TTL_MAX} seconds, got `{}`", word.text))
}

fn soa_minimum(data: &RData) -> Option<u32> {
    match data {
        RData::SOA(soa) => Some(soa.minimum),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, Vec<ZoneError>> {
        let origin = Name::from_ascii("example.org.").expect("a name");
        let include = |path: &Path| match path.to_str() {
            Some("zones/part") => Ok("x A 192.0.2.9\n".to_owned()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        let file = parse(text, Path::new("zones/db"), &origin, &include)?;
        Ok(file
            .records
            .iter()
            .map(|record| {
                format!(
                    "{} {} {} {}",
                    name_of(&record.owner),
                    record.ttl,
                    record.data.record_type(),
                    record.data
                )
            })
            .collect())
    }

    fn first_error(text: &str) -> String {
        read(text).expect_err("malformed")[0].to_string()
    }

    #[test]
    fn owners_ttls_and_origins_carry_over_as_rfc_1035_says() {
        let records = read(
            "$TTL 1h\n@ IN A 192.0.2.1\n 60 A 192.0.2.2\nwww A 192.0.2.3\n$ORIGIN sub\nA 1m IN A 192.0.2.4\nb.example.org. IN 2m A 192.0.2.5\n",
        );
        assert_eq!(
            records.expect("well-formed"),
            [
                "example.org. 3600 A 192.0.2.1",
                "example.org. 60 A 192.0.2.2",
                "www.example.org. 3600 A 192.0.2.3",
                "a.sub.example.org. 60 A 192.0.2.4",
                "b.example.org. 120 A 192.0.2.5",
            ]
        );
    }

    #[test]
    fn without_a_ttl_directive_the_last_stated_ttl_holds() {
        let records = read("a 60 A 192.0.2.1\nb A 192.0.2.2\n").expect("well-formed");
        assert_eq!(records[1], "b.example.org. 60 A 192.0.2.2");
        assert!(first_error("a A 192.0.2.1").contains("no TTL"));
        assert!(
            read("@ SOA ns host 1 2 3 4 77\n").expect("well-formed")[0].starts_with("example.org. 77 SOA")
        );
    }

    #[test]
    fn an_include_changes_neither_origin_nor_owner() {
        let records = read("$TTL 5\na A 192.0.2.1\n$INCLUDE part sub\n A 192.0.2.2\n").expect("well-formed");
        assert_eq!(
            records,
            [
                "a.example.org. 5 A 192.0.2.1",
                "x.sub.example.org. 5 A 192.0.2.9",
                "a.example.org. 5 A 192.0.2.2"
            ]
        );
    }

    #[test]
    fn includes_that_never_end_are_refused() {
        let reads = std::cell::Cell::new(0);
        let include = |_: &Path| {
            reads.set(reads.get() + 1);
            Ok("$INCLUDE self\n".to_owned())
        };
        let errors =
            parse("$INCLUDE self\n", Path::new("zones/db"), &Name::root(), &include).err().expect("errors");
        assert_eq!(errors[0].to_string(), "zones/self:1:1: includes nest more than 8 deep");
        assert_eq!(reads.get(), INCLUDE_DEPTH_MAX);
    }

    #[test]
    fn errors_name_file_line_and_column_and_all_are_told() {
        let errors = read("$TTL 5\na A 192.0.2.1\nb AA 192.0.2.1\nc MX ten mail\n$INCLUDE gone\n")
            .expect_err("malformed");
        let texts: Vec<String> = errors.iter().map(ZoneError::to_string).collect();
        assert_eq!(texts[0], "zones/db:3:3: expected a record type, got `AA`");
        assert_eq!(texts[1], "zones/db:4:6: expected a number from 0 to 65535, got `ten`");
        assert!(texts[2].starts_with("zones/db:5:10: cannot read `zones/gone`"), "{}", texts[2]);
    }

    #[test]
    fn generate_repeats_a_record() {
        let records = read("$TTL 5\n$GENERATE 1-5/2 h$ A 192.0.2.${10,0,d}\n").expect("well-formed");
        assert_eq!(
            records,
            [
                "h1.example.org. 5 A 192.0.2.11",
                "h3.example.org. 5 A 192.0.2.13",
                "h5.example.org. 5 A 192.0.2.15"
            ]
        );
        assert!(first_error("$GENERATE 1-999999 h$ 5 A 192.0.2.1").contains("1:11"));
    }

    #[test]
    fn class_and_ttl_bounds_hold() {
        assert!(first_error("a 5 CH TXT x").contains("class IN"));
        assert!(first_error("a 2147483648 A 192.0.2.1").contains("expected a TTL"));
    }
}
