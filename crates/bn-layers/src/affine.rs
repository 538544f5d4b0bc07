use crate::{
    ChannelMap, Error, Init, Kind, Layer, Mode, Param, ParamMut, Shape,
    error::check_setting,
    layer::{expect_rows, expect_shape},
    order::in_order,
};
use bn_tensor::{
    Scalar, Scratch, channel_sum, join, matmul, matmul_nt, matmul_plus_row, matmul_tn,
};
use ndarray::{Array, Array1, Array2, ArrayView, ArrayView2, ArrayViewMut2, Axis, Dimension, Ix2};
use rand::Rng;

/// `y = x·W + b`, the fully connected layer. The book's `Affine` (`common/layers.py`).
///
/// ```text
/// y  = x·W + b        x: (N, D)   W: (D, E)   b: (E)   y: (N, E)
/// dx = dout·Wᵀ
/// dW = xᵀ·dout
/// db = Σₙ dout
/// ```
///
/// With a [weight decay](Self::with_weight_decay) of λ, as the book's networks have it, the loss
/// gains `λ/2·ΣW²` and `dW` gains `λ·W`.
///
/// Train and Eval are the same. An input of four dimensions is flattened to `(N, D)`, and its
/// gradient comes back in the input's shape, as in the book. PyTorch stores `W` transposed.
///
/// ```
/// use bn_layers::{Affine, Mode};
/// use ndarray::{Array4, array};
/// let mut affine = Affine::new(array![[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]], array![0.5, 0.0])?;
/// let x = array![[1.0, 2.0, 3.0]];
/// assert_eq!(affine.forward(x.view(), Mode::Train)?, array![[4.5, 7.0]]);
/// let dx = affine.backward(x.view(), array![[1.0, 0.0]].view())?;
/// assert_eq!(dx, array![[1.0, 0.0, 1.0]]);
/// assert_eq!(affine.dw(), array![[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]);
///
/// // A batch of 5 images of 3×1×1 values, channels first, as the book passes them.
/// let images = Array4::ones((5, 3, 1, 1));
/// assert_eq!(affine.forward(images.view(), Mode::Train)?.dim(), (5, 2));
/// # Ok::<(), bn_layers::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tensor`] for shapes that do not fit, [`Error::EmptyBatch`].
#[derive(Debug, Clone)]
pub struct Affine<T> {
    w: Array2<T>,         // (D, E)
    b: Option<Array1<T>>, // (E)
    dw: Array2<T>,        // (D, E)
    db: Array1<T>,        // (E), empty without a bias
    weight_decay: f64,
    sums: Vec<f64>, // (E)
    scratch: Scratch,
}

impl<T: Scalar> Affine<T> {
    /// From weights `w: (D, E)` and a bias `b: (E)`.
    ///
    /// # Errors
    /// [`Error::Tensor`] when `b` does not fit `w`, or either is not in row-major order.
    pub fn new(w: Array2<T>, b: Array1<T>) -> Result<Self, Error> {
        if b.len() != w.ncols() {
            return Err(Error::shape("Affine::new", &[w.ncols()], b.shape()));
        }
        Self::with(w, Some(b))
    }

    /// From weights `w: (D, E)`, without a bias: before a BatchNormalization, which subtracts any
    /// bias again, so that its gradient is exactly zero.
    ///
    /// # Errors
    /// [`Error::Tensor`] when `w` is not in row-major order.
    pub fn without_bias(w: Array2<T>) -> Result<Self, Error> {
        Self::with(w, None)
    }

    /// `inputs` to `outputs` values: weights drawn from `init`, a bias of zero.
    ///
    /// # Errors
    /// As [`Init::sample`].
    pub fn init(
        inputs: usize,
        outputs: usize,
        init: Init,
        rng: &mut impl Rng,
    ) -> Result<Self, Error> {
        Self::new(init.sample((inputs, outputs), rng)?, Array1::zeros(outputs))
    }

    /// The same with a penalty of `λ/2·ΣW²` on its weights (the book's `weight_decay_lambda`).
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a negative or non-finite λ.
    pub fn with_weight_decay(mut self, lambda: f64) -> Result<Self, Error> {
        let passes = lambda.is_finite() && lambda >= 0.0;
        check_setting(
            "the weight decay",
            "a finite number, 0 or more",
            lambda,
            passes,
        )?;
        self.weight_decay = lambda;
        Ok(self)
    }

    fn with(w: Array2<T>, b: Option<Array1<T>>) -> Result<Self, Error> {
        in_order("Affine::new", &w.view())?;
        if let Some(b) = &b {
            in_order("Affine::new", &b.view())?;
        }
        Ok(Self {
            dw: Array2::zeros(w.dim()),
            db: Array1::zeros(b.as_ref().map_or(0, Array1::len)),
            weight_decay: 0.0,
            sums: vec![0.0; w.ncols()],
            scratch: Scratch::default(),
            w,
            b,
        })
    }

    /// The weights `(D, E)`.
    pub fn w(&self) -> ArrayView2<'_, T> {
        self.w.view()
    }

    /// The bias `(E)`, if there is one.
    pub fn b(&self) -> Option<ndarray::ArrayView1<'_, T>> {
        self.b.as_ref().map(|b| b.view())
    }

    /// The gradient of the weights `(D, E)`, of the last backward pass.
    pub fn dw(&self) -> ArrayView2<'_, T> {
        self.dw.view()
    }

    /// The gradient of the bias `(E)`, of the last backward pass; empty without a bias.
    pub fn db(&self) -> ndarray::ArrayView1<'_, T> {
        self.db.view()
    }

    /// `y: (N, E)` for `x: (N, D)`, or for any `x` whose rows, flattened, hold `D` values.
    ///
    /// # Errors
    /// As the layer's.
    pub fn forward<D: Dimension>(
        &mut self,
        x: ArrayView<'_, T, D>,
        mode: Mode,
    ) -> Result<Array2<T>, Error> {
        Layer::forward(self, rows("Affine", x)?, mode)
    }

    /// `dx`, in the shape of `x`, for `dout: (N, E)`; keeps `dw` and `db`.
    ///
    /// # Errors
    /// As the layer's.
    pub fn backward<D: Dimension>(
        &mut self,
        x: ArrayView<'_, T, D>,
        dout: ArrayView2<'_, T>,
    ) -> Result<Array<T, D>, Error> {
        let mut dx = Array::zeros(x.raw_dim());
        let width = self.w.nrows();
        let dx_rows = dx
            .view_mut()
            .into_shape_with_order((x.len() / width.max(1), width))
            .map_err(|_| Error::shape("Affine::backward", &[width], x.shape()))?;
        self.gradients(rows("Affine::backward", x)?, dout, Some(dx_rows))?;
        Ok(dx)
    }

    fn expect_input(&self, op: &'static str, x: &ArrayView2<'_, T>) -> Result<(), Error> {
        expect_rows("Affine", x.nrows())?;
        expect_shape(op, (x.nrows(), self.w.nrows()), x)
    }

    fn outputs(&self, x: ArrayView2<'_, T>, y: ArrayViewMut2<'_, T>) -> Result<(), Error> {
        self.expect_input("Affine", &x)?;
        expect_shape("Affine output", (x.nrows(), self.w.ncols()), &y.view())?;
        in_order("Affine output", &y.view())?;
        let w = self.w.view();
        match self.b.as_ref().and_then(|b| b.as_slice()) {
            Some(b) => matmul_plus_row(x, w, b, y)?,
            None => matmul(x, w, T::zero(), y)?,
        }
        Ok(())
    }

    /// `Ok` when `dout` and `dx` fit `x`.
    fn expect_backward(
        &self,
        x: &ArrayView2<'_, T>,
        dout: &ArrayView2<'_, T>,
        dx: Option<&ArrayViewMut2<'_, T>>,
    ) -> Result<(), Error> {
        const OP: &str = "Affine::backward";
        self.expect_input(OP, x)?;
        expect_shape(OP, (x.nrows(), self.w.ncols()), dout)?;
        dx.map_or(Ok(()), |dx| expect_shape(OP, x.dim(), &dx.view()))
    }

    fn gradients(
        &mut self,
        x: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        dx: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<(), Error> {
        self.expect_backward(&x, &dout, dx.as_ref())?;
        if self.b.is_some() {
            in_order("Affine::backward", &dout)?;
            let dout = dout.insert_axis(Axis(2)); // (N, E, 1)
            channel_sum(dout, &mut self.sums, &mut self.scratch)?;
            for (db, &sum) in self.db.iter_mut().zip(&self.sums) {
                *db = T::from_f64(sum);
            }
        }
        let decay = T::from_f64(self.weight_decay);
        if decay != T::zero() {
            self.dw.assign(&self.w);
        }
        let (w, dw) = (self.w.view(), self.dw.view_mut());
        let (by_weights, by_inputs) = join(
            x.nrows() * w.len(),
            || matmul_tn(x, dout, decay, dw), // dW = xᵀ·dout + λ·W
            || dx.map_or(Ok(()), |dx| matmul_nt(dout, w, T::zero(), dx)),
        );
        by_weights?;
        by_inputs?;
        Ok(())
    }
}

/// `x` as a matrix of its rows, flattened.
fn rows<'a, T, D: Dimension>(
    op: &'static str,
    x: ArrayView<'a, T, D>,
) -> Result<ArrayView<'a, T, Ix2>, Error> {
    let n = x.shape().first().copied().unwrap_or(0);
    if n == 0 {
        return Err(Error::EmptyBatch { layer: op });
    }
    let width = x.len() / n;
    x.into_shape_with_order((n, width))
        .map_err(|_| bn_tensor::Error::NotContiguous { op }.into())
}

impl<T: Scalar> Layer<T> for Affine<T> {
    fn output_shape(&self, input: Shape) -> Result<Shape, Error> {
        if input.size() != self.w.nrows() {
            return Err(Error::shape("Affine", &[self.w.nrows()], &[input.size()]));
        }
        Ok(Shape::Flat(self.w.ncols()))
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        _: Mode,
        y: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        self.outputs(x, y)
    }

    fn eval_into(
        &self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        _: &mut Vec<T>,
    ) -> Result<(), Error> {
        self.outputs(x, y)
    }

    fn backward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        _: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        dx: Option<ArrayViewMut2<'_, T>>,
    ) -> Result<(), Error> {
        self.gradients(x, dout, dx)
    }

    fn input_gradient_into(
        &mut self,
        x: ArrayView2<'_, T>,
        _: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        dx: ArrayViewMut2<'_, T>,
    ) -> Result<(), Error> {
        self.expect_backward(&x, &dout, Some(&dx))?;
        matmul_nt(dout, self.w.view(), T::zero(), dx)?;
        Ok(())
    }

    fn penalty(&self) -> f64 {
        if self.weight_decay == 0.0 {
            return 0.0;
        }
        let squares: f64 = self.w.iter().map(|w| w.as_f64().powi(2)).sum();
        0.5 * self.weight_decay * squares
    }

    fn fold(&mut self, map: &ChannelMap) -> bool {
        let outputs = self.w.ncols();
        if map.scale.len() != outputs || map.shift.len() != outputs {
            return false;
        }
        for mut w in self.w.rows_mut() {
            for (w, scale) in w.iter_mut().zip(&map.scale) {
                *w = T::from_f64(w.as_f64() * scale);
            }
        }
        let bias = self.b.get_or_insert_with(|| Array1::zeros(outputs));
        for ((b, scale), shift) in bias.iter_mut().zip(&map.scale).zip(&map.shift) {
            *b = T::from_f64(b.as_f64() * scale + shift);
        }
        self.db = Array1::zeros(outputs);
        true
    }

    fn visit(&self, visitor: &mut dyn FnMut(Param<'_, T>)) {
        visitor(Param {
            name: "weight",
            kind: Kind::Weight,
            shape: self.w.shape(),
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

    fn visit_mut(&mut self, visitor: &mut dyn FnMut(ParamMut<'_, T>)) {
        let shape = [self.w.nrows(), self.w.ncols()];
        visitor(ParamMut {
            name: "weight",
            kind: Kind::Weight,
            shape: &shape,
            value: self.w.as_slice_mut().unwrap_or_default(),
            grad: self.dw.as_slice().unwrap_or_default(),
        });
        if let Some(b) = &mut self.b {
            visitor(ParamMut {
                name: "bias",
                kind: Kind::Bias,
                shape: &shape[1..],
                value: b.as_slice_mut().unwrap_or_default(),
                grad: self.db.as_slice().unwrap_or_default(),
            });
        }
    }
}
