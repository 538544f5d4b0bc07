//! Preprocessing of images, as it is stored with a network.

use bn_data::{Digits, Error, Preprocessing, Standardize};
use ndarray::{Array2, array};

#[test]
fn means_are_for_all_values_for_channels_or_for_each_value() {
    let images = array![[0.0, 10.0, 20.0, 30.0]];
    let prepared = |mean: &[f64], std: &[f64]| {
        let mut images = images.clone();
        let by = Preprocessing::new(0.1, mean, std).unwrap();
        by.apply(images.view_mut()).unwrap();
        images
    };
    assert_eq!(prepared(&[1.0], &[2.0]), array![[-0.5, 0.0, 0.5, 1.0]]);
    // Two pixels of two channels.
    assert_eq!(
        prepared(&[0.0, 1.0], &[1.0, 2.0]),
        array![[0.0, 0.0, 2.0, 1.0]]
    );
    let (mean, std) = ([0.0, 1.0, 2.0, 3.0], [1.0; 4]);
    assert_eq!(prepared(&mean, &std), array![[0.0, 0.0, 0.0, 0.0]]);
}

#[test]
fn a_standardisation_becomes_a_preprocessing() {
    let (train, _) = Digits::load().unwrap().into_parts();
    let standardize = Standardize::fit(train.images()).unwrap();
    let by = Preprocessing::standardized(1.0, &standardize).unwrap();
    let [mut first, mut second] = [(); 2].map(|()| train.images().to_owned());
    standardize.apply(first.view_mut()).unwrap();
    by.apply(second.view_mut()).unwrap();
    assert_eq!(first, second);
}

#[test]
fn impossible_settings_and_images_are_refused() {
    for (scale, mean, std, what) in [
        (0.0, &[0.0][..], &[1.0][..], "the scale"),
        (f64::NAN, &[0.0], &[1.0], "the scale"),
        (f64::INFINITY, &[0.0], &[1.0], "the scale"),
        (1.0, &[], &[], "the number of standard deviations"),
        (
            1.0,
            &[0.0, 1.0],
            &[1.0],
            "the number of standard deviations",
        ),
        (1.0, &[f64::NAN], &[1.0], "a mean"),
        (1.0, &[0.0], &[0.0], "a standard deviation"),
        (1.0, &[0.0], &[-1.0], "a standard deviation"),
    ] {
        let error = Preprocessing::new(scale, mean, std).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
        #[cfg(feature = "serde")]
        {
            let stored = serde_json::json!({"scale": scale, "mean": mean, "std": std});
            assert!(serde_json::from_value::<Preprocessing>(stored).is_err());
        }
    }
    let by = Preprocessing::new(1.0, &[0.0, 1.0], &[1.0, 1.0]).unwrap();
    let mut images = Array2::<f32>::ones((2, 3));
    let error = by.apply(images.view_mut()).unwrap_err();
    assert!(matches!(error, Error::ShapeMismatch { .. }), "{error}");
    let mut images = array![[1.0, 2.0], [1.0, f64::NAN]];
    assert!(by.apply(images.view_mut()).is_err());
    assert_eq!(images.row(0), array![1.0, 2.0]); // as before
}
