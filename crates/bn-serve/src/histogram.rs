//! The distribution of many values.

use serde::Serialize;

/// The number of bins.
const BINS: usize = 32;

/// How often values occur: 32 bins of equal width between the smallest and the largest.
///
/// ```
/// let histogram = bn_serve::Histogram::of(&[0.0, 0.5, 1.0, f32::NAN]);
/// assert_eq!((histogram.low, histogram.high), (0.0, 1.0));
/// assert_eq!((histogram.counts[0], histogram.counts[16], histogram.counts[31]), (1, 1, 1));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Histogram {
    /// The smallest value.
    pub low: f32,
    /// The largest value.
    pub high: f32,
    /// The number of values in each bin. Values that are not finite are in none.
    pub counts: Vec<u32>,
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub std: f64,
}

impl Histogram {
    /// The distribution of the finite values among these; if there are none, that of one 0.
    pub fn of(values: &[f32]) -> Self {
        let finite = || values.iter().copied().filter(|v| v.is_finite());
        let count = finite().count();
        if count == 0 {
            return Self::of(&[0.0]);
        }
        let low = finite().fold(f32::INFINITY, f32::min);
        let high = finite().fold(f32::NEG_INFINITY, f32::max);
        let mean = finite().map(f64::from).sum::<f64>() / count as f64;
        let squares: f64 = finite().map(|v| (f64::from(v) - mean).powi(2)).sum();
        let width = f64::from(high) - f64::from(low);
        let mut counts = vec![0u32; BINS];
        for v in finite() {
            let place = match width > 0.0 {
                true => (f64::from(v) - f64::from(low)) / width * BINS as f64,
                false => 0.0,
            };
            let bin = &mut counts[(place as usize).min(BINS - 1)];
            *bin = bin.saturating_add(1);
        }
        Self {
            low,
            high,
            counts,
            mean,
            std: (squares / count as f64).sqrt(),
        }
    }
}
