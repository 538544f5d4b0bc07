//! What follows a convolution in the same pass over memory.

use crate::{
    Mask, Scalar,
    elementwise::PIECE,
    par,
    simd::{NullaryFnOnce, vectorize},
};

/// A rectifier and then a random mask, either of which may be missing, on values that a convolution
/// has just written: `y = r(x)·m`, with the gradient `dx = dout·m·r'`.
///
/// On the first layer of a DCGAN's discriminator, 26 MB, the rectifier, the mask and their way back
/// took four passes over memory of 2 ms each; here the values are still in the cache.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epilogue<T> {
    /// `r(x) = x` where `x` is above 0 and `slope·x` elsewhere. From 0 to 1: the sign of `y` must
    /// tell that of `x`.
    pub slope: Option<T>,
    /// Random places that become 0.
    pub mask: Option<Mask<T>>,
}

impl<T> Epilogue<T> {
    /// `y = x`.
    pub const NONE: Self = Self {
        slope: None,
        mask: None,
    };
}

impl<T: Scalar> Epilogue<T> {
    pub(crate) fn is_none(&self) -> bool {
        self.slope.is_none() && self.mask.is_none()
    }

    /// Replaces `x` by `y`, for values whose place among all begins with `first`.
    pub(crate) fn forward(&self, first: usize, values: &mut [T]) {
        if self.is_none() {
            return;
        }
        let work = values.len();
        par::for_each_piece(values, PIECE, work, &|start, values: &mut [T]| {
            if let Some(slope) = self.slope {
                vectorize(Rectify { slope, values });
            }
            if let Some(mask) = &self.mask {
                mask.apply_from(first + start, values);
            }
        });
    }

    /// Writes `dx`, as [`forward`](Self::forward).
    pub(crate) fn backward(&self, first: usize, y: &[T], dout: &[T], dx: &mut [T]) {
        let work = dx.len();
        par::for_each_piece(dx, PIECE, work, &|start, dx: &mut [T]| {
            let places = start..start + dx.len();
            match &self.mask {
                Some(mask) => mask.write_from(first + start, &dout[places.clone()], dx),
                None => dx.copy_from_slice(&dout[places.clone()]),
            }
            if let Some(slope) = self.slope {
                let y = &y[places];
                vectorize(RectifyBack { slope, y, dx });
            }
        });
    }
}

struct Rectify<'a, T> {
    slope: T,
    values: &'a mut [T],
}

impl<T: Scalar> NullaryFnOnce for Rectify<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { slope, values } = self;
        if slope == T::zero() {
            // `0·x` would make a NaN of an infinity.
            for value in values {
                *value = if *value < T::zero() {
                    T::zero()
                } else {
                    *value
                };
            }
        } else {
            for value in values {
                let leak = slope * *value;
                *value = if *value > T::zero() { *value } else { leak };
            }
        }
    }
}

struct RectifyBack<'a, T> {
    slope: T,
    y: &'a [T],
    dx: &'a mut [T],
}

impl<T: Scalar> NullaryFnOnce for RectifyBack<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { slope, y, dx } = self;
        for (dx, &y) in dx.iter_mut().zip(y) {
            *dx *= if y > T::zero() { T::one() } else { slope };
        }
    }
}
