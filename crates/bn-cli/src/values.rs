//! Parsers of option values: what a command cannot use is refused before it starts.

/// An integer, 1 or more.
pub(crate) fn positive(text: &str) -> Result<u64, String> {
    integer(text, 1, u64::MAX)
}

/// A size from 1 to a million.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    integer(text, 1, 1_000_000).map(|n| n as usize)
}

/// A number of threads.
pub(crate) fn threads(text: &str) -> Result<usize, String> {
    integer(text, 1, 1024).map(|n| n as usize)
}

fn integer(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let value = text.parse().ok().filter(|n| (least..=most).contains(n));
    value.ok_or_else(|| match most {
        u64::MAX => format!("not an integer, {least} or more"),
        _ => format!("not an integer from {least} to {most}"),
    })
}

/// A learning rate, or what else must be above 0.
pub(crate) fn above_zero(text: &str) -> Result<f64, String> {
    number(text, "a finite number above 0", |value| value > 0.0)
}

/// A weight decay.
pub(crate) fn at_least_zero(text: &str) -> Result<f64, String> {
    number(text, "a finite number, 0 or more", |value| value >= 0.0)
}

/// A ratio of Dropout, or a momentum.
pub(crate) fn below_one(text: &str) -> Result<f64, String> {
    let range = "a number from 0 to 1, but not 1 itself";
    number(text, range, |value| (0.0..1.0).contains(&value))
}

/// A share that leaves something.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let range = "a number between 0 and 1";
    number(text, range, |value| value > 0.0 && value < 1.0)
}

/// A value that `f32`, the type of the networks, can hold.
fn number(text: &str, range: &str, in_range: fn(f64) -> bool) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("not {range}"))?;
    let fits = value.abs() <= f64::from(f32::MAX);
    match fits && in_range(value) {
        true => Ok(value),
        false => Err(format!("not {range}")),
    }
}
