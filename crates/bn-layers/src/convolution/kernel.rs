use crate::{ChannelMap, Error, Kind, Param, ParamMut, Shape, order::in_order};
use bn_tensor::{Scalar, Scratch, Window, channel_sum};
use ndarray::{Array1, Array2, Array4, ArrayView2, ArrayViewMut2};

/// The weights and the bias of a convolution, and their gradients.
#[derive(Debug, Clone)]
pub(super) struct Kernel<T> {
    pub(super) w: Array2<T>, // (rows·columns·a, b), of `shape` (rows, columns, a, b)
    pub(super) b: Option<Array1<T>>, // (out)
    pub(super) dw: Array2<T>, // as w
    db: Array1<T>,           // (out), empty without a bias
    shape: [usize; 4],
    sums: Vec<f64>, // (out)
    scratch: Scratch,
}

impl<T: Scalar> Kernel<T> {
    pub(super) fn new(
        op: &'static str,
        w: Array4<T>,
        b: Option<Array1<T>>,
        out: usize,
    ) -> Result<Self, Error> {
        if let Some(b) = &b {
            in_order(op, &b.view())?;
            if b.len() != out {
                return Err(Error::shape(op, &[out], b.shape()));
            }
        }
        in_order(op, &w.view())?;
        let (rows, columns, inner, outer) = w.dim();
        let matrix = w
            .into_shape_with_order((rows * columns * inner, outer))
            .map_err(|_| bn_tensor::Error::NotContiguous { op })?;
        Ok(Self {
            dw: Array2::zeros(matrix.dim()),
            db: Array1::zeros(b.as_ref().map_or(0, Array1::len)),
            w: matrix,
            b,
            shape: [rows, columns, inner, outer],
            sums: vec![0.0; out],
            scratch: Scratch::default(),
        })
    }

    pub(super) fn bias(&self) -> Option<&[T]> {
        self.b.as_ref().and_then(|b| b.as_slice())
    }

    /// The weights, and where the gradients of both go.
    pub(super) fn gradients(
        &mut self,
    ) -> (ArrayView2<'_, T>, ArrayViewMut2<'_, T>, Option<&mut [T]>) {
        let db = self.b.as_ref().and(self.db.as_slice_mut());
        (self.w.view(), self.dw.view_mut(), db)
    }

    /// Keeps the gradient of the bias: the sum of `dout: (n, pixels·out)` over all pixels.
    pub(super) fn sum_bias(
        &mut self,
        op: &'static str,
        dout: &ArrayView2<'_, T>,
    ) -> Result<(), Error> {
        let Some(b) = &self.b else { return Ok(()) };
        let (out, values) = (b.len(), in_order(op, dout)?);
        let pixels = ndarray::ArrayView3::from_shape((values.len() / out, out, 1), values)
            .map_err(|_| bn_tensor::Error::NotContiguous { op })?;
        channel_sum(pixels, &mut self.sums, &mut self.scratch)?;
        for (db, &sum) in self.db.iter_mut().zip(&self.sums) {
            *db = T::from_f64(sum);
        }
        Ok(())
    }

    /// Takes over a map of the output's channels; `channel` is that of a weight, by its place in
    /// `w`.
    pub(super) fn fold(
        &mut self,
        map: &ChannelMap,
        channel: impl Fn((usize, usize)) -> usize,
    ) -> bool {
        let out = self.sums.len();
        if map.scale.len() != out || map.shift.len() != out {
            return false;
        }
        for (place, w) in self.w.indexed_iter_mut() {
            *w = T::from_f64(w.as_f64() * map.scale[channel(place)]);
        }
        let bias = self.b.get_or_insert_with(|| Array1::zeros(out));
        for ((b, scale), shift) in bias.iter_mut().zip(&map.scale).zip(&map.shift) {
            *b = T::from_f64(b.as_f64() * scale + shift);
        }
        self.db = Array1::zeros(out);
        true
    }

    pub(super) fn visit(&self, visitor: &mut dyn FnMut(Param<'_, T>)) {
        visitor(Param {
            name: "weight",
            kind: Kind::Weight,
            shape: &self.shape,
            value: self.w.as_slice().unwrap_or_default(),
            grad: self.dw.as_slice().unwrap_or_default(),
        });
        if let Some(b) = &self.b {
            visitor(Param {
                name: "bias",
                kind: Kind::Bias,
                shape: b.shape(),
                value: b.as_slice().unwrap_or_default(),
                grad: self.db.as_slice().unwrap_or_default(),
            });
        }
    }

    pub(super) fn visit_mut(&mut self, visitor: &mut dyn FnMut(ParamMut<'_, T>)) {
        visitor(ParamMut {
            name: "weight",
            kind: Kind::Weight,
            shape: &self.shape,
            value: self.w.as_slice_mut().unwrap_or_default(),
            grad: self.dw.as_slice().unwrap_or_default(),
        });
        if let Some(b) = &mut self.b {
            let shape = [b.len()];
            visitor(ParamMut {
                name: "bias",
                kind: Kind::Bias,
                shape: &shape,
                value: b.as_slice_mut().unwrap_or_default(),
                grad: self.db.as_slice().unwrap_or_default(),
            });
        }
    }

    /// `w` or its gradient in four dimensions.
    pub(super) fn in_four(&self, of: &Array2<T>) -> Array4<T> {
        let [rows, columns, a, b] = self.shape;
        let values = of.iter().copied().collect();
        Array4::from_shape_vec((rows, columns, a, b), values)
            .unwrap_or_else(|_| Array4::zeros((0, 0, 0, 0)))
    }

    pub(super) fn db(&self) -> &Array1<T> {
        &self.db
    }
}

/// `Ok` when rows of shape `input` are images of this window's, or of no shape and as many values.
pub(crate) fn expect_image(op: &'static str, window: &Window, input: Shape) -> Result<(), Error> {
    let (height, width, channels) = window.image();
    expect_image_of(op, (height, width, channels), input)
}

pub(crate) fn expect_image_of(
    op: &'static str,
    (height, width, channels): (usize, usize, usize),
    input: Shape,
) -> Result<(), Error> {
    let fits = match input {
        Shape::Flat(size) => size == height * width * channels,
        Shape::Image { .. } => input == Shape::from((height, width, channels)),
    };
    if fits {
        return Ok(());
    }
    let got = match input {
        Shape::Flat(size) => vec![size],
        Shape::Image {
            height,
            width,
            channels,
        } => vec![height, width, channels],
    };
    Err(Error::shape(op, &[height, width, channels], &got))
}
