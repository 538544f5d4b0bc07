use super::rescaled::Rescaled;
use bn_tensor::{ChannelAffine, Moments, Scalar, Scratch};

/// What a forward pass leaves for its backward pass; its memory is kept from batch to batch.
///
/// What there is once per channel is held in double precision, which costs no digits and
/// next to no time; what is done once per value runs in `T`.
#[derive(Debug, Clone)]
pub struct BatchNormCache<T> {
    pub(super) moments: Moments,  // of the batch, or left over from one
    pub(super) mu: Vec<f64>,      // (C): what was subtracted: the batch's mean or the running one
    pub(super) inv_std: Vec<f64>, // (C): 1/√(var + eps), of the same
    pub(super) center: Vec<T>,    // (C): mu, rounded to T
    pub(super) scale: Vec<T>,     // (C): gamma/√(var + eps)
    pub(super) shift: Vec<T>,     // (C): beta, and what the rounding of the center lost
    pub(super) pqr: [Vec<T>; 3],  // (C) each
    pub(super) sums: Vec<f64>,    // (2·C): dbeta, and Σ dout·(x − center)
    pub(super) scratch: Scratch,
    pub(super) shape: (usize, usize, usize), // of the last forward pass
    pub(super) of_batch: bool,               // whether it normalised by the batch's own statistics
    pub(super) rescaled: Option<Box<Rescaled<T>>>, // of the last forward pass, where it was needed
}

impl<T: Scalar> Default for BatchNormCache<T> {
    fn default() -> Self {
        Self {
            moments: Moments::default(),
            mu: Vec::new(),
            inv_std: Vec::new(),
            center: Vec::new(),
            scale: Vec::new(),
            shift: Vec::new(),
            pqr: Default::default(),
            sums: Vec::new(),
            scratch: Scratch::default(),
            shape: (0, 0, 0),
            of_batch: false,
            rescaled: None,
        }
    }
}

impl<T: Scalar> BatchNormCache<T> {
    /// Count, mean and squared deviations of the last batch that was normalised by its own;
    /// `None` when the last forward pass was [`batch_norm_eval`](crate::batch_norm_eval), or there was none.
    pub fn moments(&self) -> Option<&Moments> {
        self.of_batch.then_some(&self.moments)
    }

    /// Makes ready for a forward pass of this shape.
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

    /// What the channels are multiplied by and added to in the last pass over memory.
    pub(super) fn affine(&self) -> ChannelAffine<'_, T> {
        ChannelAffine {
            center: &self.center,
            scale: &self.scale,
            shift: &self.shift,
        }
    }
}
