//! An array as a checkpoint holds it.

use bn_tensor::Scalar;
use ndarray::{ArrayD, IxDyn};
use safetensors::{Dtype, tensor::TensorView, tensor::View};
use std::borrow::Cow;

/// An array of `f32` or `f64`, of a shape that fits its values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>, // little-endian, in row-major order
}

impl Stored {
    /// The error says what does not fit.
    pub(super) fn new<T: Scalar>(shape: &[usize], values: &[T]) -> Result<Self, String> {
        if len_of(shape, size_of::<T>()) != Some(values.len()) {
            let len = values.len();
            return Err(format!("{len} values are not of shape {shape:?}"));
        }
        let mut bytes = Vec::with_capacity(size_of_val(values));
        match dtype::<T>() {
            Dtype::F32 => values.iter().for_each(|v| {
                bytes.extend_from_slice(&(v.as_f64() as f32).to_le_bytes()); // the f32 that it was
            }),
            _ => values
                .iter()
                .for_each(|v| bytes.extend_from_slice(&v.as_f64().to_le_bytes())),
        }
        Ok(Self {
            dtype: dtype::<T>(),
            shape: shape.to_vec(),
            bytes,
        })
    }

    /// The number of values.
    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// From a file, whose reader has checked that the shape fits the bytes.
    pub(super) fn from_view(view: &TensorView<'_>) -> Result<Self, String> {
        let (dtype, shape) = (view.dtype(), view.shape());
        let size = match dtype {
            Dtype::F32 => 4,
            Dtype::F64 => 8,
            other => return Err(format!("its values are {other:?}, not F32 or F64")),
        };
        if len_of(shape, size).is_none() {
            return Err(format!("its shape {shape:?} is too large"));
        }
        Ok(Self {
            dtype,
            shape: shape.to_vec(),
            bytes: view.data().to_vec(),
        })
    }

    /// The error says which type the values have.
    pub(super) fn to_array<T: Scalar>(&self) -> Result<ArrayD<T>, String> {
        if self.dtype != dtype::<T>() {
            let (expected, got) = (dtype::<T>(), self.dtype);
            return Err(format!("expected values of {expected:?}, got {got:?}"));
        }
        let values = match self.dtype {
            Dtype::F32 => {
                let (values, _) = self.bytes.as_chunks();
                let values = values.iter().map(|&b| f32::from_le_bytes(b).into());
                values.map(T::from_f64).collect()
            }
            _ => {
                let (values, _) = self.bytes.as_chunks();
                let values = values.iter().map(|&b| f64::from_le_bytes(b));
                values.map(T::from_f64).collect()
            }
        };
        ArrayD::from_shape_vec(IxDyn(&self.shape), values).map_err(|error| error.to_string())
    }
}

impl View for &Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

fn dtype<T: Scalar>() -> Dtype {
    match size_of::<T>() {
        4 => Dtype::F32,
        _ => Dtype::F64,
    }
}

/// The number of values of `size` bytes in an array of this shape. `None` if no array can have the
/// shape: the sizes must fit together even if one of them is 0.
fn len_of(shape: &[usize], size: usize) -> Option<usize> {
    let sizes = shape.iter().filter(|&&n| n > 0);
    let bytes = sizes.copied().try_fold(size, usize::checked_mul)?;
    let len = if shape.contains(&0) { 0 } else { bytes / size };
    (bytes <= isize::MAX as usize).then_some(len)
}
