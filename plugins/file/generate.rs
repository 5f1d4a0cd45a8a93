//! `$GENERATE`: a record repeated over a range of numbers, as in BIND.

/// How many records one directive may make.
pub const GENERATED_MAX: u64 = 65_536;

/// Widest field that a template may ask for.
const WIDTH_MAX: usize = 32;

/// The numbers of `first-last[/step]`.
///
/// Errors: a text of another form, a step of 0, more than `GENERATED_MAX` numbers.
pub fn range(text: &str) -> Result<impl Iterator<Item = u64> + use<>, String> {
    let malformed = || format!("expected `first-last` or `first-last/step`, got `{text}`");
    let (bounds, step) = text.split_once('/').unwrap_or((text, "1"));
    let (first, last) = bounds.split_once('-').ok_or_else(malformed)?;
    let (first, last): (u32, u32) = first.parse().ok().zip(last.parse().ok()).ok_or_else(malformed)?;
    let step: u32 = step.parse().map_err(|_| malformed())?;
    if step == 0 || last < first {
        return Err(malformed());
    }
    if u64::from((last - first) / step) >= GENERATED_MAX {
        return Err(format!("a range makes at most {GENERATED_MAX} records"));
    }
    Ok((u64::from(first)..=u64::from(last)).step_by(step as usize))
}

/// `template` with `$` replaced by `number`, and `${offset,width,base}` by `number + offset` written in `base` (`d`, `o`, `x`, `X`),
/// filled with zeros to `width`. `\$` is a dollar sign.
///
/// Errors: braces that do not close, and fields that are no numbers.
pub fn fill(template: &str, number: u64) -> Result<String, String> {
    let mut filled = String::with_capacity(template.len() + 8);
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        let (before, behind) = (&rest[..at], &rest[at + 1..]);
        rest = behind;
        if let Some(unescaped) = before.strip_suffix('\\') {
            filled.push_str(unescaped);
            filled.push('$');
            continue;
        }
        filled.push_str(before);
        match behind.strip_prefix('{') {
            None => filled.push_str(&number.to_string()),
            Some(inner) => {
                let (fields, behind) = inner.split_once('}').ok_or("`${` without a `}`")?;
                filled.push_str(&field(fields, number)?);
                rest = behind;
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

fn field(fields: &str, number: u64) -> Result<String, String> {
    let malformed = || format!("expected `offset,width,base`, got `{fields}`");
    let mut parts = fields.split(',');
    let offset: i64 = parts.next().unwrap_or_default().parse().map_err(|_| malformed())?;
    let width: usize = parts.next().unwrap_or("0").parse().map_err(|_| malformed())?;
    let base = parts.next().unwrap_or("d");
    let value = number.checked_add_signed(offset).ok_or_else(malformed)?;
    if width > WIDTH_MAX || parts.next().is_some() {
        return Err(malformed());
    }
    match base {
        "d" => Ok(format!("{value:0width$}")),
        "o" => Ok(format!("{value:0width$o}")),
        "x" => Ok(format!("{value:0width$x}")),
        "X" => Ok(format!("{value:0width$X}")),
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled() {
        assert_eq!(fill("host-$.x", 7).as_deref(), Ok("host-7.x"));
        assert_eq!(fill("${0,3,d}-${-2,4,x}", 17).as_deref(), Ok("017-000f"));
        assert_eq!(fill(r"\$$", 1).as_deref(), Ok("$1"));
        assert!(fill("${0,3", 1).is_err());
        assert!(fill("${-5}", 1).is_err());
    }

    #[test]
    fn ranges_are_bounded() {
        assert_eq!(range("2-8/3").expect("a range").collect::<Vec<_>>(), [2, 5, 8]);
        assert_eq!(range("0-65535").expect("a range").count(), 65_536);
        assert!(range("0-65536").is_err());
        for malformed in ["5", "8-2", "1-2/0", "a-b"] {
            assert!(range(malformed).is_err(), "{malformed}");
        }
    }
}
