//! Drawing each class equally often.

use std::ops::Range;

use bn_tensor::Scalar;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::{dataset::Dataset, error::Result};

/// The images of each class that has any.
#[derive(Clone, Debug)]
pub(super) struct ByClass {
    images: Vec<usize>,         // class after class
    classes: Vec<Range<usize>>, // of `images`
}

impl ByClass {
    pub(super) fn new<T: Scalar>(data: &Dataset<T>) -> Result<Self> {
        let labels = data.labels_for("Sampling::Balanced")?;
        let mut images: Vec<usize> = (0..labels.len()).collect();
        images.sort_by_key(|&image| labels[image]);
        let (mut classes, mut start) = (Vec::new(), 0);
        for class in images.chunk_by(|&a, &b| labels[a] == labels[b]) {
            classes.push(start..start + class.len());
            start += class.len();
        }
        Ok(ByClass { images, classes })
    }

    /// Fills `order` with images, as many of each class (to one).
    pub(super) fn draw(&self, rng: &mut Xoshiro256PlusPlus, order: &mut [usize]) {
        let classes = self.classes.iter().cycle();
        let first = rng.random_range(0..self.classes.len());
        for (at, class) in order.iter_mut().zip(classes.skip(first)) {
            *at = self.images[rng.random_range(class.clone())];
        }
        order.shuffle(rng);
    }
}
