use crate::{
    Error, Layer, Mode, Pointwise, Shape,
    layer::{expect_rows, expect_shape},
};
use bn_tensor::Scalar;
use ndarray::{ArrayView2, ArrayViewMut2};

/// Rows of the same values, taken for another [`Shape`] (Keras' `Reshape` and `Flatten`): from a
/// vector to an image, or from an image to a vector.
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
/// [`Error::Tensor`] for rows of another number of values, [`Error::EmptyBatch`].
#[derive(Debug, Clone, Copy)]
pub struct Reshape {
    shape: Shape,
}

impl Reshape {
    /// To rows of this shape.
    pub fn new(shape: Shape) -> Self {
        Self { shape }
    }
}

fn copy<T: Scalar>(from: ArrayView2<'_, T>, mut to: ArrayViewMut2<'_, T>) -> Result<(), Error> {
    expect_rows("Reshape", from.nrows())?;
    expect_shape("Reshape", from.dim(), &to.view())?;
    to.assign(&from);
    Ok(())
}

impl<T: Scalar> Layer<T> for Reshape {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        if input.size() != self.shape.size() {
            return Err(Error::shape(
                "Reshape",
                &[self.shape.size()],
                &[input.size()],
            ));
        }
        Ok(self.shape)
    }

    fn pointwise(&self) -> Option<Pointwise> {
        Some(Pointwise::Reshape)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        _: Mode,
        y: ArrayViewMut2<'_, T>,
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
        _: ArrayView2<'_, T>,
        _: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        dx: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<(), Error> {
        dx.map_or(Ok(()), |dx| copy(dout, dx))
    }
}
