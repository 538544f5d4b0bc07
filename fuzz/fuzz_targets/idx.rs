//! Bytes as an IDX file: an array comes back as the same bytes, plain or packed, within the limit.

#![no_main]

mod memory;
mod seeds;

use bn_data::{Idx, IdxReader};
use flate2::Crc;
use libfuzzer_sys::fuzz_target;
use memory::Bound;
use ndarray::ArrayD;

/// Bytes of the elements.
const LIMIT: u64 = 1 << 20;

/// A plain array takes its own size; a vector that grows counts three times. Buffers have 64 KiB.
const PLAIN: Bound = Bound {
    factor: 4,
    constant: 128 << 10,
};

/// A packed array has at most 1032 times the size of the file.
const PACKED: Bound = Bound {
    factor: 1032,
    constant: 256 << 10,
};

fuzz_target!(init: seeds::write(seeds), |bytes: &[u8]| {
    let reader = IdxReader::new().limit(LIMIT);
    let is_packed = bytes.first() == Some(&0x1f);
    let bound = if is_packed { PACKED } else { PLAIN };
    let read = bound.check(bytes.len(), || reader.from_bytes(bytes));
    if !is_packed {
        // A stream and a gzip file of the same bytes say the same.
        let results = [
            PLAIN.check(bytes.len(), || reader.from_reader(bytes)),
            reader.from_bytes(&stored_gzip(bytes)),
        ];
        for other in results {
            assert_eq!(other.is_ok(), read.is_ok(), "{read:?} {other:?}");
            if let (Ok(a), Ok(b)) = (&read, &other) {
                assert_eq!(written(a), written(b));
            }
        }
    }
    let Ok(idx) = read else {
        return;
    };
    let plain = written(&idx);
    assert!(plain.len() as u64 <= 4 + 4 * idx.shape().len() as u64 + LIMIT);
    if !is_packed {
        assert_eq!(plain, bytes);
    }
    let again = reader.from_bytes(&plain).expect("what was written is read");
    assert_eq!(
        (again.shape(), again.element_type()),
        (idx.shape(), idx.element_type())
    );
    assert_eq!(written(&again), plain);
});

fn written(idx: &Idx) -> Vec<u8> {
    idx.to_bytes().expect("what was read can be written")
}

/// A gzip file (RFC 1952) that holds the bytes in stored blocks (RFC 1951).
fn stored_gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    for block in bytes.chunks(0xffff) {
        let len = block.len() as u16;
        packed.push(0); // not the last
        packed.extend(len.to_le_bytes());
        packed.extend((!len).to_le_bytes());
        packed.extend(block);
    }
    packed.extend([1, 0, 0, 0xff, 0xff]); // the last, which is empty
    let mut crc = Crc::new();
    crc.update(bytes);
    packed.extend(crc.sum().to_le_bytes());
    packed.extend((bytes.len() as u32).to_le_bytes());
    packed
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for shape in [&[][..], &[3], &[2, 3], &[2, 0, 2], &[1, 2, 1, 2]] {
        let len: usize = shape.iter().product();
        let arrays: [Idx; 6] = [
            array(shape, vec![7u8; len]).into(),
            array(shape, vec![-7i8; len]).into(),
            array(shape, vec![-700i16; len]).into(),
            array(shape, vec![-70_000i32; len]).into(),
            array(shape, vec![0.5f32; len]).into(),
            array(shape, vec![f64::NAN; len]).into(),
        ];
        for idx in arrays {
            let bytes = written(&idx);
            seeds.push(stored_gzip(&bytes));
            seeds.push(bytes);
        }
    }
    seeds
}

fn array<T>(shape: &[usize], values: Vec<T>) -> ArrayD<T> {
    ArrayD::from_shape_vec(shape, values).expect("as many values as the shape has places")
}
