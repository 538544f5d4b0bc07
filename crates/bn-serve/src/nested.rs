//! Nested JSON arrays of numbers.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use std::fmt;

/// The deepest nesting: images `(N, H, W, C)`.
const MAX_DEPTH: usize = 4;

/// A JSON array of arrays of the same length, down to the numbers, such as `[[1, 2], [3, 4]]`.
#[derive(Debug, Default)]
pub(crate) struct Nested {
    /// The numbers in row-major order.
    pub(crate) values: Vec<f32>,
    /// The lengths of the arrays from the outside to the inside.
    pub(crate) dims: Vec<usize>,
}

impl<'de> Deserialize<'de> for Nested {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut reader = Reader {
            values: Vec::new(),
            lengths: [None; MAX_DEPTH],
            depth: None,
        };
        Level {
            reader: &mut reader,
            level: 0,
        }
        .deserialize(deserializer)?;
        let depth = reader.depth.unwrap_or(1);
        let dims = reader.lengths[..depth].iter().map(|n| n.unwrap_or(0));
        Ok(Self {
            values: reader.values,
            dims: dims.collect(),
        })
    }
}

struct Reader {
    values: Vec<f32>,
    lengths: [Option<usize>; MAX_DEPTH], // of the arrays at each level, once one has been read
    depth: Option<usize>,                // the level of the numbers
}

/// What stands inside `level` arrays.
struct Level<'a> {
    reader: &'a mut Reader,
    level: usize,
}

impl Level<'_> {
    fn number<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        let number = value as f32;
        if self.level == 0 {
            return Err(E::custom("expected an array of numbers, got a number"));
        }
        if *self.reader.depth.get_or_insert(self.level) != self.level {
            return Err(E::custom("a number stands where others have an array"));
        }
        if !number.is_finite() {
            return Err(E::custom(format_args!(
                "{value:e} is too large for 32 bits"
            )));
        }
        self.reader.values.push(number);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or an array of numbers")
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.number(value as f64)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.number(value as f64)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.number(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        let Self { reader, level } = self;
        if level == MAX_DEPTH {
            return Err(A::Error::custom("arrays are nested at most 4 deep"));
        }
        if reader.depth.is_some_and(|depth| depth <= level) {
            return Err(A::Error::custom(
                "an array stands where others have a number",
            ));
        }
        let mut count = 0;
        let inner = level + 1;
        while array
            .next_element_seed(Level {
                reader: &mut *reader,
                level: inner,
            })?
            .is_some()
        {
            count += 1;
        }
        let expected = *reader.lengths[level].get_or_insert(count);
        if count != expected {
            return Err(A::Error::custom(format_args!(
                "an array of {count} where others have {expected}"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<(Vec<f32>, Vec<usize>), String> {
        let nested: Nested = serde_json::from_str(json).map_err(|error| error.to_string())?;
        Ok((nested.values, nested.dims))
    }

    #[test]
    fn nested_arrays_are_flattened() {
        assert_eq!(read("[1, -2.5]"), Ok((vec![1.0, -2.5], vec![2])));
        let (values, dims) = read("[[[1],[2]],[[3],[4]],[[5],[6]]]").unwrap();
        assert_eq!((values.len(), dims), (6, vec![3, 2, 1]));
        assert_eq!(read("[]"), Ok((vec![], vec![0])));
        // Without numbers the depth is not known; nothing fits such an array.
        assert_eq!(read("[[],[]]"), Ok((vec![], vec![2])));
    }

    #[test]
    fn other_arrays_are_refused() {
        for (json, part) in [
            ("1", "expected an array"),
            ("[1,[2]]", "an array stands"),
            ("[[1],2]", "a number stands"),
            ("[[1,2],[3]]", "an array of 1 where others have 2"),
            ("[[1],[]]", "an array of 0 where others have 1"),
            ("[[[[[1]]]]]", "at most 4 deep"),
            ("[1e39]", "too large for 32 bits"),
            ("[1e999]", "out of range"),
            ("[NaN]", "expected value"),
            ("[null]", "expected a number"),
            ("[\"1\"]", "expected a number"),
            ("[true]", "expected a number"),
            ("{}", "expected a number"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(part), "{json}: {error}");
        }
    }
}
