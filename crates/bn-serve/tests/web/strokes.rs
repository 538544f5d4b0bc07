//! Digits as strokes: points from (0, 0), above and to the left, to (1, 1).

use crate::driver::Browser;

pub(crate) type Stroke<'a> = &'a [(f64, f64)];

pub(crate) const ONE: &[Stroke<'_>] = &[&[(0.5, 0.15), (0.5, 0.4), (0.5, 0.65), (0.5, 0.85)]];
pub(crate) const SEVEN: &[Stroke<'_>] = &[
    &[
        (0.25, 0.2),
        (0.5, 0.2),
        (0.75, 0.2),
        (0.65, 0.4),
        (0.55, 0.6),
        (0.48, 0.85),
    ],
    &[(0.4, 0.52), (0.72, 0.52)],
];
pub(crate) const FOUR: &[Stroke<'_>] = &[
    &[
        (0.4, 0.15),
        (0.33, 0.35),
        (0.27, 0.55),
        (0.5, 0.57),
        (0.75, 0.57),
    ],
    &[(0.6, 0.38), (0.58, 0.6), (0.56, 0.85)],
];

/// Points of an arc around `(x, y)`, from an angle to another in degrees; 0 is to the right, 90 below.
fn arc((x, y): (f64, f64), [width, height]: [f64; 2], [from, to]: [f64; 2]) -> Vec<(f64, f64)> {
    let point = |i: i32| {
        let angle = (from + (to - from) * f64::from(i) / 20.0).to_radians();
        (x + width * angle.cos(), y + height * angle.sin())
    };
    (0..=20).map(point).collect()
}

pub(crate) fn zero() -> Vec<(f64, f64)> {
    arc((0.5, 0.5), [0.2, 0.33], [-90.0, -450.0])
}

pub(crate) fn three() -> Vec<(f64, f64)> {
    let top = arc((0.48, 0.32), [0.2, 0.17], [-150.0, 80.0]);
    let bottom = arc((0.48, 0.67), [0.22, 0.18], [-80.0, 150.0]);
    [top, bottom].concat()
}

/// Draws a digit, which must be recognised.
pub(crate) fn draws(browser: &Browser, pointer: &str, strokes: &[Stroke<'_>], digit: &str) {
    browser.click("#clear");
    browser.wait("the paper is empty", |b| b.text("#guess") == "–");
    browser.draw("#paper", pointer, strokes);
    browser.wait(&format!("a {digit} is recognised"), |b| {
        b.text("#guess") == digit
    });
    browser.wait("its bar is the longest", |b| {
        b.text("#bars .top").starts_with(digit)
    });
    let percent = browser.text("#bars .top .value");
    let percent: f64 = percent.trim_end_matches(" %").parse().unwrap();
    assert!(percent > 20.0, "{percent}");
}
