use crate::error::Error;
use bn_tensor::{Scalar, largest_magnitude, try_resize};
use std::collections::BTreeMap;

/// See the `safety` module.
const LARGEST_ORDINARY: f64 = 1e16;

/// What an [`Optimizer`](crate::Optimizer) remembers from step to step: the number of steps, and for
/// each parameter, by its name, some arrays of the parameter's length (Adam's m and v, say). They
/// are zero at first.
#[derive(Debug, Clone, PartialEq)]
pub struct OptimizerState<T> {
    arrays: usize,
    steps: u64,
    values: BTreeMap<String, Vec<T>>, // (arrays·length), one array after another
    is_ordinary: bool,                // whether no value is larger than `LARGEST_ORDINARY`
}

impl<T: Scalar> OptimizerState<T> {
    /// The state before the first step, with so many arrays for each parameter.
    pub fn new(arrays: usize) -> Self {
        Self {
            arrays,
            steps: 0,
            values: BTreeMap::new(),
            is_ordinary: true,
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
        self.look_through();
    }

    pub(super) fn is_ordinary(&self) -> bool {
        self.is_ordinary
    }

    /// The name of a parameter whose values are not all finite, if there is one. Notes how large
    /// they are.
    pub(super) fn look_through(&mut self) -> Option<&str> {
        let (mut largest, mut bad) = (0.0f64, None);
        for (name, values) in &self.values {
            let of_param = largest_magnitude(values).as_f64();
            if !of_param.is_finite() {
                bad = bad.or(Some(name.as_str()));
            }
            largest = largest.max(of_param);
        }
        self.is_ordinary = bad.is_none() && largest <= LARGEST_ORDINARY;
        bad
    }

    pub(crate) fn begin_step(&mut self) {
        self.steps = self.steps.saturating_add(1);
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

    /// The arrays kept for `name`, of `len` values each, one after another; zeros at first.
    /// Allocates only then.
    pub(crate) fn get(&mut self, name: &str, len: usize) -> Result<&mut [T], Error> {
        self.check(name, len)?;
        if !self.values.contains_key(name) {
            let mut zeros = Vec::new();
            try_resize("the state of an optimizer", &mut zeros, &[self.arrays, len])?;
            self.values.insert(name.to_owned(), zeros);
        }
        let values = self.values.get_mut(name);
        Ok(values.map_or(&mut [][..], Vec::as_mut_slice))
    }
}
