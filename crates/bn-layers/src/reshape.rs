use crate::{
    error::Error,
    layer::{Io, Layer, Wanted},
    pass::{Mode, Pass},
    shape::Shape,
    spec::LayerSpec,
};
use bn_tensor::Scalar;
use ndarray::{ArrayView2, ArrayViewMut2};

/// The same values as rows of another [`Shape`] (Keras' `Reshape` and `Flatten`): from a vector to an
/// image, or from an image to a vector.
///
/// ```
/// use bn_layers::{Layer, Reshape, Shape};
/// let reshape = Reshape::new((7, 7, 128).into());
/// let to = Layer::<f32>::output_shape(&reshape, Shape::Flat(6272))?;
/// assert_eq!(to, (7, 7, 128).into());
/// # Ok::<(), bn_layers::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tensor`] for rows of another number of values, or more than can be addressed;
/// [`Error::EmptyBatch`].
#[derive(Debug, Clone, Copy)]
pub struct Reshape {
    shape: Shape,
}

impl Reshape {
    /// Reshapes to rows of this shape.
    pub fn new(shape: Shape) -> Self {
        Self { shape }
    }
}

fn copy<T: Scalar>(from: ArrayView2<'_, T>, mut to: ArrayViewMut2<'_, T>) -> Result<(), Error> {
    if from.dim() != to.dim() {
        return Err(Error::shape("Reshape", from.shape(), to.shape()));
    }
    to.assign(&from);
    Ok(())
}

impl<T: Scalar> Layer<T> for Reshape {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        let (expected, got) = (self.shape.checked_size()?, input.size());
        match got == expected {
            true => Ok(self.shape),
            false => Err(Error::shape("Reshape", &[expected], &[got])),
        }
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        copy(x, y)
    }

    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &mut Vec<T>,
    ) -> Result<(), Error> {
        copy(x, y)
    }

    fn backward_into(
        &mut self,
        io: Io<'_, T>,
        wanted: Wanted<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        wanted.dx.map_or(Ok(()), |dx| copy(io.dout, dx))
    }

    fn rows_are_independent(&self, _: Mode) -> bool {
        true
    }

    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new("Reshape", self.shape))
    }
}
