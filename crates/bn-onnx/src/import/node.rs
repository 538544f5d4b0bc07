use crate::{
    error::Error,
    proto::{AttributeProto, NodeProto},
    settings::Pair,
};

/// A node and its settings.
#[derive(Debug)]
pub(super) struct Node(pub(super) NodeProto);

impl Node {
    pub(super) fn operator(&self) -> &str {
        &self.0.op_type
    }

    pub(super) fn output(&self) -> &str {
        self.0.output.first().map_or("", |output| output)
    }

    /// The name of input `i`; none if it is left out.
    pub(super) fn input(&self, i: usize) -> Option<&str> {
        self.0
            .input
            .get(i)
            .map(|name| &**name)
            .filter(|name| !name.is_empty())
    }

    pub(super) fn refused<T>(&self, reason: impl Into<String>) -> Result<T, Error> {
        let name = match self.0.name.is_empty() {
            true => self.output(),
            false => &self.0.name,
        };
        Err(Error::Unsupported {
            node: name.to_owned(),
            operator: self.0.op_type.clone(),
            reason: reason.into(),
        })
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.0
            .attribute
            .iter()
            .find(|attribute| attribute.name == name)
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name)
            .map_or(default, |attribute| attribute.i)
    }

    pub(super) fn float(&self, name: &str, default: f32) -> f64 {
        decimal(
            self.attribute(name)
                .map_or(default, |attribute| attribute.f),
        )
    }

    pub(super) fn text(&self, name: &str, default: &str) -> String {
        let text = self
            .attribute(name)
            .map(|attribute| String::from_utf8_lossy(&attribute.s).into_owned());
        text.filter(|text| !text.is_empty())
            .unwrap_or_else(|| default.to_owned())
    }

    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        let ints = self.attribute(name).map(|attribute| &*attribute.ints);
        ints.filter(|ints| !ints.is_empty())
    }

    /// A number that must not be negative.
    pub(super) fn size(&self, name: &str, value: i64) -> Result<usize, Error> {
        match usize::try_from(value) {
            Ok(size) => Ok(size),
            Err(_) => self.refused(format!("{name} is {value}, but must be 0 or more")),
        }
    }

    /// Numbers that must not be negative.
    pub(super) fn sizes<const N: usize>(
        &self,
        name: &str,
        default: [usize; N],
    ) -> Result<[usize; N], Error> {
        let Some(values) = self.ints(name) else {
            return Ok(default);
        };
        let sizes = values.iter().map(|&value| self.size(name, value));
        let sizes: Vec<usize> = sizes.collect::<Result<_, _>>()?;
        match <[usize; N]>::try_from(sizes) {
            Ok(sizes) => Ok(sizes),
            Err(_) => self.refused(format!(
                "{name} must have {N} numbers: images have two axes"
            )),
        }
    }

    /// A number for rows and one for columns.
    pub(super) fn pair(&self, name: &str, default: usize) -> Result<Pair, Error> {
        let [rows, columns] = self.sizes(name, [default; 2])?;
        Ok((rows, columns))
    }
}

/// The shortest decimal that is this `f32`: 0.1 and not 0.10000000149.
pub(super) fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(value.into())
}
