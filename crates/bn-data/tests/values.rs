//! Data sets of values, of both scalar types, and data sets from plain arrays.

use bn_data::{Batches, Dataset, Error, LastBatch, Sampling, Standardize, Targets};
use ndarray::{Array2, ArrayView2, Axis, ShapeBuilder, array};

/// N rows of two values, the first of which is the row's number i; the targets are i + 0.5 and -i.
fn numbered(n: usize) -> Dataset<f64> {
    let x = Array2::from_shape_fn((n, 2), |(i, j)| if j == 0 { i as f64 } else { 7.0 });
    Dataset::with_values(x.clone(), targets_of(x.view()), (1, 2, 1)).unwrap()
}

fn targets_of(x: ArrayView2<'_, f64>) -> Array2<f64> {
    Array2::from_shape_fn((x.nrows(), 2), |(i, j)| match j {
        0 => x[[i, 0]] + 0.5,
        _ => -x[[i, 0]],
    })
}

fn values<'a>(targets: Targets<'a, f64>) -> ArrayView2<'a, f64> {
    match targets {
        Targets::Dense(values) => values,
        Targets::Labels(labels) => panic!("labels {labels:?}"),
    }
}

/// The numbers of the rows, whose targets must be theirs.
fn numbers(data: &Dataset<f64>) -> Vec<usize> {
    assert_eq!(values(data.targets()), targets_of(data.images()));
    data.images()
        .column(0)
        .iter()
        .map(|&x| x as usize)
        .collect()
}

#[test]
fn values_have_neither_labels_nor_classes() {
    let data = numbered(3);
    assert_eq!((data.len(), data.classes(), data.labels()), (3, 0, &[][..]));
    assert_eq!(data.image_shape(), (1, 2, 1));
    assert_eq!(data.targets().len(), 3);
    assert!(matches!(data.one_hot(), Err(Error::NoLabels { .. })));
}

#[test]
fn every_part_keeps_rows_and_values_together() {
    let data = numbered(20);
    assert_eq!(numbers(&data.take(3)), [0, 1, 2]);
    assert_eq!(numbers(&data.select(&[4, 0, 4]).unwrap()), [4, 0, 4]);
    assert!(data.select(&[]).unwrap().is_empty());
    let mut shuffled = numbers(&data.shuffled(1));
    assert_ne!(shuffled, numbers(&data));
    shuffled.sort_unstable();
    assert_eq!(shuffled, numbers(&data));
    let (train, validation) = data.split_validation(0.25, 3).unwrap();
    let mut all = [numbers(&train), numbers(&validation)].concat();
    assert_eq!((train.len(), validation.len()), (15, 5));
    all.sort_unstable();
    assert_eq!(all, numbers(&data));
    let chunks: Vec<_> = data.chunks(8).unwrap().collect();
    assert_eq!(
        chunks.iter().map(|chunk| chunk.len()).collect::<Vec<_>>(),
        [8, 8, 4]
    );
    for chunk in chunks {
        assert_eq!(values(chunk.targets), targets_of(chunk.images));
        assert!(chunk.labels().is_empty());
    }
}

#[test]
fn batches_keep_rows_and_values_together() {
    let data = numbered(20);
    for sampling in [
        Sampling::Permutation(LastBatch::Merge),
        Sampling::WithReplacement,
    ] {
        let mut batches = Batches::with_sampling(&data, 6, sampling, 5).unwrap();
        for _ in 0..2 {
            let mut rows = Vec::new();
            while let Some(batch) = batches.next_batch() {
                assert_eq!(values(batch.targets), targets_of(batch.images));
                rows.extend(batch.images.column(0).iter().map(|&x| x as usize));
            }
            if sampling != Sampling::WithReplacement {
                rows.sort_unstable();
                assert_eq!(rows, numbers(&data));
            }
        }
    }
}

#[test]
fn other_images_keep_the_values() {
    let data = numbered(4);
    let mut rows = data.images().to_owned();
    Standardize::fit(rows.view())
        .unwrap()
        .apply(rows.view_mut())
        .unwrap();
    let standardized = data.with_images(rows.clone()).unwrap();
    assert_eq!(standardized.images(), rows);
    assert_eq!(values(standardized.targets()), values(data.targets()));
    assert!(rows.column(0).sum().abs() < 1e-12);
    let wider = data.with_images(Array2::zeros((4, 5))).unwrap();
    assert_eq!(wider.image_shape(), (1, 1, 5));
    let error = data.with_images(Array2::zeros((5, 2))).unwrap_err();
    assert!(matches!(error, Error::ShapeMismatch { .. }), "{error}");
}

#[test]
fn any_memory_layout_is_accepted() {
    let data = numbered(4);
    let mut columns_first = Array2::zeros((4, 2).f());
    columns_first.assign(&values(data.targets()));
    let same = Dataset::with_values(data.images().to_owned(), columns_first, (1, 2, 1)).unwrap();
    assert_eq!(same, data);
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let refused = |x: Array2<f32>, t: Array2<f32>, shape, part: &str| {
        let error = Dataset::with_values(x, t, shape).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    };
    refused(
        Array2::zeros((3, 4)),
        Array2::zeros((2, 1)),
        (1, 1, 4),
        "(3, E)",
    );
    refused(
        Array2::zeros((3, 4)),
        Array2::zeros((3, 1)),
        (1, 1, 5),
        "(N, 1*1*5)",
    );
    refused(
        Array2::zeros((3, 4)),
        Array2::zeros((3, 1)),
        (usize::MAX, 2, 1),
        "(N, ",
    );
}

#[test]
fn arrays_and_rows_give_the_same_data_set() {
    let x = array![[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]];
    let data = Dataset::from_arrays(x.clone(), array![2, 0, 2]).unwrap();
    assert_eq!((data.classes(), data.image_shape()), (3, (1, 1, 2)));
    assert_eq!(
        data,
        Dataset::new(x.clone(), vec![2, 0, 2], (1, 1, 2), 3).unwrap()
    );
    let rows = x.outer_iter().map(|row| row.to_vec()).zip([2, 0, 2]);
    assert_eq!(data, Dataset::from_rows(rows).unwrap());

    let error = Dataset::from_arrays(x, [0, 1]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::CountMismatch {
                images: 3,
                labels: 2
            }
        ),
        "{error}"
    );
    let ragged = [(vec![1.0f32, 2.0], 0), (vec![3.0], 1)];
    let error = Dataset::from_rows(ragged).unwrap_err();
    assert!(
        matches!(
            error,
            Error::RowLength {
                row: 1,
                expected: 2,
                got: 1
            }
        ),
        "{error}"
    );

    let empty = Dataset::<f32>::from_rows::<Vec<f32>>([]).unwrap();
    assert_eq!(
        (empty.len(), empty.classes(), empty.images().dim()),
        (0, 0, (0, 0))
    );
}

#[test]
fn another_scalar_type_keeps_everything() {
    let data = numbered(5);
    let single = data.to::<f32>();
    assert_eq!(single.images(), data.images().mapv(|x| x as f32));
    assert_eq!(single.to::<f64>(), data); // halves of small integers are exact
    let labels = Dataset::from_arrays(array![[0.1f64], [1e300]], [0, 4])
        .unwrap()
        .to::<f32>();
    assert_eq!((labels.labels(), labels.classes()), (&[0, 4][..], 5));
    assert_eq!(labels.images(), array![[0.1f32], [f32::INFINITY]]);
}

/// The statistics of `f64` data are those of the values, not of values rounded to `f32`.
#[test]
fn double_precision_is_not_rounded() {
    let x = array![[1e9f64 + 0.25], [1e9 + 0.75]];
    let standardize = Standardize::fit(x.view()).unwrap();
    assert_eq!(
        (standardize.mean(), standardize.std()),
        (&[1e9 + 0.5][..], &[0.25][..])
    );
    let mut scaled = x.clone();
    standardize.apply(scaled.view_mut()).unwrap();
    assert_eq!(scaled.index_axis(Axis(1), 0), array![-1.0, 1.0]);
}
