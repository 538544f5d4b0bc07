//! Data sets from NumPy's arrays.

use std::path::Path;

use bn_tensor::{Scalar, try_zeros};
use ndarray::{Array2, ArrayD};

use super::{Npy, Npz};
use crate::{
    dataset::{Dataset, class_count},
    error::{Error, Result},
};

impl<T: Scalar> Dataset<T> {
    /// Creates a data set from the arrays `x` and `y` in the `.npz` file at `path`; see
    /// [`from_npy`](Self::from_npy). `x` and `y` are the names that `np.savez` was given.
    ///
    /// # Errors
    ///
    /// Those of [`Npz::array`] and of [`from_npy`](Self::from_npy), in [`Error::InFile`].
    pub fn from_npz(path: impl AsRef<Path>, x: &str, y: &str) -> Result<Self> {
        let path = path.as_ref();
        let mut file = Npz::open(path)?;
        let (x, y) = (file.array(x)?, file.array(y)?);
        Self::from_npy(x, y).map_err(|problem| problem.in_file(path))
    }

    /// Creates a data set from NumPy's arrays, as Keras takes them.
    ///
    /// - `x` `(N, D)`, `(N, H, W)` or `(N, H, W, C)`, images channels-last. Values are converted to `T` and
    ///   not scaled: divide bytes by 255.
    /// - `y` of integers `(N)` or `(N, 1)` has labels; there are as many classes as the largest label
    ///   plus 1. `y` of floats `(N)` or `(N, E)` has values.
    ///
    /// ```no_run
    /// use bn_data::{Dataset, Npy};
    ///
    /// # fn main() -> Result<(), bn_data::Error> {
    /// let mut data: Dataset = Dataset::from_npy(Npy::open("x.npy")?, Npy::open("y.npy")?)?;
    /// data.images_mut().mapv_inplace(|x| x / 255.0);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`] for an array of another rank; [`Error::CountMismatch`];
    /// [`Error::Setting`] for a negative label; [`Error::Tensor`] if there is no memory for the data set.
    pub fn from_npy(x: Npy, y: Npy) -> Result<Self> {
        let (n, shape) = match *x.shape() {
            [n, d] => (n, (1, 1, d)),
            [n, h, w] => (n, (h, w, 1)),
            [n, h, w, c] => (n, (h, w, c)),
            _ => return Err(unfit("x", "(N, D), (N, H, W) or (N, H, W, C)", &x)),
        };
        let columns = shape.0 * shape.1 * shape.2; // of an array that exists
        let images = match x {
            Npy::U8(a) => matrix(&a, n, columns, f64::from),
            Npy::I32(a) => matrix(&a, n, columns, f64::from),
            Npy::I64(a) => matrix(&a, n, columns, |x| x as f64),
            Npy::F32(a) => matrix(&a, n, columns, f64::from),
            Npy::F64(a) => matrix(&a, n, columns, |x| x),
        }?;
        let (n, outputs) = match *y.shape() {
            [n] => (n, 1),
            [n, outputs] => (n, outputs),
            _ => return Err(unfit("y", "(N) or (N, E)", &y)),
        };
        let labels: Vec<usize> = match &y {
            Npy::F32(a) => {
                return Self::with_values(images, matrix(a, n, outputs, f64::from)?, shape);
            }
            Npy::F64(a) => return Self::with_values(images, matrix(a, n, outputs, |x| x)?, shape),
            _ if outputs != 1 => return Err(unfit("y", "(N) or (N, 1) for labels", &y)),
            Npy::U8(a) => a.iter().map(|&label| label.into()).collect(),
            Npy::I32(a) => labels(a.iter().map(|&label| label.into()))?,
            Npy::I64(a) => labels(a.iter().copied())?,
        };
        let classes = class_count(&labels);
        Self::new(images, labels, shape, classes)
    }
}

/// The array as a matrix of T, row by row.
fn matrix<A: Copy, T: Scalar>(
    array: &ArrayD<A>,
    rows: usize,
    columns: usize,
    as_f64: impl Fn(A) -> f64,
) -> Result<Array2<T>> {
    let mut matrix = try_zeros("Dataset::from_npy", (rows, columns))?;
    for (to, &from) in matrix.iter_mut().zip(array) {
        *to = T::from_f64(as_f64(from));
    }
    Ok(matrix)
}

fn labels(integers: impl Iterator<Item = i64>) -> Result<Vec<usize>> {
    let label = |label: i64| {
        usize::try_from(label).map_err(|_| Error::Setting {
            what: "a label",
            value: label.to_string(),
            must_be: "at least 0".to_owned(),
        })
    };
    integers.map(label).collect()
}

fn unfit(name: &str, expected: &str, array: &Npy) -> Error {
    Error::ShapeMismatch {
        op: "Dataset::from_npy",
        expected: format!("{expected} of {name}"),
        got: array.shape().to_vec(),
    }
}
