//! PCA and ZCA whitening by the statistics of the training set.

use bn_data::{Error, Whitening, WhiteningKind};
use ndarray::{Array2, array};

#[test]
fn impossible_settings_are_refused() {
    let images = array![[1.0, 2.0], [3.0, 5.0], [4.0, 4.0]];
    let fit = |kind, eps| Whitening::fit(images.view(), kind, eps).unwrap_err();
    for components in [0, 3] {
        let error = fit(WhiteningKind::Pca { components }, 0.0);
        assert!(matches!(
            error,
            Error::Setting {
                what: "the number of components",
                ..
            }
        ));
    }
    for eps in [-1e-9, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            fit(WhiteningKind::Zca, eps),
            Error::Setting { what: "eps", .. }
        ));
    }
    let nan = array![[1.0, f32::NAN]];
    let error = Whitening::fit(nan.view(), WhiteningKind::Zca, 0.0).unwrap_err();
    assert!(matches!(error, Error::NotFinite { row: 0, column: 1 }));
    let empty = Array2::<f32>::zeros((0, 2));
    let error = Whitening::fit(empty.view(), WhiteningKind::Zca, 0.0).unwrap_err();
    assert!(matches!(error, Error::Empty { .. }));
}

#[cfg(not(all(
    feature = "lapack",
    any(feature = "openblas", feature = "openblas-static")
)))]
#[test]
fn a_build_without_lapack_says_so() {
    let images = array![[1.0, 2.0], [3.0, 5.0], [4.0, 4.0]];
    let error = Whitening::fit(images.view(), WhiteningKind::Zca, 0.0).unwrap_err();
    assert!(matches!(error, Error::NoLapack { .. }), "{error:?}");
    for feature in ["`lapack`", "`openblas`", "`openblas-static`"] {
        assert!(error.to_string().contains(feature), "{error}");
    }
}

#[cfg(all(
    feature = "lapack",
    any(feature = "openblas", feature = "openblas-static")
))]
mod with_lapack {
    use super::*;
    use bn_data::Digits;
    use ndarray::{ArrayView2, Axis};

    /// The covariance of the columns, divided by N, about their own means.
    fn covariance(x: ArrayView2<'_, f32>) -> Array2<f64> {
        let x = x.mapv(f64::from);
        let xc = &x - &x.mean_axis(Axis(0)).unwrap();
        xc.t().dot(&xc) / x.nrows() as f64
    }

    fn largest_difference(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
        assert_eq!(a.dim(), b.dim());
        a.iter()
            .zip(b)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max)
    }

    #[test]
    fn pca_gives_the_training_set_the_identity_as_covariance() {
        let (train, _) = Digits::load().unwrap().into_parts();
        for components in [1, 10, 50] {
            let kind = WhiteningKind::Pca { components };
            let whitening = Whitening::fit(train.images(), kind, 0.0).unwrap();
            let whitened = whitening.apply(train.images()).unwrap();
            assert_eq!(whitened.dim(), (train.len(), components));
            let difference =
                largest_difference(&covariance(whitened.view()), &Array2::eye(components));
            assert!(difference < 1e-5, "{difference}");
            let mean = whitened.mapv(f64::from).mean_axis(Axis(0)).unwrap();
            assert!(mean.iter().all(|mean| mean.abs() < 1e-6), "{mean}");
        }
    }

    #[test]
    fn the_eigenvalues_are_the_variances_along_the_axes() {
        let (train, _) = Digits::load().unwrap().into_parts();
        let kind = WhiteningKind::Pca { components: 5 };
        let whitening = Whitening::fit(train.images(), kind, 0.0).unwrap();
        let eigenvalues = whitening.eigenvalues();
        assert!(
            eigenvalues
                .windows(2)
                .into_iter()
                .all(|pair| pair[0] >= pair[1])
        );
        let trace = covariance(train.images()).diag().sum();
        assert!((eigenvalues.sum() - trace).abs() < 1e-9 * trace);
        // W has columns of length 1 / sqrt(λ).
        for (column, lambda) in whitening.matrix().axis_iter(Axis(1)).zip(eigenvalues) {
            assert!((column.dot(&column) * lambda - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn zca_is_symmetric_and_white_wherever_the_training_set_varies() {
        let (train, _) = Digits::load().unwrap().into_parts();
        let whitening = Whitening::fit(train.images(), WhiteningKind::Zca, 0.0).unwrap();
        let w = whitening.matrix();
        assert!(
            largest_difference(w, &w.t().to_owned())
                < 1e-9 * w.iter().fold(0.0, |m: f64, x| m.max(x.abs()))
        );

        // The constant pixels become 0; all others have variance 1 and no covariance.
        let whitened = whitening.apply(train.images()).unwrap();
        let constant: Vec<bool> = (0..64)
            .map(|j| {
                train
                    .images()
                    .column(j)
                    .iter()
                    .all(|&x| x == train.images()[[0, j]])
            })
            .collect();
        assert!(constant.contains(&true));
        let expected = Array2::from_shape_fn((64, 64), |(i, j)| f64::from(i == j && !constant[i]));
        let difference = largest_difference(&covariance(whitened.view()), &expected);
        assert!(difference < 1e-4, "{difference}");
        for (j, _) in constant
            .iter()
            .enumerate()
            .filter(|(_, constant)| **constant)
        {
            assert!(whitened.column(j).iter().all(|x| x.abs() < 1e-5));
        }
    }

    #[test]
    fn the_bits_do_not_depend_on_the_number_of_threads() {
        let (train, test) = Digits::load().unwrap().into_parts();
        let run = |threads| {
            bn_tensor::Pool::new(threads).unwrap().install(|| {
                let zca = Whitening::fit(train.images(), WhiteningKind::Zca, 1e-3).unwrap();
                zca.apply(test.images()).unwrap()
            })
        };
        let one = run(1).mapv(f32::to_bits);
        for threads in [2, 3, 8] {
            assert_eq!(run(threads).mapv(f32::to_bits), one);
        }
    }

    #[test]
    fn two_pixels_by_hand() {
        // Covariance [[2, 1], [1, 2]]: eigenvalues 3 along (1, 1) and 1 along (1, -1).
        let r = 3f32.sqrt();
        let train = array![[r, r], [-r, -r], [1.0, -1.0], [-1.0, 1.0]] + 5.0;
        for eps in [0.0, 0.5] {
            let (a, b) = ((3.0f64 + eps).sqrt().recip(), (1.0f64 + eps).sqrt().recip());
            let zca = Whitening::fit(train.view(), WhiteningKind::Zca, eps).unwrap();
            let expected = array![[a + b, a - b], [a - b, a + b]] / 2.0;
            assert!(largest_difference(zca.matrix(), &expected) < 1e-6);

            // The mean of the training set is (5, 5), so (6, 5) minus the mean is (1, 0).
            let whitened = zca.apply(array![[6.0, 5.0]].view()).unwrap();
            assert!((whitened[[0, 0]] - (a + b) / 2.0).abs() < 1e-6);
            assert!((whitened[[0, 1]] - (a - b) / 2.0).abs() < 1e-6);

            let pca = WhiteningKind::Pca { components: 1 };
            let pca = Whitening::fit(train.view(), pca, eps).unwrap();
            let whitened = pca.apply(array![[6.0, 6.0]].view()).unwrap();
            assert!((f64::abs(whitened[[0, 0]]) - 2f64.sqrt() * a).abs() < 1e-6);
        }
    }

    #[test]
    fn pixels_that_are_constant_in_the_training_set_become_0() {
        // The last pixel is constant in the training set and not in the test set.
        let train = array![
            [1.0, 2.0, 7.0],
            [3.0, 5.0, 7.0],
            [4.0, 4.0, 7.0],
            [0.0, 9.0, 7.0]
        ];
        let test = array![[1.0, 2.0, 8.0]];
        for eps in [0.0, 1e-3] {
            let zca = Whitening::fit(train.view(), WhiteningKind::Zca, eps).unwrap();
            assert_eq!(zca.apply(test.view()).unwrap()[[0, 2]], 0.0);
            let kind = WhiteningKind::Pca { components: 3 };
            let pca = Whitening::fit(train.view(), kind, eps).unwrap();
            let whitened = pca.apply(test.view()).unwrap();
            assert_eq!(whitened[[0, 2]], 0.0);
            assert!(whitened.iter().all(|x: &f32| x.is_finite()));
        }
        // If all pixels are constant, all become 0, and there is no division by 0.
        let constant = Array2::from_elem((5, 3), 2.0);
        let zca = Whitening::fit(constant.view(), WhiteningKind::Zca, 0.0).unwrap();
        assert_eq!(
            zca.apply(test.view()).unwrap(),
            Array2::<f32>::zeros((1, 3))
        );
    }

    #[test]
    fn images_that_do_not_fit_are_refused() {
        let train = array![[1.0, 2.0], [3.0, 5.0], [4.0, 4.0]];
        let zca = Whitening::fit(train.view(), WhiteningKind::Zca, 0.0).unwrap();
        let error = zca.apply(array![[1.0, 2.0, 3.0]].view()).unwrap_err();
        assert!(matches!(error, Error::ShapeMismatch { .. }));
        let error = zca.apply(array![[1.0, f32::NAN]].view()).unwrap_err();
        assert!(matches!(error, Error::NotFinite { .. }));
        assert_eq!(
            zca.apply(Array2::<f32>::zeros((0, 2)).view())
                .unwrap()
                .dim(),
            (0, 2)
        );
    }

    #[test]
    fn the_real_mnist_is_white_too() {
        let Some(dir) = bn_data::data_dir(None) else {
            println!("skipped: BN_DATA_DIR names no folder with MNIST");
            return;
        };
        let (train, test) = bn_data::Mnist::load(dir).unwrap().into_parts();
        let kind = WhiteningKind::Pca { components: 100 };
        let whitening = Whitening::fit(train.images(), kind, 0.0).unwrap();
        let white = whitening.apply(train.images()).unwrap();
        let difference = largest_difference(&covariance(white.view()), &Array2::eye(100));
        assert!(difference < 1e-4, "{difference}");
        // The statistics are those of the training set, so the test set is only nearly white.
        let white = whitening.apply(test.images()).unwrap();
        let difference = largest_difference(&covariance(white.view()), &Array2::eye(100));
        assert!(difference > 1e-3 && difference < 0.5, "{difference}");
    }
}
