//! Augmented mini-batches: what each setting does, and that every image has its own draws.

use crate::batch_source::{SAMPLINGS, check_source, labelled};
use bn_data::{
    Augmentation, Augmented, Batch, BatchSource, BatchState, Batches, Dataset, Error, LastBatch,
    Sampling,
};
use bn_tensor::Pool;
use ndarray::{Array2, ArrayView2, Axis, ShapeBuilder};

fn everything() -> Augmentation {
    Augmentation::default()
        .with_shift(1)
        .with_rotation(30.0)
        .with_flip(0.5)
        .with_noise(0.1)
        .with_erasing(0.5)
}

/// N equal images of 20 x 30 pixels and two channels, without zeros.
fn equal_images(n: usize) -> Dataset {
    let images = Array2::from_shape_fn((n, 1200), |(_, j)| (j + 1) as f32);
    Dataset::new(images, vec![0; n], (20, 30, 2), 1).unwrap()
}

/// The images of one epoch in batches of 50.
fn epoch(data: &Dataset, augmentation: Augmentation) -> Array2<f32> {
    let sampling = Sampling::Permutation(LastBatch::Keep);
    let batches = Batches::with_sampling(data, 50, sampling, 3).unwrap();
    let mut batches = Augmented::new(batches, augmentation).unwrap();
    let mut images = Array2::zeros((0, data.images().ncols()));
    while let Some(batch) = batches.next_batch().unwrap() {
        images.append(Axis(0), batch.images).unwrap();
    }
    images
}

/// The value of channel 0 at row i and column j of each image.
fn pixel(images: &Array2<f32>, n: usize, i: usize, j: usize) -> f32 {
    images[[n, 2 * (30 * i + j)]]
}

#[test]
fn an_augmented_source_keeps_to_the_rules() {
    let data = labelled(11);
    for sampling in SAMPLINGS {
        check_source(|seed| {
            let batches = Batches::with_sampling(&data, 4, sampling, seed).unwrap();
            Augmented::new(batches, everything()).unwrap()
        });
    }
}

#[test]
fn without_settings_nothing_changes() {
    let data = labelled(11);
    let sampling = Sampling::Permutation(LastBatch::Merge);
    let mut plain = Batches::with_sampling(&data, 4, sampling, 5).unwrap();
    let mut augmented = Augmented::new(plain.clone(), Augmentation::default()).unwrap();
    for _ in 0..6 {
        let (a, b) = (plain.next_batch(), augmented.next_batch().unwrap());
        assert_eq!(a.map(|a| a.images), b.map(|b| b.images));
        assert_eq!(a.map(|a| a.labels()), b.map(|b| b.labels()));
    }
}

#[test]
fn the_bits_do_not_depend_on_the_threads() {
    let data = equal_images(120);
    let epochs = [1, 2, 3, 8].map(|threads| {
        let pool = Pool::new(threads).unwrap();
        pool.install(|| epoch(&data, everything()))
    });
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]));
}

#[test]
fn every_image_of_every_epoch_has_its_own_draws() {
    let data = equal_images(40);
    let augmentation = Augmentation::default().with_noise(1.0);
    let batches = Batches::new(&data, 10, 3).unwrap();
    let mut batches = Augmented::new(batches, augmentation).unwrap();
    let mut first_values = Vec::new();
    for _ in 0..3 {
        while let Some(batch) = batches.next_batch().unwrap() {
            first_values.extend(batch.images.column(0).iter().map(|x| x.to_bits()));
        }
    }
    first_values.sort_unstable();
    first_values.dedup();
    // Two normal numbers of single precision are seldom equal.
    assert!(first_values.len() > 110, "{}", first_values.len());
}

/// Each shift from -2 to 2 occurs along each axis, and the pixels are copies.
#[test]
fn shifts_are_uniform() {
    let data = equal_images(1000);
    let images = epoch(&data, Augmentation::default().with_shift(2));
    let mut counts = [[0u32; 5]; 5];
    for n in 0..1000 {
        // The pixel in the middle tells the shift.
        let middle = pixel(&images, n, 10, 15) as usize / 2;
        let (i, j) = (middle / 30, middle % 30);
        counts[12 - i][17 - j] += 1;
        let (down, right) = (10 - i as isize, 15 - j as isize);
        for (y, x) in [(0, 0), (0, 29), (19, 0), (19, 29), (5, 7)] {
            let (from_y, from_x) = (y - down, x - right);
            let is_inside = (0..20).contains(&from_y) && (0..30).contains(&from_x);
            let expected = if is_inside {
                (2 * (30 * from_y + from_x) + 1) as f32
            } else {
                0.0
            };
            assert_eq!(pixel(&images, n, y as usize, x as usize), expected);
        }
    }
    // 40 of each, with a standard deviation of 6.2.
    assert!(
        counts
            .as_flattened()
            .iter()
            .all(|&count| (15..70).contains(&count)),
        "{counts:?}"
    );
}

#[test]
fn a_share_of_the_images_is_mirrored() {
    let data = equal_images(1000);
    let images = epoch(&data, Augmentation::default().with_flip(0.3));
    let is_mirrored = |n: &usize| {
        let is_mirrored = pixel(&images, *n, 0, 0) == 59.0;
        let last = if is_mirrored { 1.0 } else { 59.0 };
        assert_eq!(pixel(&images, *n, 0, 29), last);
        assert_eq!(images[[*n, 1]], if is_mirrored { 60.0 } else { 2.0 }); // the other channel
        is_mirrored
    };
    let mirrored = (0..1000).filter(is_mirrored).count();
    assert!((240..360).contains(&mirrored), "{mirrored}"); // 300, standard deviation 14.5
}

#[test]
fn noise_has_the_standard_deviation() {
    let data = equal_images(50);
    let images = epoch(&data, Augmentation::default().with_noise(2.0));
    let noise: Vec<f64> = images
        .iter()
        .zip(data.images())
        .map(|(a, b)| f64::from(a - b))
        .collect();
    let n = noise.len() as f64;
    let mean = noise.iter().sum::<f64>() / n;
    let variance = noise.iter().map(|x| x * x).sum::<f64>() / n;
    // 60,000 values: the mean is within 0.008 and the variance within 0.023 (one standard deviation).
    assert!(mean.abs() < 0.05, "{mean}");
    assert!((variance - 4.0).abs() < 0.15, "{variance}");
}

#[test]
fn a_rectangle_of_the_right_area_is_erased() {
    let data = equal_images(1000);
    let augmentation = Augmentation::default()
        .with_erasing(0.5)
        .with_erasing_area(0.2);
    let images = epoch(&data, augmentation);
    let mut areas = Vec::new();
    for image in images.outer_iter() {
        let erased: Vec<(usize, usize)> = (0..600)
            .filter(|&at| image[2 * at] == 0.0)
            .map(|at| (at / 30, at % 30))
            .collect();
        assert!((0..600).all(|at| (image[2 * at] == 0.0) == (image[2 * at + 1] == 0.0)));
        let (Some(first), Some(last)) = (erased.first(), erased.last()) else {
            continue;
        };
        let (height, width) = (last.0 - first.0 + 1, last.1 - first.1 + 1);
        assert_eq!(erased.len(), height * width, "not a rectangle");
        areas.push(height * width);
    }
    assert!((430..570).contains(&areas.len()), "{}", areas.len());
    // Between 0.02 and 0.2 of 600 pixels, and a row or column of rounding.
    assert!(
        areas.iter().all(|area| (8..140).contains(area)),
        "{areas:?}"
    );
    assert!(areas.iter().any(|&area| area < 25) && areas.iter().any(|&area| area > 100));
}

/// A rotated image keeps its middle and has zeros in corners; a larger angle moves more.
#[test]
fn rotations_stay_within_their_limit() {
    let images = Array2::from_shape_fn((200, 441), |(_, at)| {
        let (y, x) = ((at / 21) as f32 - 10.0, (at % 21) as f32 - 10.0);
        if x > 0.0 && y.abs() < x { 1.0 } else { 0.0 } // a sector of 45 degrees to either side
    });
    let data = Dataset::new(images, vec![0; 200], (21, 21, 1), 1).unwrap();
    let images = epoch(&data, Augmentation::default().with_rotation(30.0));
    let at = |n: usize, y: isize, x: isize| images[[n, ((y + 10) * 21 + x + 10) as usize]];
    let (mut up, mut down) = (0, 0);
    for n in 0..200 {
        assert!(at(n, 0, 8) > 0.99); // within 45 degrees of the middle of the sector
        assert!(at(n, 8, 0) < 0.01 && at(n, -8, 0) < 0.01 && at(n, 0, -8) < 0.01);
        // 60 degrees from the middle: inside if the angle is above 15.
        up += usize::from(at(n, -7, 4) > 0.5);
        down += usize::from(at(n, 7, 4) > 0.5);
    }
    // A uniform angle in ±30 degrees is beyond 15 in a quarter of the cases to either side.
    assert!(
        (25..75).contains(&up) && (25..75).contains(&down),
        "{up} {down}"
    );
}

#[test]
fn settings_out_of_range_are_refused() {
    let data = labelled(3); // 2 x 2 pixels
    let new = |augmentation| Augmented::new(Batches::new(&data, 2, 0).unwrap(), augmentation);
    let none = Augmentation::default;
    for (augmentation, part) in [
        (none().with_shift(2), "at most 1 for images of 2 x 2 pixels"),
        (none().with_shift(usize::MAX), "at most 1"),
        (none().with_rotation(-1.0), "between 0 and 180"),
        (none().with_rotation(f64::NAN), "between 0 and 180"),
        (none().with_flip(1.1), "between 0 and 1"),
        (none().with_flip(f64::NAN), "between 0 and 1"),
        (none().with_noise(-0.1), "at least 0"),
        (none().with_noise(1e40), "finite"),
        (none().with_noise(f64::INFINITY), "finite"),
        (none().with_erasing(-0.5), "between 0 and 1"),
        (none().with_erasing_area(0.01), "between 0.02 and 1"),
        (none().with_erasing_area(1.5), "between 0.02 and 1"),
    ] {
        let error = new(augmentation).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let most = none()
        .with_shift(1)
        .with_rotation(180.0)
        .with_flip(1.0)
        .with_erasing(1.0)
        .with_erasing_area(0.02);
    assert!(new(most).unwrap().next_batch().unwrap().is_some());
    // A noise that is finite in f64 only.
    let double = data.to::<f64>();
    let batches = Batches::new(&double, 2, 0).unwrap();
    assert!(Augmented::new(batches, none().with_noise(1e40)).is_ok());
}

#[test]
fn images_without_pixels_are_no_problem() {
    let data = Dataset::new(Array2::<f32>::zeros((3, 0)), vec![0; 3], (0, 4, 1), 1).unwrap();
    let augmentation = Augmentation::default()
        .with_rotation(9.0)
        .with_erasing(1.0)
        .with_noise(1.0);
    let mut batches = Augmented::new(Batches::new(&data, 2, 0).unwrap(), augmentation).unwrap();
    assert_eq!(batches.next_batch().unwrap().unwrap().images.dim(), (2, 0));
}

/// A source from outside, which may lie about its batches.
struct Outside {
    images: Array2<f32>,
    announced: usize,
}

impl BatchSource for Outside {
    fn next_batch(&mut self) -> Result<Option<Batch<'_>>, Error> {
        let (images, targets) = (self.images.view(), [0, 0][..].into());
        Ok(Some(Batch { images, targets }))
    }
    fn batches_per_epoch(&self) -> usize {
        1
    }
    fn batch_sizes(&self) -> Vec<usize> {
        vec![self.announced]
    }
    fn image_shape(&self) -> (usize, usize, usize) {
        (1, 2, 2)
    }
    fn state(&self) -> BatchState {
        BatchState {
            seed: 0,
            epoch: 0,
            position: 0,
        }
    }
    fn restore(&mut self, _: BatchState) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn a_source_from_outside() {
    let mut images = Array2::zeros((2, 4).f()); // not in row-major order
    images.assign(&ArrayView2::from(&[
        [1.0, 2.0, 3.0, 4.0],
        [5.0, 6.0, 7.0, 8.0],
    ]));
    let mirrored = Augmentation::default().with_flip(1.0);
    let mut source = Outside {
        images: images.clone(),
        announced: 2,
    };
    let mut augmented = Augmented::new(&mut source, mirrored).unwrap();
    let batch = augmented.next_batch().unwrap().unwrap();
    assert_eq!(
        batch.images,
        ArrayView2::from(&[[3.0, 4.0, 1.0, 2.0], [7.0, 8.0, 5.0, 6.0]])
    );

    for (images, announced) in [(images, 1), (Array2::zeros((2, 5)), 2)] {
        let source = Outside { images, announced };
        let error = Augmented::new(source, mirrored)
            .unwrap()
            .next_batch()
            .unwrap_err();
        assert!(matches!(error, Error::ShapeMismatch { .. }), "{error}");
    }
}

#[cfg(feature = "serde")]
#[test]
fn settings_are_plain_json() {
    let json = serde_json::to_string(&everything()).unwrap();
    assert_eq!(
        serde_json::from_str::<Augmentation>(&json).unwrap(),
        everything()
    );
    let partly = serde_json::from_str::<Augmentation>(r#"{"shift": 2}"#).unwrap();
    assert_eq!(partly, Augmentation::default().with_shift(2));
    let error = serde_json::from_str::<Augmentation>(r#"{"shfit": 2}"#).unwrap_err();
    assert!(error.to_string().contains("unknown field"), "{error}");
}
