//! Bytes, after one byte of options, as a `.npy` file, as an `.npz` file, or, in pieces, as the arrays of one: what is
//! read is written and read again, and a network that refuses a file is unchanged.

#![no_main]

mod memory;
mod seeds;

use bn_data::{Dataset, Npy, NpyReader, Npz};
use bn_layers::LayerExt;
use bn_net::{MultiLayerNet, MultiLayerNetConfig, Network, Scalar};
use libfuzzer_sys::fuzz_target;
use memory::Bound;
use ndarray::{ArrayD, IxDyn};
use std::{
    fs,
    io::{Cursor, Write},
    sync::{LazyLock, Mutex},
};
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

/// The options: what the bytes are read as, whether they are a whole archive, and whether pieces are packed.
const AS: u8 = 3;
const ARRAYS: u8 = 0;
const DATA_SET: u8 = 1;
const BOOK: u8 = 2;
const KERAS: u8 = 3;
const WHOLE: u8 = 4;
const PACKED: u8 = 8 + 16 + 32; // all of them, because compressing is slow

/// The names of the arrays, in the order of the network.
const BOOK_NAMES: [&str; 8] = [
    "W1",
    "b1",
    "gamma1",
    "beta1",
    "running_mean1",
    "running_var1",
    "W2",
    "b2",
];
const KERAS_NAMES: [&str; 8] = [
    "arr_0", "arr_1", "arr_2", "arr_3", "arr_4", "arr_5", "arr_6", "arr_7",
];

/// The networks that read the files. They stay as they are from one input to the next.
static BOOK_NETWORK: LazyLock<Mutex<MultiLayerNet<f64>>> = LazyLock::new(|| book().into());
static KERAS_NETWORK: LazyLock<Mutex<Network>> = LazyLock::new(|| keras().into());

fuzz_target!(init: seeds::write(seeds), |bytes: &[u8]| {
    let Some((&options, bytes)) = bytes.split_first() else {
        return;
    };
    let kind = options & AS;
    let is_whole = options & WHOLE != 0;
    if kind == ARRAYS && !is_whole {
        let reader = NpyReader::new().limit(LIMIT);
        if let Ok(array) = NPY.check(bytes.len(), || reader.from_reader(bytes)) {
            write_and_read(&array);
        }
        return;
    }
    let archive = match is_whole {
        true => bytes.to_vec(),
        false => archive(bytes, kind, options & PACKED == PACKED),
    };
    match kind {
        ARRAYS => read_arrays(&archive),
        DATA_SET => read_data_set(&archive),
        BOOK => load_book(&archive),
        _ => load_keras(&archive),
    }
});

fn open(archive: &[u8]) -> Result<Npz<Cursor<&[u8]>>, bn_data::Error> {
    Ok(Npz::new(Cursor::new(archive))?.limit(LIMIT))
}

fn read_arrays(archive: &[u8]) {
    let Ok(mut file) = NPZ.check(archive.len(), || open(archive)) else {
        return;
    };
    for name in file.names() {
        if let Ok(array) = NPZ.check(archive.len(), || file.array(&name)) {
            write_and_read(&array);
        }
    }
}

fn write_and_read(array: &Npy) {
    let mut bytes = Cursor::new(Vec::new());
    Npy::write_npz(&mut bytes, [("a", array)]).expect("what was read can be written");
    let again = Npz::new(bytes).and_then(|mut file| file.array("a"));
    assert_eq!(bits(&again.expect("what was written is read")), bits(array));
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

fn read_data_set(archive: &[u8]) {
    let read = || {
        let mut file = open(archive)?;
        Dataset::<f32>::from_npy(file.array(KERAS_NAMES[0])?, file.array(KERAS_NAMES[1])?)
    };
    if let Ok(data) = NPZ.check(archive.len(), read) {
        assert_eq!(
            data.images().ncols(),
            data.height() * data.width() * data.channels()
        );
    }
}

fn load_book(archive: &[u8]) {
    static BEFORE: LazyLock<Vec<u64>> = LazyLock::new(|| values(book().network()));
    let mut network = BOOK_NETWORK.lock().expect("a panic ends the program");
    match NPZ.check(archive.len(), || network.read_params(&mut open(archive)?)) {
        Err(_) => assert_eq!(values(network.network()), *BEFORE),
        Ok(()) => {
            assert_eq!(
                values(network.network()),
                arrays::<f64>(archive, BOOK_NAMES)
            );
            *network = book();
        }
    }
}

fn load_keras(archive: &[u8]) {
    static BEFORE: LazyLock<Vec<u64>> = LazyLock::new(|| values(&keras()));
    let mut network = KERAS_NETWORK.lock().expect("a panic ends the program");
    match NPZ.check(archive.len(), || {
        network.read_keras_weights(&mut open(archive)?)
    }) {
        Err(_) => assert_eq!(values(&network), *BEFORE),
        Ok(()) => {
            assert_eq!(values(&network), arrays::<f32>(archive, KERAS_NAMES));
            *network = keras();
        }
    }
}

fn book() -> MultiLayerNet<f64> {
    let config = MultiLayerNetConfig {
        use_batchnorm: true,
        ..MultiLayerNetConfig::new(2, &[2], 1)
    };
    MultiLayerNet::new(&config, 2).expect("the sizes fit")
}

fn keras() -> Network {
    let builder = Network::builder(2).affine(2).batch_norm().relu().affine(1);
    builder.build(2).expect("the layers fit")
}

/// Parameters and running statistics, by their bits.
fn values<T: Scalar>(network: &Network<T>) -> Vec<u64> {
    let mut values = Vec::new();
    network.visit(&mut |p| values.extend(p.value.iter().map(|v| v.as_f64().to_bits())));
    values
}

/// The values of these arrays as a network of `T` has them, by their bits.
fn arrays<T: Scalar>(archive: &[u8], names: [&str; 8]) -> Vec<u64> {
    let mut file = open(archive).expect("it was read before");
    let mut values = Vec::new();
    let mut add = |v: f64| values.push(T::from_f64(v).as_f64().to_bits());
    for name in names {
        match file.array(name).expect("it was read before") {
            Npy::F32(a) => a.iter().for_each(|&v| add(v.into())),
            Npy::F64(a) => a.iter().for_each(|&v| add(v)),
            other => panic!("a network took values of {}", other.element_type()),
        }
    }
    values
}

/// An intact archive, whose arrays are the pieces of the bytes that begin as a `.npy` file does; every other one may be
/// packed.
fn archive(bytes: &[u8], kind: u8, is_packed: bool) -> Vec<u8> {
    const MAGIC: &[u8] = b"\x93NUMPY";
    let mut starts: Vec<usize> = (1..bytes.len())
        .filter(|&i| bytes[i] == MAGIC[0] && bytes[i..].starts_with(MAGIC))
        .collect();
    starts.insert(0, 0);
    let ends = starts[1..].iter().copied().chain([bytes.len()]);
    let names = match kind {
        BOOK => BOOK_NAMES,
        _ => KERAS_NAMES,
    };
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (i, ((&start, end), name)) in starts.iter().zip(ends).zip(names).enumerate() {
        let method = match is_packed && i % 2 == 1 {
            true => CompressionMethod::Deflated,
            false => CompressionMethod::Stored,
        };
        let options = SimpleFileOptions::default().compression_method(method);
        archive
            .start_file(format!("{name}.npy"), options)
            .expect("a new name");
        archive.write_all(&bytes[start..end]).expect("a vector");
    }
    archive.finish().expect("a vector").into_inner()
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    // Whole archives, and the arrays in them one after the other.
    let mut add = |kind: u8, whole: &[u8]| {
        let mut file = zip::ZipArchive::new(Cursor::new(whole)).expect("an archive");
        let mut arrays = Vec::new();
        for i in 0..file.len() {
            let mut member = file.by_index(i).expect("a member");
            std::io::copy(&mut member, &mut arrays).expect("a vector");
        }
        let packed = archive(&arrays, kind, true);
        for (options, bytes) in [
            (kind | WHOLE, whole),
            (kind | WHOLE, &packed),
            (kind, &arrays),
            (kind | PACKED, &arrays),
        ] {
            seeds.push([&[options], bytes].concat());
        }
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("seed.npz");
    book().save_params(&path).expect("a file can be written");
    add(BOOK, &fs::read(&path).expect("it was written"));
    keras()
        .save_keras_weights(&path)
        .expect("a file can be written");
    add(KERAS, &fs::read(&path).expect("it was written"));
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
            let mut bytes = Cursor::new(Vec::new());
            Npy::write_npz(&mut bytes, [("arr_0", x), ("arr_1", y)]).expect("a vector");
            add(ARRAYS, bytes.get_ref());
            add(DATA_SET, bytes.get_ref());
        }
    }
    seeds
}
