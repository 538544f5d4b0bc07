use ndarray::Array3;

/// A copy of a batch whose channels were multiplied by factors, because their values are too large
/// for the element type to be squared.
#[derive(Debug, Clone)]
pub(super) struct Rescaled<T> {
    pub(super) x: Array3<T>,      // (outer, C, inner)
    pub(super) factors: Vec<f64>, // (C), powers of two
}
