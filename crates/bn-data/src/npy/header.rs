//! The header of a `.npy` file: a Python dictionary with element type, layout and shape.

use std::io::Read;

use crate::{
    error::{Error, Result},
    payload::read_header,
};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// NumPy itself refuses a header above 10,000 bytes.
const MOST_BYTES: usize = 1 << 16;

pub(super) struct Header {
    pub(super) element: Element,
    pub(super) is_big_endian: bool,
    pub(super) is_fortran: bool, // the first index runs fastest
    pub(super) dims: Vec<usize>,
    pub(super) bytes: u64, // of the header
}

#[derive(Clone, Copy)]
pub(super) enum Element {
    U8,
    I32,
    I64,
    F32,
    F64,
}

impl Element {
    /// Bytes of one element.
    pub(super) fn size(self) -> usize {
        match self {
            Element::U8 => 1,
            Element::I32 | Element::F32 => 4,
            Element::I64 | Element::F64 => 8,
        }
    }
}

impl Header {
    pub(super) fn read(reader: &mut impl Read) -> Result<Self> {
        let mut start = [0; 8];
        read_header(reader, &mut start, 0)?;
        if !start.starts_with(MAGIC) {
            return Err(damaged("it does not begin with \\x93NUMPY"));
        }
        // Version 1 has a length of two bytes, versions 2 and 3 of four.
        let mut length = [0; 4];
        let length_bytes = match start[6] {
            1 => 2,
            2 | 3 => 4,
            version => {
                return Err(damaged(&format!(
                    "its format has version {version}, not 1 to 3"
                )));
            }
        };
        read_header(reader, &mut length[..length_bytes], 8)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MOST_BYTES {
            return Err(damaged(&format!(
                "its header has {length} bytes, more than {MOST_BYTES}"
            )));
        }
        let before = 8 + length_bytes as u64;
        let mut text = vec![0; length];
        read_header(reader, &mut text, before)?;
        let bytes = before + length as u64;
        str::from_utf8(&text)
            .ok()
            .and_then(|text| parse(text, bytes))
            .ok_or_else(|| damaged(&format!("its header is {}", String::from_utf8_lossy(&text))))
    }
}

/// Parses a dictionary such as `{'descr': '<f4', 'fortran_order': False, 'shape': (60000, 784), }`.
fn parse(text: &str, bytes: u64) -> Option<Header> {
    let (descr, _) = value(text, "descr")?.strip_prefix('\'')?.split_once('\'')?;
    let (order, kind) = descr.split_at_checked(1)?;
    let element = match kind {
        "u1" => Element::U8,
        "i4" => Element::I32,
        "i8" => Element::I64,
        "f4" => Element::F32,
        "f8" => Element::F64,
        _ => return None,
    };
    let is_big_endian = match order {
        "<" | "|" => false,
        ">" => true,
        _ => return None,
    };
    let is_fortran = match value(text, "fortran_order")? {
        value if value.starts_with("True") => true,
        value if value.starts_with("False") => false,
        _ => return None,
    };
    let (shape, _) = value(text, "shape")?.strip_prefix('(')?.split_once(')')?;
    let dims = shape
        .split(',')
        .map(str::trim)
        .filter(|dim| !dim.is_empty())
        .map(|dim| dim.parse().ok())
        .collect::<Option<Vec<usize>>>()?;
    Some(Header {
        element,
        is_big_endian,
        is_fortran,
        dims,
        bytes,
    })
}

/// What follows `'key':`.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (_, after) = text.split_once(&format!("'{key}'"))?;
    Some(after.trim_start().strip_prefix(':')?.trim_start())
}

fn damaged(reason: &str) -> Error {
    Error::NotNpy {
        reason: reason.chars().take(200).collect(),
    }
}
