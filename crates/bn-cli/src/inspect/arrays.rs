//! The arrays of a file.

use super::statistics::Statistics;
use crate::error::Error;
use bn_data::{Npy, Npz};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use std::path::Path;

/// A row of the table of arrays.
pub(super) struct ArrayRow {
    name: String,
    element: String,
    shape: Vec<usize>,
    /// `None` for types of elements that are not read.
    statistics: Option<Statistics>,
}

impl ArrayRow {
    pub(super) fn new(
        name: &str,
        element: &str,
        shape: &[usize],
        values: Option<impl Iterator<Item = f64>>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            element: element.to_owned(),
            shape: shape.to_vec(),
            statistics: values.map(Statistics::of),
        }
    }

    pub(super) fn cells(&self) -> Vec<String> {
        let shape: Vec<String> = self.shape.iter().map(ToString::to_string).collect();
        let mut cells = vec![self.name.clone(), self.element.clone(), shape.join("×")];
        if let Some(s) = self.statistics {
            let number = |x: f64| match x.is_nan() {
                true => "-".to_owned(),
                false if x != 0.0 && !(1e-3..1e5).contains(&x.abs()) => format!("{x:.2e}"),
                false => format!("{x:.4}"),
            };
            cells.extend([s.min, s.max, s.mean, s.std].map(number));
            cells.extend([
                format!("{:.1} %", 100.0 * s.zeros),
                s.non_finite.to_string(),
            ]);
        }
        cells
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.element,
            "shape": self.shape,
            "statistics": self.statistics.map(Statistics::to_json),
        })
    }
}

/// One array after another, so that only one is in memory.
pub(super) fn of_npz(path: &Path) -> Result<Vec<ArrayRow>, Error> {
    let mut file = Npz::open(path)?;
    let names = file.names();
    let row = |name: &String| {
        let array = file.array(name)?;
        let values: Box<dyn Iterator<Item = f64>> = match &array {
            Npy::U8(a) => Box::new(a.iter().map(|&x| f64::from(x))),
            Npy::I32(a) => Box::new(a.iter().map(|&x| f64::from(x))),
            Npy::I64(a) => Box::new(a.iter().map(|&x| x as f64)),
            Npy::F32(a) => Box::new(a.iter().map(|&x| f64::from(x))),
            Npy::F64(a) => Box::new(a.iter().copied()),
        };
        Ok(ArrayRow::new(
            name,
            array.element_type(),
            array.shape(),
            Some(values),
        ))
    };
    names.iter().map(row).collect()
}

pub(super) fn of_safetensors(path: &Path) -> Result<Vec<ArrayRow>, Error> {
    let bytes = bn_data::read_whole(path).map_err(|error| Error::read(path, &error))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| {
        Error::file(
            format!("{} is not a safetensors file: {error}", path.display()),
            "give a model, a checkpoint, or an .onnx, .npz or .safetensors file",
        )
    })?;
    let mut rows: Vec<ArrayRow> = file
        .iter()
        .map(|(name, view)| {
            let element = format!("{:?}", view.dtype()).to_lowercase();
            ArrayRow::new(
                name,
                &element,
                view.shape(),
                values(view.dtype(), view.data()),
            )
        })
        .collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(rows)
}

/// The values of little-endian bytes, of the types that networks are stored in.
fn values(element: Dtype, bytes: &[u8]) -> Option<Box<dyn Iterator<Item = f64> + '_>> {
    Some(match element {
        Dtype::F64 => Box::new(chunks(bytes).map(f64::from_le_bytes)),
        Dtype::F32 => Box::new(chunks(bytes).map(|b| f32::from_le_bytes(b).into())),
        // The upper half of an f32.
        Dtype::BF16 => {
            Box::new(chunks(bytes).map(|[a, b]| f32::from_le_bytes([0, 0, a, b]).into()))
        }
        Dtype::I64 => Box::new(chunks(bytes).map(|b| i64::from_le_bytes(b) as f64)),
        Dtype::I32 => Box::new(chunks(bytes).map(|b| i32::from_le_bytes(b).into())),
        Dtype::U8 => Box::new(bytes.iter().map(|&b| b.into())),
        _ => return None,
    })
}

fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks().0.iter().copied()
}
