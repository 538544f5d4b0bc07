use super::{branch::Branch, buffers::Inner, chain::Network, spec::NetworkSpec};
use crate::error::Error;
use bn_layers::{
    Error as LayerError, Io, Layer, LayerSpec, Mode, Outcome, Pass, Shape, State, StateMut, Wanted,
};
use bn_tensor::{Scalar, in_order, in_order_mut};
use ndarray::{ArrayView2, ArrayViewMut2};

/// The outputs of several networks of the same input, one after the other: the values of flat rows, or
/// the channels of each pixel.
#[derive(Debug, Clone)]
pub(crate) struct Concat<T: Scalar> {
    branches: Vec<Branch<T>>,
    output: Shape,
}

impl<T: Scalar> Concat<T> {
    /// The name of the layer in descriptions and errors.
    pub(super) const NAME: &str = "Concat";

    /// From networks with the same input, whose outputs are flat or images of the same size.
    pub(crate) fn new(networks: Vec<Network<T>>) -> Result<Self, LayerError> {
        let mut shapes = networks
            .iter()
            .map(|network| (network.input(), network.output()));
        let Some((input, mut output)) = shapes.next() else {
            return Err(LayerError::Nested {
                reason: "a concatenation needs at least one branch".to_owned(),
            });
        };
        for (other_input, other) in shapes {
            output = match (output, other) {
                _ if other_input != input => return Err(differ(input, other_input)),
                (Shape::Flat(a), Shape::Flat(b)) => Shape::Flat(a.saturating_add(b)),
                (
                    Shape::Image {
                        height,
                        width,
                        channels,
                    },
                    Shape::Image {
                        height: h,
                        width: w,
                        channels: c,
                    },
                ) if (h, w) == (height, width) => Shape::Image {
                    height,
                    width,
                    channels: channels.saturating_add(c),
                },
                _ => return Err(differ(output, other)),
            };
        }
        output.checked_size()?;
        let branches = networks.into_iter().enumerate();
        Ok(Self {
            branches: branches
                .map(|(i, network)| Branch::new(&branch_name(i), network))
                .collect(),
            output,
        })
    }

    pub(super) fn from_spec(spec: &LayerSpec) -> Result<Self, Error> {
        let specs: Vec<NetworkSpec> = spec.settings()?;
        let networks = specs.iter().map(NetworkSpec::build);
        Ok(Self::new(networks.collect::<Result<_, _>>()?)?)
    }

    /// The networks of a description, by the names of the branches.
    pub(super) fn networks_of(spec: &LayerSpec) -> Result<Vec<(String, NetworkSpec)>, Error> {
        let specs: Vec<NetworkSpec> = spec.settings()?;
        let named = specs.into_iter().enumerate();
        Ok(named.map(|(i, spec)| (branch_name(i), spec)).collect())
    }

    pub(super) fn branches(&self) -> impl Iterator<Item = &Branch<T>> {
        self.branches.iter()
    }

    pub(super) fn networks_mut(&mut self) -> impl Iterator<Item = &mut Network<T>> {
        self.branches.iter_mut().map(|branch| &mut branch.network)
    }

    pub(super) fn fold(&mut self) {
        self.branches.iter_mut().for_each(Branch::fold);
    }

    /// See [`eval_into`](Layer::eval_into). A warm call does not allocate.
    pub(super) fn eval(
        &self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
        inner: &mut Inner<T>,
    ) -> Result<(), LayerError> {
        let (y, channels) = (in_order_mut(Self::NAME, &mut y)?, self.output.channels());
        let ([output, _], mut first) = (&mut inner.outputs, 0);
        for branch in &self.branches {
            let width = branch.network.output().channels();
            let part = branch.eval(x, output, &mut inner.share)?;
            put(part, width, y, channels, first)?;
            first += width;
        }
        Ok(())
    }
}

/// Copies `part: (pixels, width)` to the columns from `first` on of `whole: (pixels, channels)`.
fn put<T: Scalar>(
    part: ArrayView2<'_, T>,
    width: usize,
    whole: &mut [T],
    channels: usize,
    first: usize,
) -> Result<(), LayerError> {
    let part = in_order(Concat::<T>::NAME, &part)?.chunks_exact(width);
    for (whole, part) in whole.chunks_exact_mut(channels).zip(part) {
        whole[first..first + width].copy_from_slice(part);
    }
    Ok(())
}

impl<T: Scalar> Layer<T> for Concat<T> {
    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        for branch in &self.branches {
            branch.network.output_shape(input)?;
        }
        Ok(self.output)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        mut y: ArrayViewMut2<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), LayerError> {
        let (y, channels) = (in_order_mut(Self::NAME, &mut y)?, self.output.channels());
        let mut first = 0;
        for branch in &mut self.branches {
            let width = branch.network.output().channels();
            put(branch.forward(x, pass)?, width, y, channels, first)?;
            first += width;
        }
        Ok(())
    }

    /// Allocates. A network calls [`eval`](Self::eval) with its buffers.
    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &mut Vec<T>,
    ) -> Result<(), LayerError> {
        self.eval(x, y, &mut Inner::default())
    }

    fn backward_into(
        &mut self,
        io: Io<'_, T>,
        mut wanted: Wanted<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), LayerError> {
        let (dout, channels) = (in_order(Self::NAME, &io.dout)?, self.output.channels());
        if let Some(dx) = &mut wanted.dx {
            dx.fill(T::zero());
        }
        let mut first = 0;
        for branch in &mut self.branches {
            let width = branch.network.output().channels();
            let pixels = dout
                .chunks_exact(channels)
                .map(|pixel| &pixel[first..first + width]);
            let of_branch = branch.backward(io.x, &wanted, pass, |to| {
                let to = to.chunks_exact_mut(width);
                to.zip(pixels)
                    .for_each(|(to, pixel)| to.copy_from_slice(pixel));
                Ok(())
            })?;
            if let (Some(dx), Some(of_branch)) = (&mut wanted.dx, of_branch) {
                *dx += &of_branch;
            }
            first += width;
        }
        Ok(())
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, T>)) {
        self.branches.iter().for_each(|branch| branch.state(visit));
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, T>)) {
        self.branches
            .iter_mut()
            .for_each(|branch| branch.state_mut(visit));
    }

    fn settle(&mut self, outcome: Outcome) {
        self.branches
            .iter_mut()
            .for_each(|branch| branch.settle(outcome));
    }

    fn rows_are_independent(&self, mode: Mode) -> bool {
        let mut branches = self.branches.iter();
        branches.all(|branch| branch.network.rows_are_independent(mode))
    }

    fn describe(&self) -> Option<LayerSpec> {
        let specs = self
            .branches
            .iter()
            .map(|branch| branch.network.spec().ok());
        Some(LayerSpec::new(
            Self::NAME,
            specs.collect::<Option<Vec<_>>>()?,
        ))
    }
}

fn differ(a: Shape, b: Shape) -> LayerError {
    LayerError::Nested {
        reason: format!(
            "the branches of a concatenation have the shapes {a} and {b}, which do not fit together"
        ),
    }
}

fn branch_name(index: usize) -> String {
    format!("branches.{index}")
}
