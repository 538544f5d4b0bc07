use crate::Error;
use bn_tensor::Scalar;
use std::collections::HashMap;

/// Arrays of the parameters' lengths, zero at first, by the parameters' names.
#[derive(Debug, Clone, Default)]
pub(crate) struct State<T>(HashMap<String, Vec<T>>);

impl<T: Scalar> State<T> {
    /// Whether the `arrays` arrays kept for `name`, if any, have `len` values each.
    pub(crate) fn check(&self, name: &str, arrays: usize, len: usize) -> Result<(), Error> {
        match self.0.get(name) {
            Some(values) if values.len() != arrays * len => Err(Error::OptimizerState {
                name: name.to_owned(),
                expected: values.len() / arrays,
                got: len,
            }),
            _ => Ok(()),
        }
    }

    /// The `arrays` arrays kept for `name`, of `len` values each, one after another; and whether
    /// they are new. Allocates only when they are.
    pub(crate) fn get(
        &mut self,
        name: &str,
        arrays: usize,
        len: usize,
    ) -> Result<(&mut [T], bool), Error> {
        self.check(name, arrays, len)?;
        let is_new = !self.0.contains_key(name);
        if is_new {
            self.0
                .insert(name.to_owned(), vec![T::zero(); arrays * len]);
        }
        let values = self.0.get_mut(name).map_or(&mut [][..], Vec::as_mut_slice);
        Ok((values, is_new))
    }
}
