use crate::{
    error::{Error, invalid},
    proto::TensorProto,
};

/// A constant of the model.
#[derive(Debug)]
pub(super) struct Array {
    pub(super) dims: Vec<usize>,
    pub(super) values: Values,
}

#[derive(Debug)]
pub(super) enum Values {
    Floats(Vec<f32>),
    Integers(Vec<i64>),
    /// Of a type that no layer needs.
    Other,
}

impl Array {
    /// Reads an array, which must have as many values as its dimensions say.
    pub(super) fn read(tensor: TensorProto) -> Result<Self, Error> {
        let name = &tensor.name;
        if tensor.data_location != 0 {
            return invalid(format!(
                "the values of array {name:?} are in another file; export the model with its values inside"
            ));
        }
        let dims: Option<Vec<usize>> = tensor
            .dims
            .iter()
            .map(|&dim| usize::try_from(dim).ok())
            .collect();
        let len = dims
            .iter()
            .flatten()
            .try_fold(1, |len: usize, &dim| len.checked_mul(dim));
        let (Some(dims), Some(len)) = (dims, len) else {
            return invalid(format!(
                "array {name:?} has the dimensions {:?}",
                tensor.dims
            ));
        };
        let raw = &tensor.raw_data;
        let half = |from: fn(u16) -> f32| match raw.is_empty() {
            true => tensor
                .int32_data
                .iter()
                .map(|&bits| from(bits as u16))
                .collect(),
            false => parsed(raw, |bytes| from(u16::from_le_bytes(bytes))),
        };
        let (values, got) = match tensor.data_type {
            TensorProto::FLOAT if raw.is_empty() => floats(tensor.float_data),
            TensorProto::FLOAT => floats(parsed(raw, f32::from_le_bytes)),
            TensorProto::DOUBLE if raw.is_empty() => floats(
                tensor
                    .double_data
                    .iter()
                    .map(|&value| value as f32)
                    .collect(),
            ),
            TensorProto::DOUBLE => floats(parsed(raw, |bytes| f64::from_le_bytes(bytes) as f32)),
            TensorProto::FLOAT16 => floats(half(float16)),
            TensorProto::BFLOAT16 => floats(half(|bits| f32::from_bits(u32::from(bits) << 16))),
            TensorProto::INT64 if raw.is_empty() => integers(tensor.int64_data),
            TensorProto::INT64 => integers(parsed(raw, i64::from_le_bytes)),
            TensorProto::INT32 if raw.is_empty() => integers(
                tensor
                    .int32_data
                    .iter()
                    .map(|&value| value.into())
                    .collect(),
            ),
            TensorProto::INT32 => integers(parsed(raw, |bytes| i32::from_le_bytes(bytes).into())),
            _ => (Values::Other, len),
        };
        if got != len {
            return invalid(format!(
                "array {name:?} has the dimensions {dims:?}, but {got} values"
            ));
        }
        Ok(Self { dims, values })
    }

    /// A vector or a single value.
    pub(super) fn of(values: Values) -> Self {
        let len = match &values {
            Values::Floats(values) => values.len(),
            Values::Integers(values) => values.len(),
            Values::Other => 0,
        };
        let dims = vec![len];
        Self { dims, values }
    }
}

fn floats(values: Vec<f32>) -> (Values, usize) {
    let len = values.len();
    (Values::Floats(values), len)
}

fn integers(values: Vec<i64>) -> (Values, usize) {
    let len = values.len();
    (Values::Integers(values), len)
}

/// The values of `N` bytes each. An incomplete last one is left out.
fn parsed<const N: usize, V>(raw: &[u8], from: impl Fn([u8; N]) -> V) -> Vec<V> {
    let (values, _) = raw.as_chunks::<N>();
    values.iter().map(|&bytes| from(bytes)).collect()
}

/// The value of the 16 bits of IEEE 754's binary16.
fn float16(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (bits >> 15, bits >> 10 & 31, f32::from(bits & 1023) / 1024.0);
    let size = match exponent {
        0 => fraction * 2f32.powi(-14),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction) * 2f32.powi(i32::from(exponent) - 15),
    };
    if sign == 1 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision() {
        let cases = [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.9604645e-8),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (bits, value) in cases {
            assert_eq!(float16(bits), value);
        }
        assert!(float16(0x7e00).is_nan());
    }

    #[test]
    fn a_dimension_that_lies_is_refused() {
        for (dims, bytes, works) in [
            (vec![2, 2], 16, true),
            (vec![2, 2], 15, false),
            (vec![1 << 40, 1 << 40], 16, false),
            (vec![-1], 16, false),
            (vec![], 4, true),
        ] {
            let tensor = TensorProto {
                dims,
                data_type: TensorProto::FLOAT,
                raw_data: vec![0; bytes],
                ..TensorProto::default()
            };
            assert_eq!(Array::read(tensor).is_ok(), works);
        }
    }
}
