use crate::Error;
use bn_tensor::Scalar;
use std::collections::BTreeMap;

/// What an [`Optimizer`](crate::Optimizer) remembers from step to step: the number of steps, and for
/// each parameter, by its name, some arrays of the parameter's length (Adam's m and v, say). They
/// are zero at first.
#[derive(Debug, Clone, PartialEq)]
pub struct OptimizerState<T> {
    arrays: usize,
    steps: u64,
    values: BTreeMap<String, Vec<T>>, // (arrays·length), one array after another
}

impl<T: Scalar> OptimizerState<T> {
    /// Of no steps yet, with so many arrays for each parameter.
    pub fn new(arrays: usize) -> Self {
        Self {
            arrays,
            steps: 0,
            values: BTreeMap::new(),
        }
    }

    /// The number of arrays for each parameter.
    pub fn arrays(&self) -> usize {
        self.arrays
    }

    /// The number of steps.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// What is remembered of a parameter, `(arrays, length)` in row-major order; `None` before its
    /// first step.
    pub fn values(&self, name: &str) -> Option<&[T]> {
        self.values.get(name).map(Vec::as_slice)
    }

    /// All that is remembered, by the parameters' names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[T])> {
        let all = self.values.iter();
        all.map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// Puts another state in its place.
    pub(crate) fn restore(&mut self, steps: u64, values: BTreeMap<String, Vec<T>>) {
        (self.steps, self.values) = (steps, values);
    }

    pub(crate) fn begin_step(&mut self) {
        self.steps += 1;
    }

    /// Whether what is remembered for `name`, if anything, is of a parameter of `len` values.
    pub(crate) fn check(&self, name: &str, len: usize) -> Result<(), Error> {
        match self.values.get(name) {
            Some(values) if values.len() != self.arrays * len => Err(Error::OptimizerState {
                name: name.to_owned(),
                expected: values.len() / self.arrays.max(1),
                got: len,
            }),
            _ => Ok(()),
        }
    }

    /// The arrays kept for `name`, of `len` values each, one after another; and whether they are
    /// new. Allocates only when they are.
    pub(crate) fn get(&mut self, name: &str, len: usize) -> Result<(&mut [T], bool), Error> {
        self.check(name, len)?;
        let is_new = !self.values.contains_key(name);
        if is_new {
            let zeros = vec![T::zero(); self.arrays * len];
            self.values.insert(name.to_owned(), zeros);
        }
        let values = self.values.get_mut(name);
        Ok((values.map_or(&mut [][..], Vec::as_mut_slice), is_new))
    }
}
