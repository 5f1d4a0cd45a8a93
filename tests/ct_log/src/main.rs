//! `ct-log`: a CT log to look at by hand, with a certificate of a test authority in it.

use std::error::Error;
use std::io::{BufRead as _, Write as _};

use ct_log::{Authority, Clock, Kind, Lie, TestLog, log_list_json};

fn main() -> Result<(), Box<dyn Error>> {
    let clock = Clock::of_the_machine();
    let log = TestLog::start("by-hand", Kind::Rfc6962, &clock);
    let authority = Authority::new("By Hand", &clock);
    println!("RFC 6962   {}", log.rfc6962_url());
    println!("static-ct  {}", log.static_url());
    print!("{}", log_list_json(&clock.now().to_string(), &[log.listed()]));
    println!("{HELP}");
    let mut forks = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        match (word, rest) {
            ("issue", name) if !name.is_empty() => {
                print!("{}", authority.leaf(name).issue(&[&log]).chain_pem());
            }
            ("merge", _) => log.merge(),
            ("fork", _) => {
                let fork = log.fork();
                println!("RFC 6962   {}\nstatic-ct  {}", fork.rfc6962_url(), fork.static_url());
                forks.push(fork);
            }
            ("drop", count) => log.drop_next(count.parse().unwrap_or(1)),
            ("forward", seconds) => clock.advance(seconds.parse()?),
            ("lie", what) => match lie(what) {
                Some(lie) => log.lie(lie),
                None => println!("{HELP}"),
            },
            ("honest", _) => log.be_honest(),
            _ => println!("{HELP}"),
        }
        println!("size {}, {} pending, at {}", log.size(), log.pending(), clock.now());
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn lie(text: &str) -> Option<Lie> {
    let (word, number) = text.split_once(' ').unwrap_or((text, ""));
    let number = || number.parse().ok();
    Some(match word {
        "signature" => Lie::BadSignature,
        "shrink" => Lie::Shrink(number()?),
        "future" => Lie::Future(number()?),
        "proof" => Lie::BadProof,
        "entries" => Lie::BadEntries,
        "status" => Lie::Status(u16::try_from(number()?).ok().filter(|status| (100..1000).contains(status))?),
        "hold" => Lie::Hold,
        "stall" => Lie::Stall,
        "cut" => Lie::Cut,
        "oversize" => Lie::Oversize(number()?),
        "endless" => Lie::Endless,
        "garbage" => Lie::Garbage,
        "bomb" => Lie::GzipBomb(number()?),
        _ => return None,
    })
}

const HELP: &str = "issue NAME | merge | fork | drop COUNT | forward SECONDS | honest | lie signature | shrink SIZE | \
                    future SECONDS | proof | entries | status CODE | hold | stall | cut | oversize BYTES | endless | \
                    garbage | bomb BYTES";
