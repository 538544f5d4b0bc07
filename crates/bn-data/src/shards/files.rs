//! The files of a shard: a pair of IDX files.

use std::any::Any;
use std::fs;
use std::mem;
use std::path::{Path, PathBuf};

use bn_tensor::Scalar;
use ndarray::{Array1, Array2, ArrayD, ArrayView2};

use crate::{
    dataset::{Dataset, class_count},
    error::{Error, Result},
    idx::{Idx, IdxReader, header_of},
    targets::Targets,
};

const IMAGES: &str = "-images.idx";
const LABELS: &str = "-labels.idx";
const VALUES: &str = "-values.idx";

/// What is the same in all shards of a data set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Kind {
    pub(super) shape: (usize, usize, usize), // (H, W, C)
    pub(super) outputs: Option<usize>,       // E of values, none for labels
    scalar: &'static str,                    // f32 or f64
}

impl Kind {
    pub(super) fn of<T: Scalar>(data: &Dataset<T>) -> Self {
        Kind {
            shape: data.image_shape(),
            outputs: data.outputs(),
            scalar: if size_of::<T>() == 4 { "f32" } else { "f64" },
        }
    }

    /// Refuses another kind than that of the first shard.
    pub(super) fn check(self, first: Self) -> Result<()> {
        let targets = |kind: Kind| match kind.outputs {
            Some(outputs) => format!("{outputs} values a row"),
            None => "labels".to_owned(),
        };
        if self.shape != first.shape {
            let (h, w, c) = self.shape;
            return Err(Error::ShapeMismatch {
                op: "a data set in shards",
                expected: format!(
                    "{:?} (height, width, channels), as the first shard has",
                    first.shape
                ),
                got: vec![h, w, c],
            });
        }
        if self.scalar != first.scalar {
            return Err(Error::ElementType {
                expected: first.scalar,
                got: self.scalar,
            });
        }
        if self.outputs != first.outputs {
            return Err(Error::Setting {
                what: "the kind of the targets",
                value: targets(self),
                must_be: format!("{}, as in the first shard", targets(first)),
            });
        }
        Ok(())
    }
}

/// A shard whose headers were read.
#[derive(Clone, Debug)]
pub(super) struct Shard {
    stem: PathBuf, // folder/shard-00000
    pub(super) rows: usize,
    pub(super) kind: Kind,
}

impl Shard {
    /// The shards in the folder, in the order of their names.
    pub(super) fn find(folder: &Path) -> Result<Vec<Self>> {
        let names = names(folder).map_err(|problem| problem.in_file(folder))?;
        let stems = names.iter().filter_map(|name| name.strip_suffix(IMAGES));
        stems.map(|stem| Shard::open(folder.join(stem))).collect()
    }

    /// The file of the images.
    pub(super) fn images(&self) -> PathBuf {
        path(&self.stem, IMAGES)
    }

    /// Reads the headers of the shard's files.
    fn open(stem: PathBuf) -> Result<Self> {
        let images = path(&stem, IMAGES);
        let (scalar, dims) = header_of(&images)?;
        let unfit = |expected: &str, dims: &[usize]| Error::ShapeMismatch {
            op: "a data set in shards",
            expected: expected.to_owned(),
            got: dims.to_vec(),
        };
        let &[rows, height, width, channels] = dims.as_slice() else {
            return Err(unfit("(N, H, W, C) of images", &dims).in_file(&images));
        };
        let values = path(&stem, VALUES);
        let (targets, outputs) = if values.is_file() {
            let (of_values, dims) = header_of(&values)?;
            match *dims.as_slice() {
                [n, outputs] if n == rows && of_values == scalar => (values, Some(outputs)),
                _ => {
                    let expected = format!("({rows}, E) of {scalar}, for as many images");
                    return Err(unfit(&expected, &dims).in_file(&values));
                }
            }
        } else {
            let labels = path(&stem, LABELS);
            let (of_labels, dims) = header_of(&labels)?;
            if of_labels != "i32" || dims != [rows] {
                let expected = format!("({rows}) of i32, for as many images");
                return Err(unfit(&expected, &dims).in_file(&labels));
            }
            (labels, None)
        };
        if !matches!(scalar, "f32" | "f64") {
            return Err(Error::ElementType {
                expected: "f32 or f64",
                got: scalar,
            }
            .in_file(&images));
        }
        if rows == 0 {
            return Err(Error::Empty {
                op: "a data set in shards",
            }
            .in_file(&targets));
        }
        let shape = (height, width, channels);
        Ok(Shard {
            stem,
            rows,
            kind: Kind {
                shape,
                outputs,
                scalar,
            },
        })
    }

    /// Reads the shard, which must still be what it was when it was opened.
    pub(super) fn read<T: Scalar>(&self) -> Result<Dataset<T>> {
        let images = self.images();
        let now = Shard::open(self.stem.clone())?;
        if (now.rows, now.kind) != (self.rows, self.kind) {
            return Err(Error::ShapeMismatch {
                op: "a data set in shards",
                expected: format!("{} rows, as when it was opened", self.rows),
                got: vec![now.rows],
            }
            .in_file(&images));
        }
        let (height, width, channels) = self.kind.shape;
        let rows: Array2<T> = matrix(&images, (self.rows, height * width * channels))?;
        match self.kind.outputs {
            Some(outputs) => {
                let values = matrix(&path(&self.stem, VALUES), (self.rows, outputs))?;
                Dataset::with_values(rows, values, self.kind.shape)
            }
            None => {
                let path = path(&self.stem, LABELS);
                let labels: ArrayD<i32> = read_plain(&path)?.try_into()?;
                let labels: Result<Vec<usize>> =
                    labels.iter().map(|&label| to_label(label)).collect();
                let labels = labels.map_err(|problem| problem.in_file(&path))?;
                let classes = class_count(&labels);
                Dataset::new(rows, labels, self.kind.shape, classes)
            }
        }
        .map_err(|problem| problem.in_file(&images))
    }
}

/// The path of a file of a shard.
fn path(stem: &Path, ending: &str) -> PathBuf {
    let mut path = stem.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// The path of a shard without the endings of its files.
pub(super) fn stem(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("shard-{number:05}"))
}

/// The names of the files of shards in the folder, sorted.
pub(super) fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.file_name().into_string()); // another name is not that of a shard
    }
    names.retain(|name| name.starts_with("shard-"));
    names.sort();
    Ok(names)
}

/// Writes a shard. The images come last, so a shard that was interrupted is not found.
pub(super) fn write<T: Scalar>(stem: &Path, data: &Dataset<T>) -> Result<()> {
    match data.targets() {
        Targets::Labels(labels) => {
            let path = path(stem, LABELS);
            let labels: Result<Vec<i32>> = labels
                .iter()
                .enumerate()
                .map(|(index, &label)| {
                    i32::try_from(label).map_err(|_| Error::LabelOutOfRange {
                        index,
                        label,
                        classes: i32::MAX as usize + 1,
                    })
                })
                .collect();
            Idx::from(Array1::from(labels?).into_dyn()).save(path)?;
        }
        Targets::Dense(values) => save(&path(stem, VALUES), values, &[values.ncols()])?,
    }
    let (h, w, c) = data.image_shape();
    save(&path(stem, IMAGES), data.images(), &[h, w, c])
}

/// Saves rows of this shape, as `f32` or `f64`.
fn save<T: Scalar>(path: &Path, rows: ArrayView2<'_, T>, shape: &[usize]) -> Result<()> {
    let dims = [&[rows.nrows()], shape].concat();
    let in_dims = "as many elements as in the matrix";
    let idx = match size_of::<T>() {
        4 => Idx::F32(
            rows.mapv(|x| x.as_f64() as f32)
                .into_shape_with_order(dims)
                .expect(in_dims),
        ),
        _ => Idx::F64(
            rows.mapv(T::as_f64)
                .into_shape_with_order(dims)
                .expect(in_dims),
        ),
    };
    idx.save(path)
}

/// Reads an array of `f32` or `f64` as a matrix.
fn matrix<T: Scalar>(path: &Path, (rows, columns): (usize, usize)) -> Result<Array2<T>> {
    let array = match read_plain(path)? {
        Idx::F32(array) => converted(array, |x| T::from_f64(x.into())),
        Idx::F64(array) => converted(array, T::from_f64),
        other => {
            return Err(Error::ElementType {
                expected: "f32 or f64",
                got: other.element_type(),
            }
            .in_file(path));
        }
    };
    let got = array.shape().to_vec();
    array.into_shape_with_order((rows, columns)).map_err(|_| {
        let expected = format!("({rows}, {columns}), as when it was opened");
        Error::ShapeMismatch {
            op: "a data set in shards",
            expected,
            got,
        }
        .in_file(path)
    })
}

/// The array itself if its elements are of type T, so that a shard is in memory once; otherwise a copy.
fn converted<A: Copy + 'static, T: Scalar>(mut array: ArrayD<A>, to: impl Fn(A) -> T) -> ArrayD<T> {
    match (&mut array as &mut dyn Any).downcast_mut::<ArrayD<T>>() {
        Some(same) => mem::take(same),
        None => array.mapv(to),
    }
}

/// Reads a file whose length was checked, so that it needs no other limit.
fn read_plain(path: &Path) -> Result<Idx> {
    IdxReader::new().limit(u64::MAX).open(path)
}

fn to_label(label: i32) -> Result<usize> {
    usize::try_from(label).map_err(|_| Error::Setting {
        what: "a label",
        value: label.to_string(),
        must_be: "at least 0".to_owned(),
    })
}
