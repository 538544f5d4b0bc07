use ndarray::Array3;

/// A copy of a batch in which some channels are multiplied by a factor, because the element type
/// cannot hold the squares of their values.
#[derive(Debug, Clone)]
pub(super) struct Rescaled<T> {
    pub(super) x: Array3<T>,      // (outer, C, inner)
    pub(super) factors: Vec<f64>, // (C), powers of two
}
