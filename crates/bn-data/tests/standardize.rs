//! Standardisation by the statistics of the training set.

use bn_data::{Digits, Error, Standardize};
use ndarray::{Array2, Axis, array};

#[test]
fn the_training_set_gets_mean_0_and_variance_1() {
    let (mut train, mut test) = Digits::load().unwrap().into_parts();
    let raw_train = train.images().mapv(f64::from);
    let raw_test = test.images().mapv(f64::from);
    let standardize = Standardize::fit(train.images()).unwrap();
    standardize.apply(train.images_mut()).unwrap();
    standardize.apply(test.images_mut()).unwrap();

    let mut constant = 0;
    for (j, column) in train
        .images()
        .mapv(f64::from)
        .axis_iter(Axis(1))
        .enumerate()
    {
        let (mean, std) = (column.mean().unwrap(), column.std(0.0));
        assert!(mean.abs() < 1e-6, "{mean}");
        if raw_train.column(j).std(0.0) == 0.0 {
            constant += 1;
            assert_eq!(std, 0.0);
        } else {
            assert!((std - 1.0).abs() < 1e-5, "{std}");
        }
        // The test set is standardised by the training set's statistics, not by its own.
        let (train_mean, train_std) = (
            raw_train.column(j).mean().unwrap(),
            raw_train.column(j).std(0.0),
        );
        let divisor = if train_std == 0.0 { 1.0 } else { train_std };
        for (x, raw) in test.images().column(j).iter().zip(raw_test.column(j)) {
            let expected = (raw - train_mean) / divisor;
            assert!((f64::from(*x) - expected).abs() < 1e-5 * (1.0 + expected.abs()));
        }
    }
    assert!(constant > 0, "the digits' corners are constant");
}

#[test]
fn a_large_mean_costs_no_precision() {
    // 1e4 and, for every third, 1e4 + 1: E[x²] - E[x]² in f32 would give nonsense.
    let images = Array2::from_shape_fn((999, 1), |(i, _)| 1e4 + f32::from(u8::from(i % 3 == 0)));
    let standardize = Standardize::fit(images.view()).unwrap();
    assert!((standardize.mean()[0] - (1e4 + 1.0 / 3.0)).abs() < 1e-9);
    assert!((standardize.std()[0] - (2.0f64 / 9.0).sqrt()).abs() < 1e-9);
}

#[test]
fn a_constant_pixel_is_constant_whatever_its_value() {
    let images = Array2::from_elem((60_000, 1), 0.1f32);
    let standardize = Standardize::fit(images.view()).unwrap();
    assert_eq!(
        (standardize.mean(), standardize.std()),
        (&[f64::from(0.1f32)][..], &[1.0][..])
    );
}

#[test]
fn nan_and_infinity_are_refused_and_nothing_changes() {
    let good = array![[1.0, 2.0], [3.0, 5.0]];
    let standardize = Standardize::fit(good.view()).unwrap();
    for bad_value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut bad = good.clone();
        bad[[1, 0]] = bad_value;
        let error = Standardize::fit(bad.view()).unwrap_err();
        assert!(matches!(error, Error::NotFinite { row: 1, column: 0 }));
        let error = standardize.apply(bad.view_mut()).unwrap_err();
        assert!(matches!(error, Error::NotFinite { row: 1, column: 0 }));
        assert_eq!(bad[[0, 0]], 1.0);
    }
}

#[test]
fn wrong_shapes_are_refused() {
    assert!(matches!(
        Standardize::fit(Array2::<f32>::zeros((0, 3)).view()),
        Err(Error::Empty { .. })
    ));
    let standardize = Standardize::fit(array![[1.0, 2.0]].view()).unwrap();
    let mut wide = Array2::<f32>::ones((1, 3));
    let error = standardize.apply(wide.view_mut()).unwrap_err();
    assert!(matches!(error, Error::ShapeMismatch { .. }));
    assert_eq!(wide, Array2::<f32>::ones((1, 3)));
    standardize
        .apply(Array2::<f32>::zeros((0, 2)).view_mut())
        .unwrap();
}
