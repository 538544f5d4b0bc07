//! Data in files of the user's.

use super::{DataArgs, Source};
use crate::error::Error;
use bn_data::{Column, CsvReader, Dataset, Idx, ImageFolder, Npy, NpyReader, Preprocessing};
use ndarray::{Array2, ArrayD};
use std::path::Path;

/// The largest value of a byte.
const BYTE: f64 = 255.0;

pub(super) fn read(args: &DataArgs, path: &Path) -> Result<Source, Error> {
    let metadata = path.metadata().map_err(|error| missing(path, &error))?;
    if metadata.is_dir() {
        let (train, classes) = ImageFolder::open(path)?.into_parts();
        return Ok(Source {
            train,
            test: None,
            max_value: BYTE,
            classes,
        });
    }
    if !metadata.is_file() {
        return Err(Error::file(
            format!("{} is not a regular file", path.display()),
            "give a folder or a file",
        ));
    }
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let (train, test, is_bytes) = match extension.to_ascii_lowercase().as_str() {
        "csv" => (csv_reader(args).open(path)?, None, false),
        "npz" => npz(path)?,
        _ => {
            let (train, is_bytes) = idx(args, path)?;
            (train, None, is_bytes)
        }
    };
    let (train, shaped) = shape(args, train)?;
    let test = test.map(|test| shape(args, test)).transpose()?;
    let of_bytes = is_bytes || (shaped && train.images().iter().any(|&x| x > 1.0));
    let max_value = args.max_value.unwrap_or(if of_bytes { BYTE } else { 1.0 });
    let scaling = Preprocessing::new(1.0 / max_value, &[0.0], &[1.0])?;
    let scaled = |mut data: Dataset| -> Result<Dataset, Error> {
        scaling.apply(data.images_mut())?;
        Ok(data)
    };
    Ok(Source {
        train: scaled(train)?,
        test: test.map(|(test, _)| scaled(test)).transpose()?,
        max_value,
        classes: Vec::new(),
    })
}

fn missing(path: &Path, error: &std::io::Error) -> Error {
    let looks_like_a_name = path.components().count() == 1 && path.extension().is_none();
    match error.kind() == std::io::ErrorKind::NotFound && looks_like_a_name {
        true => Error::usage(
            format!("there are no data {:?}", path.display().to_string()),
            "give digits, mnist, fashion, kmnist, qmnist, emnist-SPLIT, or the path of a folder or file",
        ),
        false => Error::read(path, error),
    }
}

fn csv_reader(args: &DataArgs) -> CsvReader {
    let column = match args.label_column.parse() {
        Ok(position) => Column::Index(position),
        Err(_) => Column::from(args.label_column.as_str()),
    };
    CsvReader::with_labels(column).header(!args.no_header)
}

/// The data set, the test part if there is one, and whether the values are bytes.
fn npz(path: &Path) -> Result<(Dataset, Option<Dataset>, bool), Error> {
    let names = NpyReader::npz_names(path)?;
    let pair = |x: &str, y: &str| -> Result<(Dataset, bool), Error> {
        let x = NpyReader::new().open_npz(path, x)?;
        let y = NpyReader::new().open_npz(path, y)?;
        let is_bytes = matches!(x, Npy::U8(_));
        let data = Dataset::from_npy(x, y).map_err(|error| {
            let message = format!("{}: {error}", path.display());
            Error::input(message, "save images as x and whole numbers as y")
        })?;
        Ok((data, is_bytes))
    };
    if !names.iter().any(|name| name == "x_train") {
        let (train, is_bytes) = pair("x", "y")?;
        return Ok((train, None, is_bytes));
    }
    let (train, is_bytes) = pair("x_train", "y_train")?;
    let (test, _) = pair("x_test", "y_test")?;
    Ok((train, Some(test), is_bytes))
}

/// An IDX file of images and one of labels, and whether the values are bytes.
fn idx(args: &DataArgs, path: &Path) -> Result<(Dataset, bool), Error> {
    let images = Idx::open(path)?;
    let Some(labels) = &args.labels else {
        return Err(Error::usage(
            format!("{} is an IDX file of images without labels", path.display()),
            "give the IDX file of the labels with --labels",
        ));
    };
    let bytes: ArrayD<u8> = Idx::open(labels)?.try_into().map_err(|error| {
        let message = format!("{}: {error}", labels.display());
        Error::input(message, "labels are bytes")
    })?;
    let is_bytes = matches!(images, Idx::U8(_));
    let values: ArrayD<f32> = match images {
        Idx::U8(a) => a.mapv(f32::from),
        Idx::I8(a) => a.mapv(f32::from),
        Idx::I16(a) => a.mapv(f32::from),
        Idx::I32(a) => a.mapv(|x| x as f32),
        Idx::F32(a) => a,
        Idx::F64(a) => a.mapv(|x| x as f32),
    };
    let (rows, shape) = match *values.shape() {
        [n, d] => (n, (1, 1, d)),
        [n, height, width] => (n, (height, width, 1)),
        [n, height, width, channels] => (n, (height, width, channels)),
        _ => {
            return Err(Error::input(
                format!(
                    "{}: the shape {:?} is not one of images",
                    path.display(),
                    values.shape()
                ),
                "give an array (N, D), (N, H, W) or (N, H, W, C)",
            ));
        }
    };
    let columns = shape.0 * shape.1 * shape.2; // of an array that exists
    let values = values.into_iter().collect();
    let matrix = Array2::from_shape_vec((rows, columns), values).map_err(|error| {
        Error::input(format!("{}: {error}", path.display()), "give another array")
    })?;
    let labels: Vec<usize> = bytes.into_iter().map(usize::from).collect();
    let classes = labels.iter().max().map_or(0, |&largest| largest + 1);
    Ok((Dataset::new(matrix, labels, shape, classes)?, is_bytes))
}

/// The rows as images of `--image-shape`, and whether they are images that were a table.
fn shape(args: &DataArgs, data: Dataset) -> Result<(Dataset, bool), Error> {
    let Some(shape) = args.image_shape else {
        return Ok((data, false));
    };
    let (columns, classes) = (data.images().ncols(), data.classes());
    let pixels = (shape.height * shape.width).checked_mul(shape.channels);
    if pixels != Some(columns) {
        return Err(Error::input(
            format!("a row has {columns} values, and an image of {shape} has another number"),
            "give the --image-shape of the rows",
        ));
    }
    let labels = data.labels().to_vec();
    let shape = (shape.height, shape.width, shape.channels);
    Ok((
        Dataset::new(data.images().to_owned(), labels, shape, classes)?,
        true,
    ))
}
