use super::resample::{Resample, Source};
use crate::{
    error::Error,
    layer::{Io, Layer, Wanted},
    pass::{Mode, Pass},
    shape::Shape,
    spec::LayerSpec,
};
use bn_tensor::{Scalar, check_setting, checked_len};
use ndarray::{ArrayView2, ArrayViewMut2};
use serde::{Deserialize, Serialize};
use std::{fmt::Debug, marker::PhantomData};

/// A frame around each image, of the kind `K`: a [`ZeroPad2d`] or a [`ReflectPad2d`].
///
/// Rows of `x: (N, H·W·C)` are images, channels last; rows of `y` are images of `top + H + bottom` by
/// `left + W + right` pixels. Train and Eval are the same.
///
/// # Errors
/// [`Error::Tensor`] for shapes that do not fit, [`Error::EmptyBatch`].
#[derive(Debug, Clone)]
pub struct Pad2d<K> {
    settings: Settings,
    kind: PhantomData<K>,
}

/// What is in the frame of a [`Pad2d`]. Sealed: [`ZeroPad2d`] and [`ReflectPad2d`] are its users.
pub trait PadKind: Debug + Clone + Send + Sync + 'static {
    #[doc(hidden)]
    const NAME: &'static str;
    /// Whether the frame is a reflection of the image; else it is zero.
    #[doc(hidden)]
    const REFLECTS: bool;
}

/// Zeros around each image (PyTorch's `ZeroPad2d`, Keras' `ZeroPadding2D`). See [`Pad2d`].
///
/// ```
/// use bn_layers::{LayerExt, ZeroPad2d};
/// use ndarray::array;
/// let pad = ZeroPad2d::new((1, 2, 1), (0, 1), (1, 0))?;
/// let y = pad.eval(array![[1.0, 2.0]].view())?;
/// assert_eq!(y, array![[0.0, 1.0, 2.0, 0.0, 0.0, 0.0]]);
/// # Ok::<(), bn_layers::Error>(())
/// ```
pub type ZeroPad2d = Pad2d<Zeros>;

/// Around each image its reflection, without repeating the pixels at its edge (PyTorch's
/// `ReflectionPad2d`). See [`Pad2d`].
///
/// ```
/// use bn_layers::{LayerExt, ReflectPad2d};
/// use ndarray::array;
/// let pad = ReflectPad2d::new((1, 3, 1), (0, 0), (2, 1))?;
/// let y = pad.eval(array![[1.0, 2.0, 3.0]].view())?;
/// assert_eq!(y, array![[3.0, 2.0, 1.0, 2.0, 3.0, 2.0]]);
/// # Ok::<(), bn_layers::Error>(())
/// ```
pub type ReflectPad2d = Pad2d<Reflection>;

/// The kind of a [`ZeroPad2d`].
#[derive(Debug, Clone)]
pub enum Zeros {}

impl PadKind for Zeros {
    const NAME: &'static str = "ZeroPad2d";
    const REFLECTS: bool = false;
}

/// The kind of a [`ReflectPad2d`].
#[derive(Debug, Clone)]
pub enum Reflection {}

impl PadKind for Reflection {
    const NAME: &'static str = "ReflectPad2d";
    const REFLECTS: bool = true;
}

/// The settings of a [`Pad2d`](crate::Pad2d), in its description.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// `(height, width, channels)` of the input.
    pub image: (usize, usize, usize),
    /// Rows added at `(top, bottom)`.
    pub rows: (usize, usize),
    /// Columns added at `(left, right)`.
    pub columns: (usize, usize),
}

impl<K: PadKind> Pad2d<K> {
    /// Creates the layer for images `(height, width, channels)`, with `rows = (top, bottom)` and
    /// `columns = (left, right)` of frame.
    ///
    /// # Errors
    /// [`Error::Tensor`] for an empty image, or an output with more values than can be addressed;
    /// [`bn_tensor::Error::InvalidSetting`] for a reflection of more rows or columns than the image has
    /// besides the one at its edge.
    pub fn new(
        image: (usize, usize, usize),
        rows: (usize, usize),
        columns: (usize, usize),
    ) -> Result<Self, Error> {
        let (height, width, channels) = image;
        if checked_len::<f32>(K::NAME, &[height, width, channels])? == 0 {
            return Err(Error::shape(
                K::NAME,
                &[1, 1, 1],
                &[height, width, channels],
            ));
        }
        for (size, frame) in [(height, rows), (width, columns)] {
            let most = frame.0.max(frame.1);
            let (what, range) = ("a reflecting padding", "less than the size of the image");
            check_setting(what, range, most as f64, !K::REFLECTS || most < size)?;
        }
        let padded = |size: usize, frame: (usize, usize)| {
            size.saturating_add(frame.0).saturating_add(frame.1)
        };
        let output = [padded(height, rows), padded(width, columns), channels];
        checked_len::<f32>(K::NAME, &output)?;
        Ok(Self {
            settings: Settings {
                image,
                rows,
                columns,
            },
            kind: PhantomData,
        })
    }

    pub(crate) fn from_settings(settings: &Settings) -> Result<Self, Error> {
        Self::new(settings.image, settings.rows, settings.columns)
    }
}

/// The row of an image of `size` rows that is row `i` of an output with `before` rows of frame above it.
fn source<K: PadKind>(i: usize, before: usize, size: usize) -> Option<Source> {
    let row = match i.checked_sub(before) {
        Some(row) if row < size => row,
        _ if !K::REFLECTS => return None,
        Some(below) => 2 * (size - 1) - below,
        None => before - i,
    };
    Some(Source::one(row))
}

impl<K: PadKind> Resample for Pad2d<K> {
    fn image(&self) -> (usize, usize, usize) {
        self.settings.image
    }

    fn output(&self) -> (usize, usize) {
        let Settings {
            image,
            rows,
            columns,
        } = self.settings;
        (rows.0 + image.0 + rows.1, columns.0 + image.1 + columns.1)
    }

    fn row(&self, row: usize) -> Option<Source> {
        source::<K>(row, self.settings.rows.0, self.settings.image.0)
    }

    fn column(&self, column: usize) -> Option<Source> {
        source::<K>(column, self.settings.columns.0, self.settings.image.1)
    }
}

impl<T: Scalar, K: PadKind> Layer<T> for Pad2d<K> {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        input.expect_image(K::NAME, self.image())?;
        let (rows, columns) = self.output();
        Ok((rows, columns, self.image().2).into())
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        self.values(K::NAME, x, y)
    }

    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &mut Vec<T>,
    ) -> Result<(), Error> {
        self.values(K::NAME, x, y)
    }

    fn backward_into(
        &mut self,
        io: Io<'_, T>,
        wanted: Wanted<'_, T>,
        _: &Pass<'_>,
    ) -> Result<(), Error> {
        let Some(dx) = wanted.dx else { return Ok(()) };
        self.gradient(K::NAME, io.dout, dx)
    }

    fn rows_are_independent(&self, _: Mode) -> bool {
        true
    }

    fn describe(&self) -> Option<LayerSpec> {
        Some(LayerSpec::new(K::NAME, self.settings))
    }
}
