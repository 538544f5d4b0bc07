//! What every source of mini-batches keeps to, tried on each source of this crate.

use bn_data::{BatchSource, BatchState, Batches, Dataset, Error, LastBatch, Sampling, Targets};
use ndarray::Array2;

/// Everything that a batch has, as bits.
type Bits = (Vec<u32>, Vec<usize>, Vec<u32>);

fn bits(source: &mut dyn BatchSource) -> Option<Bits> {
    let batch = source.next_batch().unwrap()?;
    let values = match batch.targets {
        Targets::Labels(_) => Vec::new(),
        Targets::Dense(values) => values.iter().map(|x| x.to_bits()).collect(),
    };
    let images = batch.images.iter().map(|x| x.to_bits()).collect();
    assert_eq!(batch.images.nrows(), batch.targets.len());
    Some((images, batch.labels().to_vec(), values))
}

/// Tries everything that [`BatchSource`] promises on sources that `make` creates, which must be equal but
/// for the seed.
pub(crate) fn check_source<S: BatchSource>(make: impl Fn(u64) -> S) {
    let mut source = make(7);
    let (h, w, c) = source.image_shape();
    let start = source.state();
    assert_eq!(
        start,
        BatchState {
            seed: 7,
            epoch: 0,
            position: 0
        }
    );

    // Three epochs, with the state before each call.
    let mut stream = Vec::new();
    let mut sizes = Vec::new();
    for epoch in 0..3 {
        for position in 0..=source.batches_per_epoch() {
            let state = source.state();
            assert_eq!(
                state,
                BatchState {
                    seed: 7,
                    epoch,
                    position
                }
            );
            let batch = bits(&mut source);
            assert_eq!(batch.is_none(), position == source.batches_per_epoch());
            if let Some((images, labels, _)) = &batch {
                let rows = images.len() / (h * w * c);
                assert!(labels.is_empty() || labels.len() == rows);
                assert!(source.batch_sizes().contains(&rows), "{rows}");
                sizes.push(rows);
            }
            stream.push((state, batch));
        }
    }
    // The sizes are those that occur, each once.
    let mut announced = source.batch_sizes();
    assert_eq!(announced[0], sizes[0]);
    announced.sort_unstable();
    sizes.sort_unstable();
    sizes.dedup();
    assert_eq!(announced, sizes);

    // A source with another seed, in the middle of its second epoch, continues from each state.
    let mut other = make(8);
    for _ in 0..other.batches_per_epoch() + 2 {
        bits(&mut other);
    }
    for at in 0..stream.len() {
        other.restore(stream[at].0).unwrap();
        for (state, batch) in stream[at..].iter().take(4) {
            assert_eq!(other.state(), *state);
            assert_eq!(bits(&mut other), *batch);
        }
    }

    // A state that cannot be is refused and changes nothing.
    let state = other.state();
    let position = other.batches_per_epoch() + 1;
    let impossible = BatchState {
        position,
        seed: 1,
        epoch: 1,
    };
    let error = other.restore(impossible).unwrap_err();
    assert!(matches!(error, Error::Setting { .. }), "{error}");
    assert_eq!(other.state(), state);

    // The last epoch is followed by the first.
    let last = BatchState {
        epoch: u64::MAX,
        ..state
    };
    other.restore(last).unwrap();
    while bits(&mut other).is_some() {}
    assert_eq!(other.state().epoch, 0);
}

pub(crate) const SAMPLINGS: [Sampling; 4] = [
    Sampling::Permutation(LastBatch::Keep),
    Sampling::Permutation(LastBatch::Drop),
    Sampling::Permutation(LastBatch::Merge),
    Sampling::WithReplacement,
];

/// N images of 2 x 2 pixels with their numbers, of three classes.
pub(crate) fn labelled(n: usize) -> Dataset {
    let images = Array2::from_shape_fn((n, 4), |(i, j)| (4 * i + j) as f32);
    Dataset::new(images, (0..n).map(|i| i % 3).collect(), (2, 2, 1), 3).unwrap()
}

#[test]
fn batches_in_memory() {
    for n in [1, 3, 11, 12] {
        let data = labelled(n);
        let values = Array2::from_shape_fn((n, 2), |(i, j)| i as f32 / (j + 1) as f32);
        let regression = Dataset::with_values(data.images().to_owned(), values, (2, 2, 1)).unwrap();
        for sampling in SAMPLINGS {
            for batch_size in [1, 4, 11] {
                let full_only = sampling == SAMPLINGS[1] || sampling == Sampling::WithReplacement;
                if full_only && batch_size > n {
                    continue;
                }
                for data in [&data, &regression] {
                    check_source(|seed| {
                        Batches::with_sampling(data, batch_size, sampling, seed).unwrap()
                    });
                }
            }
        }
    }
}
