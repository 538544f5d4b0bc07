//! PCA and ZCA whitening: removes the correlation between pixels.

use bn_tensor::{Scalar, try_zeros};
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis, Slice};

use crate::{
    error::{Error, Result},
    statistics::{check_images, column_moments},
};

/// Rows that are converted to `f64` at a time: enough for an efficient matrix product, a few MB.
const BLOCK: usize = 1024;
/// The name of [`Whitening::fit`] in errors.
const OP: &str = "Whitening::fit";

/// The rotation at the end of a [`Whitening`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhiteningKind {
    /// Projects each image onto the `components` principal axes of largest variance, largest first.
    Pca {
        /// The number of axes to keep, from 1 to D.
        components: usize,
    },
    /// Rotates the result back to the pixels' coordinates. Of all whitening transforms, its output is
    /// closest to the original images.
    Zca,
}

/// Whitening, `xw = (x - mean) W`, by the mean and covariance of the training set: over the
/// training set, the covariance of `xw` is the identity (for `eps` 0).
///
/// With the eigendecomposition `V diag(λ) Vᵀ` of the training set's covariance (divided by N):
///
/// ```text
/// PCA:  W = V_k diag(1 / sqrt(λ_k + eps))          (D, k), the k largest λ
/// ZCA:  W = V diag(1 / sqrt(λ + eps)) Vᵀ           (D, D), symmetric
/// ```
///
/// An axis along which the training set does not vary (a constant pixel, or more pixels than images;
/// λ at most D ε λ_max) gets scale 0 instead. The training set has no information about it, and the
/// formula would amplify small values of a test image without limit. So a constant pixel becomes 0,
/// and PCA components beyond the rank are 0.
///
/// Fit it on the training set only, like [`Standardize`](crate::Standardize). Source: Krizhevsky,
/// *Learning Multiple Layers of Features from Tiny Images* (2009), appendix A.
///
/// The eigendecomposition is LAPACK's: `fit` needs the features `lapack` and `openblas` (or
/// `openblas-static`).
///
/// ```
/// use bn_data::{Digits, Error, Whitening, WhiteningKind};
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let (train, test) = Digits::load()?.into_parts();
/// match Whitening::fit(train.images(), WhiteningKind::Pca { components: 16 }, 0.0) {
///     Ok(whitening) => assert_eq!(whitening.apply(test.images())?.dim(), (test.len(), 16)),
///     Err(Error::NoLapack { .. }) => println!("built without LAPACK"),
///     Err(error) => return Err(error),
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Whitening {
    mean: Vec<f64>,           // (D)
    eigenvalues: Array1<f64>, // (D), largest first
    matrix: Array2<f64>,      // W: (D, k) for PCA, (D, D) for ZCA
}

impl Whitening {
    /// Computes mean and covariance of `images` `(N, D)`; `eps` is added to each eigenvalue, so that
    /// weak axes (noise, mostly) are amplified less.
    ///
    /// # Errors
    ///
    /// [`Error::NoLapack`] in a build without it, [`Error::Setting`] for a number of components
    /// that is not in 1..=D or an `eps` that is negative or not finite, [`Error::Empty`],
    /// [`Error::ShapeMismatch`] for images without pixels, [`Error::NotFinite`], [`Error::Lapack`],
    /// [`Error::Tensor`] if there is no memory for a matrix (D, D).
    pub fn fit<T: Scalar>(
        images: ArrayView2<'_, T>,
        kind: WhiteningKind,
        eps: f64,
    ) -> Result<Self> {
        let d = images.ncols();
        if let WhiteningKind::Pca { components } = kind
            && !(1..=d).contains(&components)
        {
            return Err(Error::Setting {
                what: "the number of components",
                value: components.to_string(),
                must_be: format!("at least 1 and at most {d}, the pixels of an image"),
            });
        }
        if !(eps.is_finite() && eps >= 0.0) {
            return Err(Error::Setting {
                what: "eps",
                value: eps.to_string(),
                must_be: "finite and at least 0".to_owned(),
            });
        }
        if d == 0 {
            return Err(Error::ShapeMismatch {
                op: OP,
                expected: "(N, D) with at least one column".to_owned(),
                got: images.shape().to_vec(),
            });
        }
        let mean = column_moments(OP, images)?.mean().to_vec();
        let (eigenvalues, v) = eigh(covariance(images, &mean)?)?; // (D), (D, D)

        let noise = d as f64 * f64::EPSILON * eigenvalues.first().copied().unwrap_or(0.0);
        let scale = eigenvalues.mapv(|lambda| match lambda > noise {
            true => 1.0 / (lambda + eps).sqrt(),
            false => 0.0,
        });
        let scaled = &v * &scale; // V diag(scale): (D, D)
        let matrix = match kind {
            WhiteningKind::Pca { components } => scaled
                .slice_axis(Axis(1), Slice::from(..components))
                .to_owned(),
            WhiteningKind::Zca => {
                let mut matrix = try_zeros(OP, (d, d))?;
                add_product(scaled.view(), v.t(), matrix.view_mut());
                matrix
            }
        };
        Ok(Whitening {
            mean,
            eigenvalues,
            matrix,
        })
    }

    /// Whitens `images` `(N, D)`: `(N, k)` for PCA, `(N, D)` for ZCA.
    ///
    /// [`Dataset::with_images`](crate::Dataset::with_images) combines the result with the targets.
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`] if D is not that of the training set; [`Error::NotFinite`];
    /// [`Error::Tensor`] if there is no memory for the result.
    pub fn apply<T: Scalar>(&self, images: ArrayView2<'_, T>) -> Result<Array2<T>> {
        const OP: &str = "Whitening::apply";
        check_images(OP, self.mean.len(), images)?;
        let mut whitened = try_zeros(OP, (images.nrows(), self.matrix.ncols()))?;
        let blocks = whitened.axis_chunks_iter_mut(Axis(0), BLOCK);
        for (mut to, from) in blocks.zip(images.axis_chunks_iter(Axis(0), BLOCK)) {
            let xc = centred(from, &self.mean);
            let mut xw = Array2::zeros(to.raw_dim());
            add_product(xc.view(), self.matrix.view(), xw.view_mut());
            to.zip_mut_with(&xw, |to, &x| *to = T::from_f64(x));
        }
        Ok(whitened)
    }

    /// The mean of each pixel over the training set: `(D)`.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The eigenvalues of the training set's covariance, which are the variances along the
    /// principal axes, largest first: `(D)`.
    #[must_use]
    pub fn eigenvalues(&self) -> &Array1<f64> {
        &self.eigenvalues
    }

    /// W: `(D, k)` for PCA, `(D, D)` for ZCA.
    #[must_use]
    pub fn matrix(&self) -> &Array2<f64> {
        &self.matrix
    }
}

/// xc = x - mean, in `f64`: (B, D).
fn centred<T: Scalar>(images: ArrayView2<'_, T>, mean: &[f64]) -> Array2<f64> {
    let mut xc = images.mapv(T::as_f64);
    for mut row in xc.outer_iter_mut() {
        row.iter_mut().zip(mean).for_each(|(x, mean)| *x -= mean);
    }
    xc
}

/// xcᵀ xc / N: (D, D).
fn covariance<T: Scalar>(images: ArrayView2<'_, T>, mean: &[f64]) -> Result<Array2<f64>> {
    let mut sum = try_zeros(OP, (images.ncols(), images.ncols()))?;
    for block in images.axis_chunks_iter(Axis(0), BLOCK) {
        let xc = centred(block, mean);
        add_product(xc.t(), xc.view(), sum.view_mut());
    }
    Ok(sum / images.nrows() as f64)
}

/// c += a b, with `a` (M, K), `b` (K, N) and `c` (M, N): the same bits at any number of threads.
fn add_product(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>, c: ArrayViewMut2<'_, f64>) {
    bn_tensor::matmul(a, b, 1.0, c).expect("the callers pass shapes that agree");
}

/// The eigenvalues of a symmetric matrix, largest first, and the eigenvectors as columns.
#[cfg(all(
    feature = "lapack",
    any(feature = "openblas", feature = "openblas-static")
))]
fn eigh(matrix: Array2<f64>) -> Result<(Array1<f64>, Array2<f64>)> {
    use ndarray_linalg::{Eigh, UPLO};

    let (mut eigenvalues, mut v) = bn_tensor::with_blas(|| matrix.eigh(UPLO::Lower))
        .map_err(|error| Error::Lapack(error.to_string()))?;
    eigenvalues.invert_axis(Axis(0)); // LAPACK's are ascending
    v.invert_axis(Axis(1));
    Ok((eigenvalues, v))
}

#[cfg(not(all(
    feature = "lapack",
    any(feature = "openblas", feature = "openblas-static")
)))]
fn eigh(_matrix: Array2<f64>) -> Result<(Array1<f64>, Array2<f64>)> {
    Err(Error::NoLapack { op: OP })
}
