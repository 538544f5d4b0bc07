//! Arrays of a size that a user chose: the number of their values is checked, and memory that the system
//! refuses is an error, not the end of the process.

use crate::error::Error;
use bytemuck::{Zeroable, allocation::try_zeroed_vec};
use ndarray::{Array, Dimension, IntoDimension};

/// The number of values of an array of this shape, if so many values of type `T` can be addressed. `what`
/// names the array in the error.
///
/// ```
/// use bn_tensor::{Error, checked_len};
/// assert_eq!(checked_len::<f32>("weights", &[784, 100])?, 78_400);
/// assert!(checked_len::<f32>("weights", &[1 << 40, 1 << 40]).is_err());
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
/// [`Error::TooLarge`] if the values take more than `isize::MAX` bytes. As in ndarray, a size of 0 counts
/// as 1 in this check.
pub fn checked_len<T>(what: &'static str, shape: &[usize]) -> Result<usize, Error> {
    let bytes = shape.iter().try_fold(size_of::<T>(), |bytes, &size| {
        let bytes = bytes.checked_mul(size.max(1));
        bytes.filter(|&bytes| isize::try_from(bytes).is_ok())
    });
    match bytes {
        Some(_) => Ok(shape.iter().product()),
        None => Err(too_large::<T>(what, shape)),
    }
}

/// An array of zeros. The system provides the memory when a value is first written.
///
/// ```
/// use bn_tensor::try_zeros;
/// let w = try_zeros::<f32, _>("weights", (2, 3))?;
/// assert_eq!(w, ndarray::Array2::zeros((2, 3)));
/// let error = try_zeros::<f32, _>("weights", (1 << 30, 1 << 40)).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "weights: an array of shape [1073741824, 1099511627776] takes 4.7e21 bytes, more than can be \
///      allocated; use smaller sizes"
/// );
/// # Ok::<(), bn_tensor::Error>(())
/// ```
///
/// # Errors
/// [`Error::TooLarge`] if there is no memory for the array.
pub fn try_zeros<T: Zeroable, D: Dimension>(
    what: &'static str,
    shape: impl IntoDimension<Dim = D>,
) -> Result<Array<T, D>, Error> {
    let shape = shape.into_dimension();
    let len = checked_len::<T>(what, shape.slice())?;
    let refused = || too_large::<T>(what, shape.slice());
    let values = try_zeroed_vec(len).map_err(|()| refused())?;
    Array::from_shape_vec(shape.clone(), values).map_err(|_| refused())
}

/// `Vec::resize` with zeros, to the length of an array of this shape.
///
/// ```
/// let mut buffer = vec![1.0f32];
/// bn_tensor::try_resize("buffer", &mut buffer, &[2, 2])?;
/// assert_eq!(buffer, [1.0, 0.0, 0.0, 0.0]);
/// assert!(bn_tensor::try_resize("buffer", &mut buffer, &[usize::MAX]).is_err());
/// assert_eq!(buffer.len(), 4);
/// # Ok::<(), bn_tensor::Error>(())
/// ```
///
/// # Errors
/// [`Error::TooLarge`] if there is no memory for the array; the buffer is unchanged then.
pub fn try_resize<T: Zeroable + Copy>(
    what: &'static str,
    buffer: &mut Vec<T>,
    shape: &[usize],
) -> Result<(), Error> {
    let len = checked_len::<T>(what, shape)?;
    let more = len.saturating_sub(buffer.len());
    if buffer.try_reserve(more).is_err() {
        return Err(too_large::<T>(what, shape));
    }
    buffer.resize(len, T::zeroed());
    Ok(())
}

fn too_large<T>(what: &'static str, shape: &[usize]) -> Error {
    let values: f64 = shape.iter().map(|&size| size.max(1) as f64).product();
    Error::TooLarge {
        what,
        shape: shape.to_vec(),
        bytes: values * size_of::<T>() as f64,
    }
}
