//! Whether JSON can hold a value.
//!
//! serde_json writes a NaN or an infinity as null, and writes values nested deeper than it can read.
//! The serializer here writes nothing and refuses both.

use serde::{
    Serialize, Serializer,
    de::value::Error,
    ser::{self, Error as _},
};

/// serde_json reads 128 levels, some of which are the file's own.
const MAX_DEPTH: usize = 100;

/// `Ok` for a value that is read back as it was written.
pub(super) fn check(value: &impl Serialize) -> Result<(), String> {
    let result = value.serialize(Check { depth: 0 });
    result.map_err(|error| error.to_string())
}

#[derive(Clone, Copy)]
struct Check {
    depth: usize, // lists and objects around the value
}

impl Check {
    /// Within one more list or object.
    fn deeper(self) -> Result<Self, Error> {
        let depth = self.depth + 1;
        match depth > MAX_DEPTH {
            true => Err(Error::custom(format!(
                "it is nested deeper than {MAX_DEPTH} levels"
            ))),
            false => Ok(Self { depth }),
        }
    }
}

// Macros, because the methods differ only in a name and a type.
macro_rules! any_value {
    ($($method:ident($type:ty)),*) => {$(
        fn $method(self, _: $type) -> Result<(), Error> {
            Ok(())
        }
    )*};
}

macro_rules! values {
    ($trait:ident, $method:ident $(, $key:ident)?) => {
        impl ser::$trait for Check {
            type Ok = ();
            type Error = Error;

            fn $method<V: Serialize + ?Sized>(
                &mut self,
                $($key: &'static str,)?
                value: &V,
            ) -> Result<(), Error> {
                $(let _ = $key;)?
                value.serialize(*self)
            }

            fn end(self) -> Result<(), Error> {
                Ok(())
            }
        }
    };
}
values!(SerializeSeq, serialize_element);
values!(SerializeTuple, serialize_element);
values!(SerializeTupleStruct, serialize_field);
values!(SerializeTupleVariant, serialize_field);
values!(SerializeStruct, serialize_field, key);
values!(SerializeStructVariant, serialize_field, key);

impl ser::SerializeMap for Check {
    type Ok = ();
    type Error = Error;

    /// serde_json checks keys itself.
    fn serialize_key<K: Serialize + ?Sized>(&mut self, _: &K) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_value<V: Serialize + ?Sized>(&mut self, value: &V) -> Result<(), Error> {
        value.serialize(*self)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

impl Serializer for Check {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    any_value!(
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_i128(i128),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_u128(u128),
        serialize_char(char),
        serialize_str(&str),
        serialize_bytes(&[u8]),
        serialize_unit_struct(&'static str)
    );

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        match value.is_finite() {
            true => Ok(()),
            false => Err(Error::custom(format!("JSON has no number {value}"))),
        }
    }

    fn serialize_unit(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_some<V: Serialize + ?Sized>(self, value: &V) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_newtype_struct<V: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &V,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<V: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &V,
    ) -> Result<(), Error> {
        value.serialize(self.deeper()?)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Error> {
        self.deeper()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Error> {
        self.deeper()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        self.deeper()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Error> {
        self.deeper()?.deeper() // {"variant": […]}
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Error> {
        self.deeper()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        self.deeper()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Error> {
        self.deeper()?.deeper()
    }
}
