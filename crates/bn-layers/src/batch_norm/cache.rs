use super::rescaled::Rescaled;
use bn_tensor::{ChannelAffine, Moments, Scalar, Scratch};

/// What a forward pass saves for its backward pass. Its memory is reused from batch to batch.
///
/// Per-channel values are computed in double precision, which takes almost no time. Operations on
/// each value run in `T`.
#[derive(Debug, Clone)]
pub struct BatchNormCache<T> {
    pub(super) moments: Moments, // of the last batch that was normalised by its own statistics
    pub(super) of_shards: Vec<Moments>, // of each shard of this process
    pub(super) mu: Vec<f64>,     // (C): the subtracted mean: the batch's or the running one
    pub(super) inv_std: Vec<f64>, // (C): 1/√(var + eps), of the same statistics
    pub(super) center: Vec<T>,   // (C): mu, rounded to T
    pub(super) scale: Vec<T>,    // (C): gamma/√(var + eps)
    pub(super) shift: Vec<T>,    // (C): beta, corrected for the rounding of center
    pub(super) pqr: [Vec<T>; 3], // (C) each: the coefficients of dx
    pub(super) sums: Vec<f64>,   // (2·C): dbeta, and Σ dout·(x − center)
    pub(super) sums_of_shards: Vec<f64>, // the same, of each shard of this process
    pub(super) scratch: Scratch,
    pub(super) shape: (usize, usize, usize), // of the last forward pass
    pub(super) of_batch: bool,               // whether it used the batch's own statistics
    pub(super) rescaled: Option<Box<Rescaled<T>>>, // of the last forward pass, if it was needed
}

impl<T: Scalar> Default for BatchNormCache<T> {
    fn default() -> Self {
        Self {
            moments: Moments::default(),
            of_shards: Vec::new(),
            mu: Vec::new(),
            inv_std: Vec::new(),
            center: Vec::new(),
            scale: Vec::new(),
            shift: Vec::new(),
            pqr: Default::default(),
            sums: Vec::new(),
            sums_of_shards: Vec::new(),
            scratch: Scratch::default(),
            shape: (0, 0, 0),
            of_batch: false,
            rescaled: None,
        }
    }
}

impl<T: Scalar> BatchNormCache<T> {
    /// The count, mean and sum of squared deviations of the last batch. `None` if the last forward
    /// pass was [`batch_norm_eval`](crate::batch_norm_eval) or if there was none.
    pub fn moments(&self) -> Option<&Moments> {
        self.of_batch.then_some(&self.moments)
    }

    /// Prepares for a forward pass of this shape.
    pub(super) fn begin(&mut self, shape: (usize, usize, usize), of_batch: bool) {
        let channels = shape.1;
        (self.shape, self.of_batch) = (shape, of_batch);
        let [p, q, r] = &mut self.pqr;
        for values in [&mut self.center, &mut self.scale, &mut self.shift, p, q, r] {
            values.resize(channels, T::zero());
        }
        self.sums.resize(2 * channels, 0.0);
        self.mu.resize(channels, 0.0);
        self.inv_std.resize(channels, 0.0);
        self.rescaled = None;
    }

    /// The coefficients of each channel in the last pass over memory.
    pub(super) fn affine(&self) -> ChannelAffine<'_, T> {
        ChannelAffine {
            center: &self.center,
            scale: &self.scale,
            shift: &self.shift,
        }
    }
}
