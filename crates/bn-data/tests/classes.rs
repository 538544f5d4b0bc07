//! Classes: counts, weights, choices, stratified splits and balanced batches.

use crate::batch_source::{check_source, labelled};
use bn_data::{Batches, Dataset, Error, Sampling};
use ndarray::{Array2, array};

/// Images of one pixel, their numbers, with as many of each class as `counts` says, in turns.
fn with_counts(counts: &[usize]) -> Dataset {
    let mut labels = Vec::new();
    for turn in 0..counts.iter().copied().max().unwrap_or(0) {
        labels.extend((0..counts.len()).filter(|&class| turn < counts[class]));
    }
    let images = Array2::from_shape_fn((labels.len(), 1), |(i, _)| i as f32);
    Dataset::new(images, labels, (1, 1, 1), counts.len()).unwrap()
}

fn values() -> Dataset {
    Dataset::with_values(Array2::zeros((4, 1)), Array2::zeros((4, 1)), (1, 1, 1)).unwrap()
}

#[test]
fn counts_and_weights() {
    let data = with_counts(&[1, 5, 2]);
    assert_eq!(data.class_counts().unwrap(), [1, 5, 2]);
    // compute_class_weight("balanced", classes=[0, 1, 2], y=...) of scikit-learn
    let expected = [
        2.666_666_666_666_666_5,
        0.533_333_333_333_333_3,
        1.333_333_333_333_333_3,
    ];
    assert_eq!(data.class_weights().unwrap(), expected);
    assert_eq!(data.take(0).class_counts().unwrap(), [0, 0, 0]);
    let error = with_counts(&[2, 0]).class_weights().unwrap_err();
    assert!(matches!(error, Error::EmptyClass { class: 1 }), "{error}");
}

#[test]
fn values_have_no_classes() {
    let data = values();
    for error in [
        data.class_counts().map(drop),
        data.class_weights().map(drop),
        data.select_classes(&[0]).map(drop),
        data.split_stratified(0.5, 1).map(drop),
        Batches::with_sampling(&data, 1, Sampling::Balanced, 1).map(drop),
    ] {
        assert!(matches!(error, Err(Error::NoLabels { .. })), "{error:?}");
    }
}

#[test]
fn chosen_classes_get_new_labels() {
    let data = with_counts(&[2, 3, 1, 2]); // labels 0 1 2 3 0 1 3 1
    let chosen = data.select_classes(&[3, 1]).unwrap();
    assert_eq!(
        (chosen.labels(), chosen.classes()),
        (&[1, 0, 1, 0, 1][..], 2)
    );
    assert_eq!(chosen.images(), array![[1.0], [3.0], [5.0], [6.0], [7.0]]);
    assert_eq!(data.select_classes(&[0, 1, 2, 3]).unwrap(), data);
    assert!(data.select_classes(&[]).unwrap().is_empty());
    assert_eq!(
        labelled(4).select_classes(&[1]).unwrap().image_shape(),
        (2, 2, 1)
    );

    let error = data.select_classes(&[0, 4]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::LabelOutOfRange {
                index: 1,
                label: 4,
                classes: 4
            }
        ),
        "{error}"
    );
    let error = data.select_classes(&[0, 1, 0]).unwrap_err();
    assert!(
        error.to_string().contains("0 for the second time"),
        "{error}"
    );
}

/// Each class has its share of the validation images to less than one image, and their sum is right.
#[test]
fn a_stratified_split_has_the_proportions_of_the_whole() {
    for counts in [&[40, 10, 50][..], &[1, 1, 1, 97], &[7, 0, 13, 29, 3], &[5]] {
        let data = with_counts(counts);
        let n = data.len();
        for rate in [0.07, 0.2, 0.5, 0.731, 0.99] {
            let Ok((train, validation)) = data.split_stratified(rate, 3) else {
                assert_eq!((n as f64 * rate) as usize, 0, "{counts:?} {rate}");
                continue;
            };
            let total = (n as f64 * rate) as usize;
            assert_eq!((train.len(), validation.len()), (n - total, total));
            for (count, chosen) in counts.iter().zip(validation.class_counts().unwrap()) {
                let exact = *count as f64 * total as f64 / n as f64;
                assert!((chosen as f64 - exact).abs() < 1.0, "{counts:?} {rate}");
            }
            let numbers = |data: &Dataset| data.images().iter().map(|&x| x as usize).collect();
            let (train, validation): (Vec<usize>, Vec<usize>) =
                (numbers(&train), numbers(&validation));
            let mut all = [train.clone(), validation].concat();
            assert!(!train.is_sorted() || train.len() < 5, "the order is random");
            all.sort_unstable();
            assert_eq!(all, (0..n).collect::<Vec<_>>());
        }
    }
    let data = with_counts(&[40, 10, 50]);
    assert_eq!(
        data.split_stratified(0.2, 3).unwrap(),
        data.split_stratified(0.2, 3).unwrap()
    );
    assert_ne!(
        data.split_stratified(0.2, 3).unwrap(),
        data.split_stratified(0.2, 4).unwrap()
    );
}

#[test]
fn a_stratified_split_with_an_empty_part_is_refused() {
    let data = with_counts(&[5, 5]);
    for rate in [0.0, 0.09, 1.0, 2.0, -0.5, f64::NAN, f64::INFINITY] {
        let error = data.split_stratified(rate, 1).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Setting {
                    what: "the validation rate",
                    ..
                }
            ),
            "{error}"
        );
    }
    assert!(data.take(0).split_stratified(0.5, 1).is_err());
}

/// In every epoch the numbers of the classes differ by at most one, whatever their sizes.
#[test]
fn balanced_batches_have_each_class_equally_often() {
    let data = with_counts(&[1, 200, 0, 20]);
    let mut batches = Batches::with_sampling(&data, 20, Sampling::Balanced, 3).unwrap();
    assert_eq!(batches.batches_per_epoch(), 11);
    let mut seen = vec![0; data.len()];
    let mut first_batch = [0; 4];
    for epoch in 0..20 {
        let mut counts = [0usize; 4];
        while let Some(batch) = batches.next_batch() {
            assert_eq!(batch.len(), 20);
            for (&label, &image) in batch.labels().iter().zip(batch.images) {
                counts[label] += 1;
                seen[image as usize] += 1;
                assert_eq!(data.labels()[image as usize], label);
            }
            if epoch == 0 {
                batch
                    .labels()
                    .iter()
                    .for_each(|&label| first_batch[label] += 1);
            }
        }
        assert_eq!(counts.iter().sum::<usize>(), 220);
        assert_eq!(counts[2], 0);
        for class in [0, 1, 3] {
            assert!((73..=74).contains(&counts[class]), "{counts:?}");
        }
    }
    // The images of a class are drawn at random: the 20 of class 3 about 73 times each in 20 epochs.
    let of_class_3 = (0..data.len()).filter(|&image| data.labels()[image] == 3);
    assert!(
        of_class_3
            .map(|image| seen[image])
            .all(|count| (35..115).contains(&count))
    );
    // The classes are mixed within an epoch.
    assert!(first_batch.iter().filter(|&&count| count > 0).count() == 3);
}

#[test]
fn balanced_batches_keep_to_the_rules() {
    let data = with_counts(&[3, 9, 1]);
    for batch_size in [1, 4, 13] {
        check_source(|seed| {
            Batches::with_sampling(&data, batch_size, Sampling::Balanced, seed).unwrap()
        });
    }
    assert!(Batches::with_sampling(&data, 14, Sampling::Balanced, 1).is_err());
}
