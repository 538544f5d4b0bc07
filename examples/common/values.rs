//! Parsers of option values: what an example cannot use is refused before it starts.

/// The images of a training step. Batch Normalization needs two, MNIST has 60,000.
pub fn batch_size(text: &str) -> Result<usize, String> {
    size(2, 60_000)(text)
}

/// A size from `least` to `most`.
pub fn size(least: u64, most: u64) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| integer(text, least, most).map(|value| value as usize)
}

/// A number of times: at least once.
pub fn times(text: &str) -> Result<u64, String> {
    integer(text, 1, u64::MAX)
}

pub fn seed(text: &str) -> Result<u64, String> {
    integer(text, 0, u64::MAX)
}

fn integer(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let value = text.parse().ok().filter(|n| (least..=most).contains(n));
    value.ok_or_else(|| match most {
        u64::MAX => format!("not an integer, {least} or more"),
        _ => format!("not an integer from {least} to {most}"),
    })
}

pub fn learning_rate(text: &str) -> Result<f64, String> {
    number(text, "a finite number above 0", |value| value > 0.0)
}

pub fn standard_deviation(text: &str) -> Result<f64, String> {
    number(text, "a finite number, 0 or more", |value| value >= 0.0)
}

pub fn dropout_ratio(text: &str) -> Result<f64, String> {
    below_one(text)
}

/// A number of degrees that an image can be rotated by.
pub fn angle(text: &str) -> Result<f64, String> {
    number(text, "a number from 0 to 180", |value| {
        (0.0..=180.0).contains(&value)
    })
}

/// The decay of an exponential moving average.
pub fn decay(text: &str) -> Result<f64, String> {
    below_one(text)
}

fn below_one(text: &str) -> Result<f64, String> {
    let range = "a number from 0 to 1, but not 1 itself";
    number(text, range, |value| (0.0..1.0).contains(&value))
}

/// A value that `f32`, the type of the networks, can hold.
fn number(text: &str, range: &str, in_range: fn(f64) -> bool) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("not {range}"))?;
    let finite = value.abs() <= f64::from(f32::MAX);
    match finite && in_range(value) {
        true => Ok(value),
        false => Err(format!("not {range}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused() {
        for text in ["nan", "inf", "-inf", "1e39", "-1", "", "x"] {
            assert!(learning_rate(text).is_err(), "{text}");
            assert!(standard_deviation(text).is_err(), "{text}");
            assert!(dropout_ratio(text).is_err(), "{text}");
            assert!(angle(text).is_err() && decay(text).is_err(), "{text}");
        }
        assert!(learning_rate("0").is_err() && standard_deviation("0") == Ok(0.0));
        assert!(dropout_ratio("1").is_err() && dropout_ratio("0") == Ok(0.0));
        assert!(decay("1").is_err() && decay("0.999") == Ok(0.999));
        assert!(angle("181").is_err() && angle("180") == Ok(180.0));
        assert_eq!(learning_rate("0.1"), Ok(0.1));
        for text in ["-1", "0", "99999999999", "1e3", "", "x"] {
            let error = batch_size(text).unwrap_err();
            assert_eq!(error, "not an integer from 2 to 60000", "{text}");
        }
        assert_eq!(batch_size("60000"), Ok(60_000));
        assert_eq!(times("0").unwrap_err(), "not an integer, 1 or more");
        assert_eq!(seed("0"), Ok(0));
    }
}
