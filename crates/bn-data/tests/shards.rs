//! Data sets in shards: that they give the images of the data set, resume, and survive damaged files.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
#[cfg(target_os = "linux")]
use std::time::{Duration, Instant};

use crate::batch_source::{check_source, labelled};
#[cfg(target_os = "linux")]
use crate::memory_limit::with_little_memory;
use bn_data::{
    BatchSource, Dataset, Error, Idx, LastBatch, ShardWriter, ShardedBatches, Targets, write_shards,
};
use ndarray::{Array2, ArrayD};

type Shards = ShardedBatches<f32>;

/// The first pixels of an epoch, batch by batch; for `labelled`, four times the number of the image.
fn epoch(batches: &mut Shards) -> Vec<Vec<usize>> {
    let mut numbers = Vec::new();
    while let Some(batch) = batches.next_batch().unwrap() {
        let pixels = batch.images.column(0);
        let batch_numbers: Vec<usize> = pixels.iter().map(|&x| x as usize / 4).collect();
        for (row, (&number, &label)) in batch_numbers.iter().zip(batch.labels()).enumerate() {
            assert_eq!(number % 3, label);
            assert_eq!(batch.images[[row, 3]], (4 * number + 3) as f32);
        }
        numbers.push(batch_numbers);
    }
    numbers
}

fn open(folder: &Path, batch_size: usize, seed: u64) -> Shards {
    Shards::open(folder, batch_size, LastBatch::Keep, seed).unwrap()
}

#[test]
fn an_epoch_has_each_image_once_in_a_new_order() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(write_shards(&labelled(103), folder.path(), 20).unwrap(), 6);
    for (last, sizes) in [
        (LastBatch::Keep, [16, 16, 16, 16, 16, 16, 7].to_vec()),
        (LastBatch::Merge, [16, 16, 16, 16, 16, 23].to_vec()),
        (LastBatch::Drop, [16; 6].to_vec()),
    ] {
        let mut batches = Shards::open(folder.path(), 16, last, 1).unwrap();
        let epochs = [
            epoch(&mut batches),
            epoch(&mut batches),
            epoch(&mut batches),
        ];
        for numbers in &epochs {
            assert_eq!(numbers.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
            let distinct: HashSet<usize> = numbers.iter().flatten().copied().collect();
            assert_eq!(distinct.len(), sizes.iter().sum::<usize>());
        }
        assert!(epochs[0] != epochs[1] && epochs[1] != epochs[2]);
        // The shards come in another order too, and the images of a shard in a random one.
        let shards = epochs.each_ref().map(|numbers| {
            let mut shards: Vec<usize> = numbers.iter().flatten().map(|n| n / 20).collect();
            shards.dedup();
            shards
        });
        for shards in &shards {
            let distinct: HashSet<&usize> = shards.iter().collect();
            assert_eq!(distinct.len(), shards.len(), "a shard is interrupted");
        }
        assert!(shards[0] != shards[1] || shards[1] != shards[2]);
        assert!(!epochs[0][0].is_sorted());
    }
    let orders = [1, 1, 2].map(|seed| epoch(&mut open(folder.path(), 16, seed)));
    assert!(orders[0] == orders[1] && orders[1] != orders[2]);
}

#[test]
fn shards_keep_to_the_rules_of_sources() {
    let data = labelled(23);
    let values = Array2::from_shape_fn((23, 2), |(i, j)| (i * (j + 1)) as f32);
    let regression = Dataset::with_values(data.images().to_owned(), values, (2, 2, 1)).unwrap();
    for (rows, batch_size) in [(7, 5), (23, 5), (1, 4), (4, 50), (10, 10)] {
        for data in [&data, &regression] {
            let folder = tempfile::tempdir().unwrap();
            write_shards(data, folder.path(), rows).unwrap();
            for last in [LastBatch::Keep, LastBatch::Drop, LastBatch::Merge] {
                if last != LastBatch::Drop || batch_size <= 23 {
                    check_source(|seed| {
                        Shards::open(folder.path(), batch_size, last, seed).unwrap()
                    });
                }
            }
        }
    }
}

#[test]
fn values_and_double_precision_are_exact() {
    let x = Array2::from_shape_fn((9, 2), |(i, j)| 0.1 + i as f64 + j as f64 / 3.0);
    let t = x.mapv(|x| x * x);
    let data = Dataset::with_values(x, t, (1, 1, 2)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_shards(&data, folder.path(), 4).unwrap();
    let mut rows = 0;
    let mut batches = ShardedBatches::<f64>::open(folder.path(), 2, LastBatch::Keep, 3).unwrap();
    while let Some(batch) = batches.next_batch().unwrap() {
        let Targets::Dense(values) = batch.targets else {
            panic!("labels")
        };
        assert_eq!(values, batch.images.mapv(|x| x * x));
        for row in batch.images.outer_iter() {
            assert!(data.images().outer_iter().any(|expected| expected == row));
        }
        rows += batch.len();
    }
    assert_eq!(rows, 9);
    // The same shards as f32.
    let mut batches = ShardedBatches::<f32>::open(folder.path(), 9, LastBatch::Keep, 3).unwrap();
    let batch = batches.next_batch().unwrap().unwrap();
    let sum = data.images().mapv(|x| f64::from(x as f32)).sum();
    assert!((batch.images.mapv(f64::from).sum() - sum).abs() < 1e-9);
}

#[test]
fn the_format_is_the_documented_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = labelled(5);
    write_shards(&data, folder.path(), 3).unwrap();
    let mut names: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "shard-00000-images.idx",
        "shard-00000-labels.idx",
        "shard-00001-images.idx",
        "shard-00001-labels.idx",
    ];
    assert_eq!(names, expected);
    let images: ArrayD<f32> = Idx::open(folder.path().join(&names[2]))
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(images, data.select(&[3, 4]).unwrap().images_4d().into_dyn());
    let labels: ArrayD<i32> = Idx::open(folder.path().join(&names[3]))
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(labels.iter().copied().collect::<Vec<i32>>(), [0, 1]);
}

#[test]
fn shards_of_another_kind_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = ShardWriter::create(folder.path()).unwrap();
    let data = labelled(4);
    writer.write(&data).unwrap();
    let rows = || data.images().to_owned();
    let other_shape = Dataset::new(rows(), vec![0; 4], (1, 4, 1), 1).unwrap();
    let values = Dataset::with_values(rows(), rows(), (2, 2, 1)).unwrap();
    let large = Dataset::new(rows(), vec![1 << 31; 4], (2, 2, 1), usize::MAX).unwrap();
    for (error, part) in [
        (
            writer.write(&other_shape),
            "(2, 2, 1) (height, width, channels)",
        ),
        (
            writer.write(&values),
            "the kind of the targets is 4 values a row; it must be labels",
        ),
        (
            writer.write(&data.to::<f64>()),
            "the elements are f64, not f32",
        ),
        (writer.write(&large), "label 2147483648"),
        (writer.write(&data.take(0)), "at least one image"),
    ] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(writer.shards(), 1);
    writer.write(&data).unwrap(); // the writer goes on
    assert_eq!(
        open(folder.path(), 8, 1)
            .next_batch()
            .unwrap()
            .unwrap()
            .len(),
        8
    );

    let error = ShardWriter::create(folder.path()).unwrap_err().to_string();
    assert!(error.contains("is 4; it must be 0"), "{error}");
    for rows in [0, 1 << 31, (1 << 62) + 1, usize::MAX] {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(write_shards(&data, folder.path(), rows).is_ok(), rows > 0);
    }

    // Shards that were written for two data sets.
    let other = tempfile::tempdir().unwrap();
    write_shards(&other_shape, other.path(), 4).unwrap();
    for name in ["images", "labels"] {
        let from = other.path().join(format!("shard-00000-{name}.idx"));
        fs::copy(from, folder.path().join(format!("shard-00001-{name}.idx"))).unwrap();
    }
    let error = Shards::open(folder.path(), 2, LastBatch::Keep, 1)
        .unwrap_err()
        .to_string();
    assert!(error.contains("shard-00001-images.idx"), "{error}");
    assert!(error.contains("as the first shard has"), "{error}");
}

#[test]
fn bad_settings_and_damaged_files_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let error = Shards::open(folder.path(), 2, LastBatch::Keep, 1).unwrap_err();
    assert!(error.to_string().contains("at least one image"), "{error}");
    assert!(Shards::open(folder.path().join("missing"), 2, LastBatch::Keep, 1).is_err());
    write_shards(&labelled(10), folder.path(), 5).unwrap();
    for size in [0, 1 << 31, (1 << 62) + 1, usize::MAX] {
        let keep = Shards::open(folder.path(), size, LastBatch::Keep, 1);
        assert_eq!(keep.is_ok(), size > 0);
        assert!(Shards::open(folder.path(), size, LastBatch::Drop, 1).is_err());
    }

    for name in ["shard-00001-images.idx", "shard-00001-labels.idx"] {
        let path = folder.path().join(name);
        let whole = fs::read(&path).unwrap();
        let refused = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            let error = Shards::open(folder.path(), 2, LastBatch::Keep, 1).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        };
        for length in 0..whole.len() {
            refused(&whole[..length]);
        }
        refused(&[&whole[..], &[0]].concat());
        let mut other = whole.clone();
        other[2] = 0x09; // bytes
        refused(&other);
        fs::write(&path, &whole).unwrap();
    }
    // The labels of another number of images.
    let labels = folder.path().join("shard-00001-labels.idx");
    Idx::from(ArrayD::<i32>::zeros(vec![4]))
        .save(&labels)
        .unwrap();
    assert!(Shards::open(folder.path(), 2, LastBatch::Keep, 1).is_err());
    // A shard whose images were never written does not exist.
    fs::remove_file(folder.path().join("shard-00001-images.idx")).unwrap();
    assert_eq!(open(folder.path(), 2, 1).batches_per_epoch(), 3);
}

/// A file that disappears or changes in the middle is an error of the next batch that needs it; when it is
/// back, the stream continues with the same batches.
#[test]
fn errors_of_the_reader_thread_reach_the_caller() {
    let folder = tempfile::tempdir().unwrap();
    write_shards(&labelled(40), folder.path(), 10).unwrap();
    let expected = epoch(&mut open(folder.path(), 4, 5)).concat();

    let mut batches = open(folder.path(), 4, 5);
    let mut numbers = Vec::new();
    let mut errors = 0;
    let hidden = folder.path().join("hidden");
    let last_shard = expected[39] / 10;
    let images = folder
        .path()
        .join(format!("shard-{last_shard:05}-images.idx"));
    fs::rename(&images, &hidden).unwrap();
    loop {
        let state = batches.state();
        match batches.next_batch() {
            Ok(None) => break,
            Ok(Some(batch)) => {
                numbers.extend(batch.images.column(0).iter().map(|&x| x as usize / 4));
            }
            Err(error) => {
                assert!(matches!(error, Error::InFile { .. }), "{error}");
                assert!(
                    error
                        .to_string()
                        .contains(&format!("shard-{last_shard:05}")),
                    "{error}"
                );
                assert_eq!(batches.state(), state);
                errors += 1;
                match errors {
                    1 => {} // it is still missing
                    2 => fs::write(&images, b"something else").unwrap(),
                    3 => {
                        // An intact file, but not that of the labels beside it.
                        let other = ArrayD::<f32>::zeros(vec![9, 2, 2, 1]);
                        Idx::from(other).save(&images).unwrap();
                    }
                    _ => fs::rename(&hidden, &images).unwrap(),
                }
            }
        }
    }
    assert_eq!((errors, numbers), (4, expected));
}

/// A negative label is found when the shard is read.
#[test]
fn a_negative_label_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    write_shards(&labelled(4), folder.path(), 4).unwrap();
    let labels = folder.path().join("shard-00000-labels.idx");
    Idx::from(ndarray::arr1(&[0, 1, -1, 2]).into_dyn())
        .save(labels)
        .unwrap();
    let error = open(folder.path(), 2, 1)
        .next_batch()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("labels.idx: a label is -1; it must be at least 0"),
        "{error}"
    );
}

/// How many threads of this process read shards.
#[cfg(target_os = "linux")]
fn reader_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name == "bn-data shards\n").count()
}

/// Waits for at most ten seconds.
#[cfg(target_os = "linux")]
fn wait_for_reader_threads(expected: usize) {
    let start = Instant::now();
    while reader_threads() != expected {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{}",
            reader_threads()
        );
    }
}

/// Dropped in the middle, while a shard is being read or waits to be taken, the thread ends.
#[cfg(target_os = "linux")]
#[test]
fn dropping_ends_the_thread() {
    with_little_memory("shards::dropping_ends_the_thread", || {
        let folder = tempfile::tempdir().unwrap();
        write_shards(&labelled(2000), folder.path(), 100).unwrap();
        for calls in [0, 1, 2, 30, 60, 230] {
            let mut batches = open(folder.path(), 50, 1);
            wait_for_reader_threads(1); // it takes its name when it starts
            for _ in 0..calls {
                batches.next_batch().unwrap();
            }
            // A restored stream has requested a shard that it no longer needs.
            let mut state = batches.state();
            (state.epoch, state.position) = (7, 13);
            batches.restore(state).unwrap();
            if calls % 2 == 0 {
                batches.next_batch().unwrap();
            }
            assert_eq!(reader_threads(), 1);
            drop(batches);
            wait_for_reader_threads(0); // the system may need a moment to remove its entry
        }
    });
}

/// A line of /proc/self/status, in bytes.
#[cfg(target_os = "linux")]
fn status(name: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        << 10
}

/// Of five shards of 40 MB two are in memory at once.
#[cfg(target_os = "linux")]
#[test]
fn two_shards_are_in_memory() {
    with_little_memory("shards::two_shards_are_in_memory", || {
        let folder = tempfile::tempdir().unwrap();
        let data = Dataset::new(
            Array2::<f32>::ones((10, 1_000_000)),
            vec![0; 10],
            (1, 1, 1_000_000),
            1,
        );
        write_shards(&data.unwrap(), folder.path(), 10).unwrap();
        for (name, number) in [("images", 1), ("images", 2), ("labels", 1), ("labels", 2)] {
            let path = |number| folder.path().join(format!("shard-{number:05}-{name}.idx"));
            fs::copy(path(0), path(number)).unwrap();
            fs::copy(path(0), path(number + 2)).unwrap();
        }
        let mut batches = open(folder.path(), 1, 1);
        fs::write("/proc/self/clear_refs", "5").unwrap(); // the peak starts anew
        let before = status("VmRSS");
        for _ in 0..120 {
            batches.next_batch().unwrap();
        }
        let peak = status("VmHWM") - before;
        assert!(peak < 100_000_000, "{peak} bytes");
    });
}
