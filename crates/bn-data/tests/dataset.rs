//! Data sets: views, encodings and splits.

use bn_data::{Dataset, Error};
use ndarray::{Array2, Array4, ShapeBuilder, array};

fn images(n: usize) -> Array2<f32> {
    Array2::from_shape_fn((n, 12), |(i, j)| (12 * i + j) as f32)
}

fn data(n: usize) -> Dataset {
    Dataset::new(images(n), (0..n).map(|i| i % 3).collect(), (2, 3, 2), 3).unwrap()
}

#[test]
fn images_have_channels_last() {
    let data = data(4);
    let expected = Array4::from_shape_fn((4, 2, 3, 2), |(n, h, w, c)| {
        (12 * n + 6 * h + 2 * w + c) as f32
    });
    assert_eq!(data.images_4d(), expected);
    assert_eq!(
        (data.height(), data.width(), data.channels(), data.classes()),
        (2, 3, 2, 3)
    );
    assert_eq!(data.to::<f64>().images(), images(4).mapv(f64::from));
}

#[test]
fn any_memory_layout_is_accepted() {
    let mut columns_first = Array2::zeros((4, 12).f());
    columns_first.assign(&images(4));
    let data = Dataset::new(columns_first, vec![0; 4], (2, 3, 2), 1).unwrap();
    assert_eq!(data.images(), images(4));
    assert_eq!(data.images_4d().dim(), (4, 2, 3, 2));
}

#[test]
fn images_of_four_axes_need_no_shape() {
    let channels_last = Array4::from_shape_fn((4, 2, 3, 2), |(n, h, w, c)| {
        (12 * n + 6 * h + 2 * w + c) as f32
    });
    let labels = || (0..4).map(|i| i % 3);
    let from_rows = Dataset::from_images(channels_last.clone(), labels()).unwrap();
    assert_eq!(from_rows, data(4));
    // The same pixels, with the channels first in memory.
    let channels_first = channels_last.view().permuted_axes([0, 3, 1, 2]);
    let channels_first = channels_first.as_standard_layout().into_owned();
    let permuted = channels_first.permuted_axes([0, 2, 3, 1]);
    assert!(!permuted.is_standard_layout());
    assert_eq!(Dataset::from_images(permuted, labels()).unwrap(), data(4));

    let empty = Dataset::from_images(Array4::<f32>::zeros((0, 5, 4, 3)), []).unwrap();
    assert_eq!((empty.images().dim(), empty.classes()), ((0, 60), 0));
    assert!(matches!(
        Dataset::from_images(channels_last, [0, 1]),
        Err(Error::CountMismatch {
            images: 4,
            labels: 2
        })
    ));
}

#[test]
fn inconsistent_parts_are_refused() {
    let new = |n, labels: &[usize], shape, classes| {
        Dataset::new(images(n), labels.to_vec(), shape, classes).unwrap_err()
    };
    let error = new(2, &[0, 1], (2, 3, 1), 3);
    assert!(matches!(error, Error::ShapeMismatch { .. }));
    let error = new(2, &[0, 1], (usize::MAX, usize::MAX, 2), 3);
    assert!(matches!(error, Error::ShapeMismatch { .. }));
    let error = new(2, &[0], (2, 3, 2), 3);
    assert!(matches!(
        error,
        Error::CountMismatch {
            images: 2,
            labels: 1
        }
    ));
    let error = new(2, &[0, 3], (2, 3, 2), 3);
    assert!(matches!(
        error,
        Error::LabelOutOfRange {
            index: 1,
            label: 3,
            classes: 3
        }
    ));
    let error = data(3).select(&[0, 3]).unwrap_err();
    assert!(matches!(error, Error::IndexOutOfRange { index: 3, len: 3 }));
    let error = data(3).with_images(images(4)).unwrap_err();
    assert!(matches!(error, Error::CountMismatch { .. }));
}

#[test]
fn one_hot_has_a_one_at_the_label() {
    let one_hot = data(4).one_hot().unwrap();
    assert_eq!(
        one_hot,
        array![[1., 0., 0.], [0., 1., 0.], [0., 0., 1.], [1., 0., 0.]]
    );
}

#[test]
fn take_and_select_keep_images_and_labels_together() {
    let data = data(5);
    assert_eq!(data.take(2), data.select(&[0, 1]).unwrap());
    assert_eq!(data.take(9), data);
    assert!(data.take(0).is_empty());
    assert_eq!(data.take(2).images_4d().dim(), (2, 2, 3, 2));
    assert_eq!(data.shuffled(1).images_4d().dim(), (5, 2, 3, 2));
    assert_eq!(data.select(&[]).unwrap().images_4d().dim(), (0, 2, 3, 2));
    let selected = data.select(&[4, 0, 4]).unwrap();
    assert_eq!(selected.labels(), [1, 0, 1]);
    assert_eq!(selected.images().row(0), data.images().row(4));
    assert_eq!(selected.images().row(1), data.images().row(0));
}

/// The numbers of the images, read from their first pixels.
fn numbers(data: &Dataset) -> Vec<usize> {
    let numbers: Vec<usize> = data
        .images()
        .column(0)
        .iter()
        .map(|&x| x as usize / 12)
        .collect();
    assert!(
        numbers
            .iter()
            .map(|number| number % 3)
            .eq(data.labels().iter().copied())
    );
    numbers
}

#[test]
fn a_split_has_each_image_once() {
    let data = data(50);
    let (train, validation) = data.split_validation(0.21, 7).unwrap(); // 10.5 images
    assert_eq!((train.len(), validation.len()), (40, 10));
    let mut all = [numbers(&train), numbers(&validation)].concat();
    assert_ne!(all, (0..50).collect::<Vec<_>>());
    all.sort_unstable();
    assert_eq!(all, (0..50).collect::<Vec<_>>());

    assert_eq!(
        data.split_validation_count(10, 7).unwrap(),
        (train.clone(), validation)
    );
    assert_ne!(data.split_validation_count(10, 8).unwrap().0, train);
}

#[test]
fn a_split_with_an_empty_part_is_refused() {
    let data = data(10);
    for rate in [0.0, 0.09, 1.0, 2.0, -0.5, f64::NAN, f64::INFINITY] {
        let error = data.split_validation(rate, 1).unwrap_err();
        assert!(matches!(
            error,
            Error::Setting {
                what: "the validation rate",
                ..
            }
        ));
    }
    assert!(data.split_validation_count(0, 1).is_err());
    assert!(data.split_validation_count(10, 1).is_err());
    assert!(data.take(0).split_validation(0.5, 1).is_err());
}

#[test]
fn shuffling_moves_images_with_their_labels() {
    let data = data(30);
    let shuffled = data.shuffled(5);
    assert_eq!(shuffled, data.shuffled(5));
    assert_ne!(shuffled, data.shuffled(6));
    let mut all = numbers(&shuffled);
    assert_ne!(all, numbers(&data));
    all.sort_unstable();
    assert_eq!(all, numbers(&data));
}

#[test]
fn chunks_cover_all_images_in_order() {
    let data = data(7);
    let chunks: Vec<_> = data.chunks(3).unwrap().collect();
    assert_eq!(chunks.len(), 3);
    assert_eq!(
        chunks[2].images,
        data.images().select(ndarray::Axis(0), &[6])
    );
    assert_eq!(chunks[1].labels(), &data.labels()[3..6]);
    assert!(data.chunks(0).is_err());
    assert_eq!(data.take(0).chunks(3).unwrap().count(), 0);
}

#[test]
fn other_images_keep_the_labels() {
    let data = data(3);
    let doubled = data.with_images(images(3) * 2.0).unwrap();
    assert_eq!(doubled.images_4d().dim(), (3, 2, 3, 2));
    let fewer = data.with_images(Array2::zeros((3, 5))).unwrap();
    assert_eq!(fewer.images_4d().dim(), (3, 1, 1, 5));
    assert_eq!(fewer.labels(), data.labels());
}
