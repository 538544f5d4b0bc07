use crate::error::Error;
use bn_tensor::{Scalar, check_setting, try_zeros};
use ndarray::Array2;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal, StandardUniform};

/// The distribution of the initial weights `(D, E)` of a layer of `D` inputs and `E` outputs.
///
/// | | standard deviation | source |
/// |---|---|---|
/// | `Std(s)` | `s` | the book's `weight_init_std` |
/// | `He`, `HeUniform` | `√(2/D)` | arXiv:1502.01852; the book's `'he'` |
/// | `Xavier`, `XavierUniform` | `√(2/(D + E))` | Glorot and Bengio, 2010; Keras' default |
/// | `LeCun`, `LeCunUniform` | `√(1/D)` | LeCun et al., 1998; **the book's `'xavier'`** |
/// | `Orthogonal(gain)` | orthonormal rows or columns, times `gain` | arXiv:1312.6120 |
///
/// The uniform forms draw from `[−√3·std, √3·std)`.
///
/// ```
/// use bn_layers::Init;
/// use rand::SeedableRng;
/// let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(1);
/// let w = Init::He.sample::<f32>((784, 100), &mut rng)?;
/// assert!((w.std(0.0) - (2.0f32 / 784.0).sqrt()).abs() < 1e-3);
/// # Ok::<(), bn_layers::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Init {
    /// Normal with this standard deviation.
    Std(f64),
    /// He, normal.
    He,
    /// He, uniform.
    HeUniform,
    /// Xavier (Glorot), normal.
    Xavier,
    /// Xavier (Glorot), uniform.
    XavierUniform,
    /// LeCun, normal.
    LeCun,
    /// LeCun, uniform.
    LeCunUniform,
    /// A random orthogonal matrix times this gain, by QR decomposition (LAPACK).
    Orthogonal(f64),
}

impl Init {
    /// Weights of shape `(inputs, outputs)`, the same for the same state of `rng`.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a negative or non-finite standard deviation or gain,
    /// [`bn_tensor::Error::TooLarge`] if there is no memory for the weights, [`Error::NoLapack`] for
    /// `Orthogonal` in a build without it.
    pub fn sample<T: Scalar>(
        self,
        shape: (usize, usize),
        rng: &mut impl Rng,
    ) -> Result<Array2<T>, Error> {
        self.sample_for(shape, [shape.0 as f64, shape.1 as f64], rng)
    }

    /// Weights of a `shape` that differs from the numbers of inputs and outputs of one value, as in a
    /// convolution.
    pub(crate) fn sample_for<T: Scalar>(
        self,
        shape: (usize, usize),
        [inputs, outputs]: [f64; 2],
        rng: &mut impl Rng,
    ) -> Result<Array2<T>, Error> {
        let (d, e) = (inputs.max(1.0), outputs);
        let (std, uniform) = match self {
            Self::Std(std) => (std, false),
            Self::He => ((2.0 / d).sqrt(), false),
            Self::HeUniform => ((2.0 / d).sqrt(), true),
            Self::Xavier => ((2.0 / (d + e)).sqrt(), false),
            Self::XavierUniform => ((2.0 / (d + e)).sqrt(), true),
            Self::LeCun => ((1.0 / d).sqrt(), false),
            Self::LeCunUniform => ((1.0 / d).sqrt(), true),
            Self::Orthogonal(gain) => return orthogonal(shape, gain, rng),
        };
        let passes = std.is_finite() && std >= 0.0;
        check_setting("weight_init_std", "a finite number, 0 or more", std, passes)?;
        let mut weights = try_zeros("the weights", shape)?;
        weights.map_inplace(|weight| {
            *weight = T::from_f64(if uniform {
                let u: f64 = StandardUniform.sample(rng);
                std * 3f64.sqrt() * (2.0 * u - 1.0)
            } else {
                let z: f64 = StandardNormal.sample(rng);
                std * z
            });
        });
        Ok(weights)
    }
}

/// Q of the QR decomposition of a normal matrix, its signs those of R's diagonal, so that every
/// orthogonal matrix is as likely (Mezzadri, arXiv:math-ph/0609050).
#[cfg(all(
    feature = "lapack",
    any(feature = "openblas", feature = "openblas-static")
))]
fn orthogonal<T: Scalar>(
    (inputs, outputs): (usize, usize),
    gain: f64,
    rng: &mut impl Rng,
) -> Result<Array2<T>, Error> {
    use bn_tensor::with_blas;
    use ndarray_linalg::QR;

    check_setting(
        "Orthogonal's gain",
        "a finite number",
        gain,
        gain.is_finite(),
    )?;
    let mut out = try_zeros("the weights", (inputs, outputs))?; // in row-major order, whatever LAPACK's is
    if out.is_empty() {
        return Ok(out);
    }
    let (long, short) = (inputs.max(outputs), inputs.min(outputs));
    let most = i32::MAX as usize; // LAPACK counts in i32
    let what = "each size of an orthogonal matrix";
    check_setting(what, "at most 2147483647", long as f64, long <= most)?;
    let mut normal: Array2<f64> = try_zeros("the weights", (long, short))?;
    normal.map_inplace(|value| *value = StandardNormal.sample(rng));
    let (mut q, r) = with_blas(|| normal.qr()).map_err(|e| Error::Lapack {
        what: "Init::Orthogonal",
        reason: e.to_string(),
    })?; // q: (long, short)
    for (mut column, r) in q.columns_mut().into_iter().zip(r.diag()) {
        column *= r.signum() * gain;
    }
    let w = if inputs >= outputs {
        q
    } else {
        q.reversed_axes()
    };
    out.zip_mut_with(&w, |o, &w| *o = T::from_f64(w));
    Ok(out)
}

#[cfg(not(all(
    feature = "lapack",
    any(feature = "openblas", feature = "openblas-static")
)))]
fn orthogonal<T: Scalar>(_: (usize, usize), _: f64, _: &mut impl Rng) -> Result<Array2<T>, Error> {
    Err(Error::NoLapack {
        what: "Init::Orthogonal",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    #[test]
    fn each_has_its_spread() {
        let shape = (300, 500);
        let cases = [
            (Init::Std(0.3), 0.3),
            (Init::He, (2.0f64 / 300.0).sqrt()),
            (Init::HeUniform, (2.0f64 / 300.0).sqrt()),
            (Init::Xavier, (2.0f64 / 800.0).sqrt()),
            (Init::XavierUniform, (2.0f64 / 800.0).sqrt()),
            (Init::LeCun, (1.0f64 / 300.0).sqrt()),
            (Init::LeCunUniform, (1.0f64 / 300.0).sqrt()),
        ];
        for (init, std) in cases {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
            let w: Array2<f64> = init.sample(shape, &mut rng).unwrap();
            // 150,000 samples: the standard error of std is 0.2 %, that of the mean 0.26 % of std.
            assert!((w.std(0.0) / std - 1.0).abs() < 0.01, "{init:?}");
            assert!(w.mean().unwrap().abs() < 0.015 * std, "{init:?}");
            let largest = w.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            let uniform = matches!(
                init,
                Init::HeUniform | Init::XavierUniform | Init::LeCunUniform
            );
            assert_eq!(largest <= 3f64.sqrt() * std, uniform, "{init:?}");
        }
    }

    #[test]
    fn a_bad_std_is_refused() {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(5);
        for std in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(Init::Std(std).sample::<f32>((2, 2), rng).is_err());
        }
    }

    #[test]
    fn orthogonal_is_orthogonal_or_says_what_it_needs() {
        let lapack = cfg!(all(
            feature = "lapack",
            any(feature = "openblas", feature = "openblas-static")
        ));
        for (d, e) in [(7, 4), (4, 7), (5, 5)] {
            let rng = &mut Xoshiro256PlusPlus::seed_from_u64(5);
            let w = Init::Orthogonal(2.0).sample::<f64>((d, e), rng);
            if !lapack {
                let message = w.unwrap_err().to_string();
                assert!(message.contains("`lapack`"), "{message}");
                continue;
            }
            let w = w.unwrap();
            let product = if d >= e { w.t().dot(&w) } else { w.dot(&w.t()) };
            let identity = Array2::<f64>::eye(d.min(e)) * 4.0;
            assert!(w.is_standard_layout());
            assert!((product - identity).iter().all(|v| v.abs() < 1e-13));
        }
    }
}
