//! Mini-batches: which images they have, in which order, and how a run resumes.

use bn_data::{BatchState, Batches, Dataset, Error, LastBatch, Sampling};
use ndarray::Array2;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// N images of two pixels, the first of which is the image's number; the label is its last digit.
fn numbered(n: usize) -> Dataset {
    let images = Array2::from_shape_fn((n, 2), |(i, j)| if j == 0 { i as f32 } else { -1.0 });
    Dataset::new(images, (0..n).map(|i| i % 10).collect(), (1, 2, 1), 10).unwrap()
}

/// The numbers of the images of one epoch, batch by batch.
fn epoch(batches: &mut Batches<'_>) -> Vec<Vec<usize>> {
    let mut numbers = Vec::new();
    while let Some(batch) = batches.next_batch() {
        let batch_numbers: Vec<usize> = batch
            .images
            .column(0)
            .iter()
            .map(|&number| number as usize)
            .collect();
        // Image, label and the other pixel stay together.
        assert!(
            batch_numbers
                .iter()
                .map(|number| number % 10)
                .eq(batch.labels().iter().copied())
        );
        assert!(batch.images.column(1).iter().all(|&x| x == -1.0));
        numbers.push(batch_numbers);
    }
    assert_eq!(numbers.len(), batches.batches_per_epoch());
    numbers
}

fn sorted(epoch: &[Vec<usize>]) -> Vec<usize> {
    let mut numbers = epoch.concat();
    numbers.sort_unstable();
    numbers
}

fn sizes(n: usize, batch_size: usize, last: LastBatch) -> Vec<usize> {
    let data = numbered(n);
    let sampling = Sampling::Permutation(last);
    let mut batches = Batches::with_sampling(&data, batch_size, sampling, 1).unwrap();
    let epochs = [epoch(&mut batches), epoch(&mut batches)];
    for epoch in &epochs {
        let all: Vec<usize> = (0..n).collect();
        match last {
            LastBatch::Keep | LastBatch::Merge => assert_eq!(sorted(epoch), all),
            LastBatch::Drop => {
                let mut distinct = sorted(epoch);
                distinct.dedup();
                assert_eq!(distinct.len(), epoch.concat().len());
            }
        }
    }
    let sizes = epochs.map(|epoch| epoch.iter().map(Vec::len).collect::<Vec<_>>());
    assert_eq!(sizes[0], sizes[1]);
    sizes[0].clone()
}

#[test]
fn the_last_batch_is_kept_dropped_or_merged() {
    assert_eq!(sizes(10, 4, LastBatch::Keep), [4, 4, 2]);
    assert_eq!(sizes(10, 4, LastBatch::Drop), [4, 4]);
    assert_eq!(sizes(10, 4, LastBatch::Merge), [4, 6]);
    for last in [LastBatch::Keep, LastBatch::Drop, LastBatch::Merge] {
        assert_eq!(sizes(12, 4, last), [4, 4, 4]);
        assert_eq!(sizes(4, 4, last), [4]);
        assert_eq!(sizes(3, 1, last), [1, 1, 1]);
    }
    assert_eq!(sizes(11, 4, LastBatch::Merge), [4, 7]);
    assert_eq!(sizes(3, 4, LastBatch::Keep), [3]);
    assert_eq!(sizes(3, 4, LastBatch::Merge), [3]);
    assert_eq!(sizes(3, usize::MAX, LastBatch::Keep), [3]);
    assert_eq!(sizes(3, usize::MAX, LastBatch::Merge), [3]);
}

#[test]
fn impossible_batch_sizes_are_refused() {
    let data = numbered(3);
    let refused = |batch_size, sampling| {
        let error = Batches::with_sampling(&data, batch_size, sampling, 0).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Setting {
                    what: "the batch size",
                    ..
                }
            ),
            "{error:?}"
        );
    };
    for last in [LastBatch::Keep, LastBatch::Drop, LastBatch::Merge] {
        refused(0, Sampling::Permutation(last));
    }
    refused(0, Sampling::WithReplacement);
    // No epoch would have a batch.
    refused(4, Sampling::Permutation(LastBatch::Drop));
    refused(usize::MAX, Sampling::WithReplacement);

    let empty = data.take(0);
    assert!(matches!(
        Batches::new(&empty, 1, 0),
        Err(Error::Empty { .. })
    ));
}

#[test]
fn each_epoch_has_its_own_order_and_the_seed_repeats_it() {
    let data = numbered(100);
    for sampling in [
        Sampling::Permutation(LastBatch::Keep),
        Sampling::WithReplacement,
    ] {
        let run = |seed| {
            let mut batches = Batches::with_sampling(&data, 7, sampling, seed).unwrap();
            [
                epoch(&mut batches),
                epoch(&mut batches),
                epoch(&mut batches),
            ]
        };
        let [first, second, third] = run(42);
        assert_ne!(first, second);
        assert_ne!(second, third);
        assert_eq!(run(42), [first.clone(), second, third]);
        // Another seed gives another stream, not the same one shifted by an epoch.
        for other in run(43) {
            assert!(!run(42).contains(&other));
        }
    }
}

/// The order is guaranteed, because a different one would change the result of every seeded run.
#[test]
fn the_order_is_pinned() {
    let data = numbered(10);
    let mut batches = Batches::new(&data, 10, 42).unwrap();
    let orders = [epoch(&mut batches).concat(), epoch(&mut batches).concat()];
    assert_eq!(orders, [PINNED_FIRST, PINNED_SECOND]);
    let mut batches = Batches::with_sampling(&data, 10, Sampling::WithReplacement, 42).unwrap();
    assert_eq!(epoch(&mut batches).concat(), PINNED_WITH_REPLACEMENT);
}

const PINNED_FIRST: [usize; 10] = [6, 9, 0, 5, 1, 2, 4, 3, 7, 8];
const PINNED_SECOND: [usize; 10] = [1, 0, 3, 9, 5, 6, 8, 2, 4, 7];
const PINNED_WITH_REPLACEMENT: [usize; 10] = [3, 7, 9, 5, 3, 0, 5, 7, 5, 5];

/// The generator of an epoch is the documented one.
#[test]
fn the_order_comes_from_the_documented_generator() {
    let key = Xoshiro256PlusPlus::seed_from_u64(42).next_u64();
    let mut expected: Vec<usize> = (0..10).collect();
    expected.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(key.wrapping_add(1)));
    assert_eq!(PINNED_SECOND.as_slice(), expected);
}

#[test]
fn with_replacement_is_the_books_choice() {
    let data = numbered(50);
    let mut batches = Batches::with_sampling(&data, 20, Sampling::WithReplacement, 3).unwrap();
    assert_eq!(batches.batches_per_epoch(), 2); // max(50 / 20, 1)
    let mut counts = [0u32; 50];
    let epochs = 500;
    let mut repeated = false;
    for _ in 0..epochs {
        let numbers = epoch(&mut batches);
        assert!(numbers.iter().all(|batch| batch.len() == 20));
        let mut distinct = sorted(&numbers);
        distinct.dedup();
        repeated |= distinct.len() < 40;
        numbers
            .concat()
            .iter()
            .for_each(|&number| counts[number] += 1);
    }
    assert!(repeated);
    // 20,000 draws: each image 400 times, with a standard deviation of 19.8.
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(*least > 300 && *most < 500, "{least} {most}");
}

#[test]
fn a_restored_stream_continues_like_the_original() {
    let data = numbered(23);
    for sampling in [
        Sampling::Permutation(LastBatch::Keep),
        Sampling::Permutation(LastBatch::Drop),
        Sampling::Permutation(LastBatch::Merge),
        Sampling::WithReplacement,
    ] {
        let mut batches = Batches::with_sampling(&data, 5, sampling, 9).unwrap();
        for _ in 0..20 {
            let state = batches.state();
            // A stream with another seed, in the middle of another epoch.
            let mut restored = Batches::with_sampling(&data, 5, sampling, 1).unwrap();
            for _ in 0..8 {
                restored.next_batch();
            }
            restored.restore(state).unwrap();
            assert_eq!(restored.state(), state);
            let mut ahead = batches.clone();
            for _ in 0..12 {
                let (a, b) = (ahead.next_batch(), restored.next_batch());
                assert_eq!(a.map(|a| a.images), b.map(|b| b.images));
                assert_eq!(ahead.state(), restored.state());
            }
            batches.next_batch();
        }
    }
}

#[test]
fn an_impossible_state_is_refused_and_changes_nothing() {
    let data = numbered(10);
    let mut batches = Batches::new(&data, 4, 5).unwrap();
    batches.next_batch();
    let state = batches.state();
    assert_eq!(
        state,
        BatchState {
            seed: 5,
            epoch: 0,
            position: 1
        }
    );
    let expected = batches.clone().next_batch().unwrap().images.to_owned();

    let impossible = BatchState {
        seed: 6,
        epoch: 1,
        position: 4,
    };
    assert!(matches!(
        batches.restore(impossible),
        Err(Error::Setting { .. })
    ));
    assert_eq!(batches.state(), state);
    assert_eq!(batches.next_batch().unwrap().images, expected);

    // The largest seed and epoch do not overflow.
    let last = BatchState {
        seed: u64::MAX,
        epoch: u64::MAX,
        position: 3,
    };
    batches.restore(last).unwrap();
    assert!(batches.next_batch().is_none());
    assert_eq!(batches.state().epoch, 0);
    assert!(batches.next_batch().is_some());
}
