use crate::error::Error;
use bn_tensor::{Scalar, largest_magnitude, try_resize};
use std::collections::BTreeMap;

/// See the `safety` module.
const LARGEST_ORDINARY: f64 = 1e16;

/// What an [`Optimizer`](crate::Optimizer) keeps from step to step: the number of steps, and for each
/// parameter, by its name, some arrays of the parameter's length (Adam's m and v, say), which are zero
/// at first.
///
/// From its first step on, a state belongs to one network, and a step with another network is refused.
/// A clone of the state belongs to no network until its first step. So to train a clone of a network,
/// clone the optimizer too. States are equal if their steps and values are equal.
#[derive(Debug)]
pub struct OptimizerState<T> {
    arrays: usize,
    squares: usize,
    steps: u64,
    values: BTreeMap<String, Vec<T>>, // (arrays·length), one array after another
    is_ordinary: bool,                // whether no value is larger than `LARGEST_ORDINARY`
    network: Option<u64>,             // the network that it belongs to, as `Param::network`
}

impl<T: Clone> Clone for OptimizerState<T> {
    fn clone(&self) -> Self {
        Self {
            values: self.values.clone(),
            network: None,
            ..*self
        }
    }
}

impl<T: PartialEq> PartialEq for OptimizerState<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.arrays, self.squares, self.steps) == (other.arrays, other.squares, other.steps)
            && self.values == other.values
    }
}

impl<T: Scalar> OptimizerState<T> {
    /// The state before the first step, with `arrays` arrays for each parameter.
    pub fn new(arrays: usize) -> Self {
        Self {
            arrays,
            squares: 0,
            steps: 0,
            values: BTreeMap::new(),
            is_ordinary: true,
            network: None,
        }
    }

    /// The same with the last `squares` arrays of each parameter being sums of squares, which are
    /// never negative. A checkpoint with a negative value there is refused.
    #[must_use]
    pub fn with_squares(mut self, squares: usize) -> Self {
        self.squares = squares;
        self
    }

    /// The number of arrays for each parameter.
    pub fn arrays(&self) -> usize {
        self.arrays
    }

    /// The number of steps.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The arrays kept for a parameter, `(arrays, length)` in row-major order; `None` before its first
    /// step.
    pub fn values(&self, name: &str) -> Option<&[T]> {
        self.values.get(name).map(Vec::as_slice)
    }

    /// The arrays of all parameters, by the parameters' names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[T])> {
        let all = self.values.iter();
        all.map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// Replaces the steps and values, and keeps the network.
    pub(crate) fn restore(&mut self, steps: u64, values: BTreeMap<String, Vec<T>>) {
        (self.steps, self.values) = (steps, values);
        self.look_through();
    }

    /// Undoes a step: `before` is a clone from before it.
    pub(super) fn put_back(&mut self, before: Self) {
        let network = self.network;
        *self = Self { network, ..before };
    }

    /// `Ok` for the arrays of a parameter that a step can leave. Otherwise says what is wrong.
    pub(crate) fn check_values(&self, values: &[T]) -> Result<(), &'static str> {
        if !largest_magnitude(values).is_finite() {
            return Err("a value is not finite (NaN or infinity)");
        }
        let len = values.len() / self.arrays.max(1);
        let squares = &values[values.len() - self.squares.min(self.arrays) * len..];
        match squares.iter().any(|&v| v < T::zero()) {
            true => Err("a sum of squares is negative"),
            false => Ok(()),
        }
    }

    pub(super) fn is_ordinary(&self) -> bool {
        self.is_ordinary
    }

    /// Returns the name of a parameter whose values are not all finite, if there is one. Notes how
    /// large they are.
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

    /// `Ok` unless the values are those of another network.
    pub(super) fn check_network(&self, network: Option<u64>) -> Result<(), Error> {
        let is_other = self.network.is_some() && self.network != network;
        match is_other && !self.values.is_empty() {
            true => Err(Error::OtherNetwork),
            false => Ok(()),
        }
    }

    /// Makes this the state of a network.
    pub(crate) fn set_network(&mut self, network: Option<u64>) {
        self.network = network;
    }

    /// `Ok` unless the arrays kept for `name` are of another length.
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

    /// The arrays kept for `name`, of `len` values each, one after another. The first call allocates
    /// them, filled with zeros.
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
