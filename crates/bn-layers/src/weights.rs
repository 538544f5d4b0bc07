use crate::{
    error::Error,
    state::{Param, ParamMut, State, StateMut},
};
use bn_tensor::{Scalar, Scratch, channel_sum, in_order, try_resize, try_zeros};
use ndarray::{Array1, Array2, Array4, ArrayD, ArrayView2, ArrayView3, IxDyn};

/// The weights and the bias of an Affine or a convolution, and their gradients.
#[derive(Debug, Clone)]
pub(crate) struct Weights<T> {
    pub(crate) w: Array2<T>,          // (K, outer), in row-major order
    pub(crate) b: Option<Array1<T>>,  // (out)
    pub(crate) dw: Array2<T>,         // as w
    pub(crate) db: Array1<T>,         // (out), empty without a bias
    pub(crate) largest_dw: Option<T>, // the largest magnitude in dw, where it is known
    shape: Vec<usize>,                // of the weights as a user sees them
    sums: Vec<f64>,                   // (out)
    scratch: Scratch,
}

impl<T: Scalar> Weights<T> {
    /// From a matrix `w`, which users see in `shape`, and a bias of `out` values, if any.
    pub(crate) fn new(
        op: &'static str,
        w: Array2<T>,
        shape: &[usize],
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
        let mut sums = Vec::new();
        try_resize(op, &mut sums, &[out])?;
        Ok(Self {
            dw: try_zeros(op, w.dim())?,
            db: try_zeros(op, b.as_ref().map_or(0, Array1::len))?,
            largest_dw: None,
            shape: shape.to_vec(),
            sums,
            scratch: Scratch::default(),
            w,
            b,
        })
    }

    /// `w` or its gradient in the four dimensions of a convolution.
    pub(crate) fn in_four(&self, of: &Array2<T>) -> Array4<T> {
        let shape = IxDyn(&self.shape);
        let values = of.iter().copied().collect();
        ArrayD::from_shape_vec(shape, values)
            .and_then(ArrayD::into_dimensionality)
            .unwrap_or_else(|_| Array4::zeros((0, 0, 0, 0)))
    }

    pub(crate) fn bias(&self) -> Option<&[T]> {
        self.b.as_ref().and_then(|b| b.as_slice())
    }

    /// `db = Σ dout` over all rows and pixels of `dout: (N, pixels·out)`, if there is a bias.
    pub(crate) fn sum_bias(
        &mut self,
        op: &'static str,
        dout: &ArrayView2<'_, T>,
    ) -> Result<(), Error> {
        let Some(b) = &self.b else { return Ok(()) };
        let (out, values) = (b.len(), in_order(op, dout)?);
        let pixels = ArrayView3::from_shape((values.len() / out.max(1), out, 1), values)
            .map_err(|_| Error::shape(op, &[out], dout.shape()))?;
        channel_sum(pixels, &mut self.sums, &mut self.scratch)?;
        for (db, &sum) in self.db.iter_mut().zip(&self.sums) {
            *db = T::from_f64(sum);
        }
        Ok(())
    }

    /// Folds `scale·y + shift` of the outputs, `(out)` each, into the weights `W·scale` and the bias
    /// `b·scale + shift`. `channel` is the output of a weight, by its position in `w`. Returns false, and
    /// changes nothing, if the number of channels differs.
    pub(crate) fn fold(
        &mut self,
        [scale, shift]: [&[f64]; 2],
        channel: impl Fn((usize, usize)) -> usize,
    ) -> bool {
        let out = self.sums.len();
        if scale.len() != out || shift.len() != out {
            return false;
        }
        for (place, w) in self.w.indexed_iter_mut() {
            *w = T::from_f64(w.as_f64() * scale[channel(place)]);
        }
        let bias = self.b.get_or_insert_with(|| Array1::zeros(out));
        for ((b, scale), shift) in bias.iter_mut().zip(scale).zip(shift) {
            *b = T::from_f64(b.as_f64() * scale + shift);
        }
        self.db = Array1::zeros(out);
        true
    }

    pub(crate) fn state(&self, visit: &mut dyn FnMut(State<'_, T>)) {
        let (w, dw) = (self.w.as_slice(), self.dw.as_slice());
        let (w, dw) = (w.unwrap_or_default(), dw.unwrap_or_default());
        visit(State::Array(Param {
            largest_grad: self.largest_dw,
            ..Param::new("weight", &self.shape, w, dw).decayed()
        }));
        if let Some(b) = &self.b {
            let (value, grad) = (b.as_slice(), self.db.as_slice());
            let (value, grad) = (value.unwrap_or_default(), grad.unwrap_or_default());
            visit(State::Array(Param::new("bias", b.shape(), value, grad)));
        }
    }

    pub(crate) fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, T>)) {
        self.largest_dw = None; // whoever visits may change it
        let (w, dw) = (self.w.as_slice_mut(), self.dw.as_slice_mut());
        let (w, dw) = (w.unwrap_or_default(), dw.unwrap_or_default());
        visit(StateMut::Array(
            ParamMut::new("weight", &self.shape, w, dw).decayed(),
        ));
        if let Some(b) = &mut self.b {
            let shape = [b.len()];
            let (value, grad) = (b.as_slice_mut(), self.db.as_slice_mut());
            let (value, grad) = (value.unwrap_or_default(), grad.unwrap_or_default());
            visit(StateMut::Array(ParamMut::new("bias", &shape, value, grad)));
        }
    }
}
