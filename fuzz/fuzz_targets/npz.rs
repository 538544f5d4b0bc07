//! Bytes as a `.npy` file, as an `.npz` file, and, in pieces, as the arrays of one: what is read is written and read
//! again, and a network that refuses a file is unchanged.

#![no_main]

mod memory;
mod seeds;

use bn_data::{Dataset, Npy, NpyReader};
use bn_layers::LayerExt;
use bn_net::{MultiLayerNet, MultiLayerNetConfig, Network, Scalar};
use libfuzzer_sys::fuzz_target;
use memory::Bound;
use ndarray::{ArrayD, IxDyn};
use std::{
    fs,
    io::{Cursor, Write},
    path::Path,
    sync::LazyLock,
};
use tempfile::TempDir;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// Bytes of the elements.
const LIMIT: u64 = 1 << 20;

/// A plain array takes its own size; a vector that grows counts three times. Buffers have 64 KiB.
const NPY: Bound = Bound {
    factor: 4,
    constant: 128 << 10,
};

/// A packed array has at most 1032 times the size of the file. Two of them become a data set, whose labels have eight
/// bytes for one.
const NPZ: Bound = Bound {
    factor: 16 * 1032,
    constant: 256 << 10,
};

/// The names of the arrays, in the order of the network.
const BOOK: [&str; 8] = [
    "W1",
    "b1",
    "gamma1",
    "beta1",
    "running_mean1",
    "running_var1",
    "W2",
    "b2",
];
const KERAS: [&str; 8] = [
    "arr_0", "arr_1", "arr_2", "arr_3", "arr_4", "arr_5", "arr_6", "arr_7",
];

/// In memory where the system has such a folder, because a file that is written waits for the disk.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new());
    folder.expect("a temporary folder")
});

fuzz_target!(init: seeds::write(seeds), |bytes: &[u8]| {
    let [path, other] = ["read.npz", "written.npz"].map(|name| FOLDER.path().join(name));
    let reader = NpyReader::new().limit(LIMIT);
    if let Ok(array) = NPY.check(bytes.len(), || reader.from_reader(bytes)) {
        write_and_read(&array, &other);
    }
    if bytes.starts_with(b"PK") {
        fs::write(&path, bytes).expect("a file can be written");
        for name in NpyReader::npz_names(&path).unwrap_or_default() {
            if let Ok(array) = NPZ.check(bytes.len(), || reader.open_npz(&path, &name)) {
                write_and_read(&array, &other);
            }
        }
        load(&path, &other, bytes.len());
        return;
    }
    for names in [BOOK, KERAS] {
        let archive = archive(bytes, names);
        fs::write(&path, &archive).expect("a file can be written");
        load(&path, &other, archive.len());
    }
});

fn write_and_read(array: &Npy, path: &Path) {
    Npy::save_npz(path, [("a", array)]).expect("what was read can be written");
    let again = NpyReader::new()
        .open_npz(path, "a")
        .expect("what was written is read");
    assert_eq!(bits(&again), bits(array));
}

/// The shape and the elements; those of floats by their bits.
fn bits(array: &Npy) -> (Vec<usize>, &'static str, Vec<u64>) {
    let elements = match array {
        Npy::U8(a) => a.iter().map(|&v| v.into()).collect(),
        Npy::I32(a) => a.iter().map(|&v| v as u64).collect(),
        Npy::I64(a) => a.iter().map(|&v| v as u64).collect(),
        Npy::F32(a) => a.iter().map(|&v| v.to_bits().into()).collect(),
        Npy::F64(a) => a.iter().map(|&v| v.to_bits()).collect(),
    };
    (array.shape().to_vec(), array.element_type(), elements)
}

/// Takes the file, of `len` bytes, as a data set and as the parameters of both kinds of networks.
fn load(path: &Path, other: &Path, len: usize) {
    for [x, y] in [["W1", "b1"], ["arr_0", "arr_1"]] {
        let data = NPZ.check(len, || Dataset::<f32>::from_npz(path, x, y));
        if let Ok(data) = data {
            assert_eq!(
                data.images().ncols(),
                data.height() * data.width() * data.channels()
            );
        }
    }
    let mut network = book(2);
    match NPZ.check(len, || network.load_params(path)) {
        Err(_) => assert_eq!(values(network.network()), values(book(2).network())),
        Ok(()) => {
            network
                .save_params(other)
                .expect("what was read can be written");
            let mut again = book(3);
            again.load_params(other).expect("what was written is read");
            assert_eq!(values(again.network()), values(network.network()));
        }
    }
    let mut network = keras(2);
    match NPZ.check(len, || network.load_keras_weights(path)) {
        Err(_) => assert_eq!(values(&network), values(&keras(2))),
        Ok(()) => {
            network
                .save_keras_weights(other)
                .expect("what was read can be written");
            let mut again = keras(3);
            again
                .load_keras_weights(other)
                .expect("what was written is read");
            assert_eq!(values(&again), values(&network));
        }
    }
}

fn book(seed: u64) -> MultiLayerNet<f64> {
    let config = MultiLayerNetConfig {
        use_batchnorm: true,
        ..MultiLayerNetConfig::new(2, &[2], 1)
    };
    MultiLayerNet::new(&config, seed).expect("the sizes fit")
}

fn keras(seed: u64) -> Network {
    let builder = Network::builder(2).affine(2).batch_norm().relu().affine(1);
    builder.build(seed).expect("the layers fit")
}

/// Parameters and running statistics, by their bits.
fn values<T: Scalar>(network: &Network<T>) -> Vec<u64> {
    let mut values = Vec::new();
    network.visit(&mut |p| values.extend(p.value.iter().map(|v| v.as_f64().to_bits())));
    values
}

/// An intact archive, whose arrays are the pieces of the bytes that begin as a `.npy` file does; every other one is
/// packed.
fn archive(bytes: &[u8], names: [&str; 8]) -> Vec<u8> {
    const MAGIC: &[u8] = b"\x93NUMPY";
    let mut starts: Vec<usize> = (1..bytes.len())
        .filter(|&i| bytes[i..].starts_with(MAGIC))
        .collect();
    starts.insert(0, 0);
    let ends = starts[1..].iter().copied().chain([bytes.len()]);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (i, ((&start, end), name)) in starts.iter().zip(ends).zip(names).enumerate() {
        let method = [CompressionMethod::Stored, CompressionMethod::Deflated][i % 2];
        let options = SimpleFileOptions::default().compression_method(method);
        archive
            .start_file(format!("{name}.npy"), options)
            .expect("a new name");
        archive.write_all(&bytes[start..end]).expect("a vector");
    }
    archive.finish().expect("a vector").into_inner()
}

fn seeds() -> Vec<Vec<u8>> {
    let path = FOLDER.path().join("seed.npz");
    let mut seeds = Vec::new();
    // Whole archives, and the arrays in them one after the other.
    let mut add = |path: &Path| {
        let bytes = fs::read(path).expect("it was written");
        let mut archive = zip::ZipArchive::new(Cursor::new(&bytes)).expect("an archive");
        let mut arrays = Vec::new();
        for i in 0..archive.len() {
            let mut member = archive.by_index(i).expect("a member");
            std::io::copy(&mut member, &mut arrays).expect("a vector");
        }
        seeds.extend([
            bytes,
            arrays.clone(),
            self::archive(&arrays, BOOK),
            self::archive(&arrays, KERAS),
        ]);
    };
    book(1).save_params(&path).expect("a file can be written");
    add(&path);
    keras(1)
        .save_keras_weights(&path)
        .expect("a file can be written");
    add(&path);
    for shape in [&[][..], &[3], &[2, 2], &[2, 2, 1], &[2, 1, 2, 1]] {
        let len = shape.iter().product();
        let array = |value| ArrayD::from_elem(IxDyn(shape), value);
        let labels = |rows: usize| ArrayD::from_elem(IxDyn(&[rows]), 1);
        let rows = shape.first().copied().unwrap_or(1);
        let pairs = [
            (
                Npy::U8(array(7).mapv(|v: i32| v as u8)),
                Npy::U8(labels(rows).mapv(|v: i32| v as u8)),
            ),
            (Npy::I32(array(-7)), Npy::I32(labels(rows))),
            (
                Npy::I64(array(7).mapv(i64::from)),
                Npy::I64(labels(len).mapv(i64::from)),
            ),
            (
                Npy::F32(array(7).mapv(|v| v as f32)),
                Npy::F32(labels(rows).mapv(|v| v as f32)),
            ),
            (
                Npy::F64(array(7).mapv(f64::from)),
                Npy::F64(array(7).mapv(f64::from)),
            ),
        ];
        for (x, y) in &pairs {
            Npy::save_npz(&path, [("arr_0", x), ("arr_1", y)]).expect("a file can be written");
            add(&path);
        }
    }
    seeds
}
