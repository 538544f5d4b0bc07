use crate::{
    error::Error,
    init::Init,
    layer::{Io, Layer, LayerExt, Wanted},
    pass::{Mode, Pass},
    shape::Shape,
    shards::ShardTree,
    spec::LayerSpec,
    state::{State, StateMut},
    weights::Weights,
};
use bn_tensor::{
    Scalar, by_rows, fill_pieces, join, matmul, matmul_nt, matmul_plus_row, matmul_tn,
    matmul_tn_largest, try_zeros,
};
use ndarray::{
    Array, Array1, Array2, ArrayView, ArrayView1, ArrayView2, ArrayViewMut2, Axis, Dimension, Ix2,
    Slice,
};
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::{
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Values of a gradient that are summed over shards at a time: 1 MiB of f32.
const BLOCK: usize = 1 << 18;

/// `y = x·W + b`, the fully connected layer. The book's `Affine` (`common/layers.py`).
///
/// ```text
/// y  = x·W + b        x: (N, D)   W: (D, E)   b: (E)   y: (N, E)
/// dx = dout·Wᵀ
/// dW = xᵀ·dout
/// db = Σₙ dout
/// ```
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
    weights: Weights<T>,            // W: (D, E), b: (E)
    blocks: Vec<ShardTree<Vec<T>>>, // the memory of `gradient_of_shards`, for each thread
}

impl<T: Scalar> Affine<T> {
    /// From weights `w: (D, E)` and a bias `b: (E)`.
    ///
    /// # Errors
    /// [`Error::Tensor`] if `b` does not fit `w`, or either is not in row-major order, or there is no memory
    /// for the gradients.
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
    /// As [`new`](Self::new).
    pub fn without_bias(w: Array2<T>) -> Result<Self, Error> {
        Self::with(w, None)
    }

    /// From `inputs` to `outputs` values: weights drawn from `init`, a bias of zero.
    ///
    /// # Errors
    /// As [`Init::sample`] and [`new`](Self::new).
    pub fn init(
        inputs: usize,
        outputs: usize,
        init: Init,
        rng: &mut impl Rng,
    ) -> Result<Self, Error> {
        let w = init.sample((inputs, outputs), rng)?;
        Self::new(w, try_zeros("Affine::init", outputs)?)
    }

    fn with(w: Array2<T>, b: Option<Array1<T>>) -> Result<Self, Error> {
        let shape = [w.nrows(), w.ncols()];
        let weights = Weights::new("Affine::new", w, &shape, b, shape[1])?;
        Ok(Self {
            weights,
            blocks: Vec::new(),
        })
    }

    /// The weights `(D, E)`.
    pub fn w(&self) -> ArrayView2<'_, T> {
        self.weights.w.view()
    }

    /// The bias `(E)`, if there is one.
    pub fn b(&self) -> Option<ArrayView1<'_, T>> {
        self.weights.b.as_ref().map(|b| b.view())
    }

    /// The gradient of the weights `(D, E)`, of the last backward pass.
    pub fn dw(&self) -> ArrayView2<'_, T> {
        self.weights.dw.view()
    }

    /// The gradient of the bias `(E)`, of the last backward pass; empty without a bias.
    pub fn db(&self) -> ArrayView1<'_, T> {
        self.weights.db.view()
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
        LayerExt::forward(self, rows("Affine", x)?, mode)
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
        let rows = rows("Affine::backward", x.view())?;
        let y = dout; // the gradients do not depend on y
        let dx = LayerExt::backward(self, rows, y, dout)?;
        dx.into_shape_with_order(x.raw_dim())
            .map_err(|_| Error::shape("Affine::backward", x.shape(), rows.shape()))
    }

    /// Writes the gradient of the weights, and after it that of the bias, to `to`: the sum over some shards of a
    /// batch, added in a [`ShardTree`]. `shards` has the rows of each, as many as a power of two.
    ///
    /// The sum is formed block by block in the cache. With a backward pass for each shard, most of the time would be
    /// spent on reading and writing whole gradients.
    ///
    /// # Errors
    /// [`Error::Tensor`] for shapes that do not fit.
    pub fn gradient_of_shards(
        &mut self,
        x: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
        shards: &[Range<usize>],
        to: &mut [T],
    ) -> Result<(), Error> {
        const OP: &str = "Affine::gradient_of_shards";
        let (inputs, outputs) = self.w().dim();
        let (expected, got) = (self.weights.dw.len() + self.weights.db.len(), to.len());
        if (x.ncols(), dout.ncols(), got) != (inputs, outputs, expected) {
            let expected = [inputs, outputs, expected];
            return Err(Error::shape(OP, &expected, &[x.ncols(), dout.ncols(), got]));
        }
        let (dw, db) = to.split_at_mut(inputs * outputs);
        let add = |a: &mut Vec<T>, b: &Vec<T>| a.iter_mut().zip(b).for_each(|(a, &b)| *a += b);
        let trees = Mutex::new(std::mem::take(&mut self.blocks));
        let result = Mutex::new(Ok(()));
        // Rows of dW: blocks of one size use the same memory.
        let blocks = (dw.len() / BLOCK).clamp(1, (inputs / 96).max(1));
        let height = inputs.div_ceil(blocks).max(1);
        fill_pieces(dw, height * outputs, |i, block| {
            let columns = Slice::from(i * height..(i * height + block.len() / outputs));
            let mut tree: ShardTree<Vec<T>> = locked(&trees).pop().unwrap_or_default();
            for (shard, rows) in shards.iter().enumerate() {
                let rows = Slice::from(rows.clone());
                let x = x.slice_axis(Axis(0), rows);
                let (x, dout) = (
                    x.slice_axis(Axis(1), columns),
                    dout.slice_axis(Axis(0), rows),
                );
                let mut sum = tree.spare().unwrap_or_default();
                sum.resize(block.len(), T::zero());
                // dW = xᵀ·dout
                let of_block =
                    ArrayViewMut2::from_shape((block.len() / outputs, outputs), &mut sum);
                if let Ok(of_block) = of_block
                    && let Err(error) = matmul_tn(x, dout, T::zero(), of_block)
                {
                    *locked(&result) = Err(error);
                }
                tree.push(shard..shard + 1, sum, add);
            }
            if let Some(sum) = tree.total(add) {
                block.copy_from_slice(sum);
            }
            tree.clear();
            locked(&trees).push(tree);
        });
        self.blocks = std::mem::take(&mut *locked(&trees));
        locked(&result).clone()?;
        let mut tree = ShardTree::default();
        for (shard, rows) in shards.iter().enumerate() {
            let dout = dout.slice_axis(Axis(0), rows.clone().into());
            self.weights.sum_bias(OP, &dout)?; // db = Σₙ dout
            tree.push(shard..shard + 1, self.weights.db.to_vec(), add);
        }
        if let Some(sum) = tree.total(add) {
            db.copy_from_slice(sum);
        }
        Ok(())
    }

    fn outputs(&self, x: ArrayView2<'_, T>, y: ArrayViewMut2<'_, T>) -> Result<(), Error> {
        match self.weights.bias() {
            Some(b) => matmul_plus_row(x, self.w(), b, y)?,
            None => matmul(x, self.w(), T::zero(), y)?,
        }
        Ok(())
    }

    /// Folds `scale·y + shift` of its outputs into the weights; see [`Weights::fold`].
    pub(crate) fn fold(&mut self, scale_and_shift: [&[f64]; 2]) -> bool {
        self.weights.fold(scale_and_shift, |place| place.1)
    }

    pub(crate) fn sizes(settings: &Settings) -> Vec<usize> {
        vec![settings.inputs, settings.outputs]
    }

    /// With weights and a bias of zero.
    pub(crate) fn from_settings(settings: &Settings) -> Result<Self, Error> {
        let (inputs, outputs) = (settings.inputs, settings.outputs);
        let b = settings.bias.then(|| try_zeros("Affine", outputs));
        Self::with(try_zeros("Affine", (inputs, outputs))?, b.transpose()?)
    }
}

fn locked<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The settings of an [`Affine`](crate::Affine), in its description.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Values of an input row.
    pub inputs: usize,
    /// Values of an output row.
    pub outputs: usize,
    /// Whether there is a bias.
    pub bias: bool,
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
        let (inputs, outputs) = self.w().dim();
        if input.size() != inputs {
            return Err(Error::shape("Affine", &[inputs], &[input.size()]));
        }
        Ok(Shape::Flat(outputs))
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, T>,
        y: ArrayViewMut2<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), Error> {
        match pass.reduction() {
            // Other processes have other rows of the batch.
            Some(_) => Ok(by_rows::matmul(x, self.w(), self.weights.bias(), y)?),
            None => self.outputs(x, y),
        }
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
        io: Io<'_, T>,
        wanted: Wanted<'_, T>,
        pass: &Pass<'_>,
    ) -> Result<(), Error> {
        let Io { x, dout, .. } = io;
        let is_sharded = pass.reduction().is_some();
        if wanted.params {
            self.weights.sum_bias("Affine::backward", &dout)?; // db = Σₙ dout
        }
        let Weights {
            w, dw, largest_dw, ..
        } = &mut self.weights;
        let (w, dw) = (w.view(), wanted.params.then(|| dw.view_mut()));
        let (by_weights, by_inputs) = join(
            x.nrows() * w.len(),
            || dw.map(|dw| matmul_tn_largest(x, dout, dw)).transpose(), // dW = xᵀ·dout
            // dx = dout·Wᵀ
            || match wanted.dx {
                Some(dx) if is_sharded => by_rows::matmul_nt(dout, w, dx),
                Some(dx) => matmul_nt(dout, w, T::zero(), dx),
                None => Ok(()),
            },
        );
        if wanted.params {
            *largest_dw = by_weights?;
        }
        Ok(by_inputs?)
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, T>)) {
        self.weights.state(visit);
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, T>)) {
        self.weights.state_mut(visit);
    }

    fn rows_are_independent(&self, _: Mode) -> bool {
        true
    }

    fn describe(&self) -> Option<LayerSpec> {
        let (inputs, outputs) = self.w().dim();
        let bias = self.weights.b.is_some();
        let settings = Settings {
            inputs,
            outputs,
            bias,
        };
        Some(LayerSpec::new("Affine", settings))
    }
}
