//! The random draws for one image.

use std::ops::Range;

use bn_tensor::Scalar;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{Augmentation, LEAST_ERASED};

/// The range of a rectangle's height divided by its width, and its logarithm.
const RATIO: (f64, f64) = (0.3, 1.0 / 0.3);
/// How many rectangles are drawn before none is erased.
const ATTEMPTS: usize = 10;

/// How an image is moved.
pub(super) struct Motion {
    pub(super) is_flipped: bool,
    pub(super) angle: f64, // radians
    pub(super) down: isize,
    pub(super) right: isize,
}

/// Rows and columns of pixels.
pub(super) struct Rectangle {
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
}

pub(super) fn motion(settings: &Augmentation, rng: &mut Xoshiro256PlusPlus) -> Motion {
    let is_flipped = rng.random_bool(settings.flip);
    let angle = (2.0 * rng.random::<f64>() - 1.0) * settings.rotation.to_radians();
    let most = settings.shift; // below the size of an image
    let mut shift = || rng.random_range(0..=2 * most) as isize - most as isize;
    let (down, right) = (shift(), shift());
    Motion {
        is_flipped,
        angle,
        down,
        right,
    }
}

pub(super) fn add_noise<T: Scalar>(
    settings: &Augmentation,
    rng: &mut Xoshiro256PlusPlus,
    image: &mut [T],
) {
    if settings.noise > 0.0 {
        for x in image {
            let normal: f64 = StandardNormal.sample(rng);
            *x += T::from_f64(settings.noise * normal);
        }
    }
}

pub(super) fn erased(
    settings: &Augmentation,
    rng: &mut Xoshiro256PlusPlus,
    (height, width, _): (usize, usize, usize),
) -> Option<Rectangle> {
    if !rng.random_bool(settings.erasing) {
        return None;
    }
    let pixels = height as f64 * width as f64;
    for _ in 0..ATTEMPTS {
        let area = pixels * rng.random_range(LEAST_ERASED..=settings.erasing_area);
        let ratio = rng.random_range(RATIO.0.ln()..=RATIO.1.ln()).exp();
        let rows = (area * ratio).sqrt().round() as usize;
        let columns = (area / ratio).sqrt().round() as usize;
        if rows < height && columns < width {
            let top = rng.random_range(0..=height - rows);
            let left = rng.random_range(0..=width - columns);
            return Some(Rectangle {
                rows: top..top + rows,
                columns: left..left + columns,
            });
        }
    }
    None
}
