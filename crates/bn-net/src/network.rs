mod as_layer;
mod eval;
mod fold;
mod pace;

pub use eval::Workspace;

use crate::{Error, Loss, NetworkBuilder, Optimizer, Targets};
use bn_layers::{Error as LayerError, Layer, Mode, Pointwise, Shape};
use bn_tensor::{Scalar, enter_pool};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use pace::Pace;

/// A chain of layers that owns its activations: one buffer for each layer's output, reused from
/// step to step, and two for the gradients that travel back.
///
/// A network is a [`Layer`] itself, so whatever takes a layer (a
/// [`GradientCheck`](bn_layers::GradientCheck), an [`Optimizer`], another network) takes a network.
/// Its parameters are named by their layer's place: `layers.0.weight`, `layers.1.gamma`, ….
///
/// ```
/// use bn_net::{Network, Sgd, SoftmaxWithLoss};
/// use ndarray::array;
/// let mut network = Network::<f32>::builder(2)
///     .affine(16).batch_norm().relu()
///     .affine(2)
///     .build(42)?;
/// // Exclusive or.
/// let x = array![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
/// let labels = vec![0, 1, 1, 0];
/// let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.5)?);
/// for _ in 0..100 {
///     network.train_step(x.view(), (&labels).into(), &mut loss, &mut sgd)?;
/// }
/// assert_eq!(network.accuracy(x.view(), &labels)?, 1.0);
/// # Ok::<(), bn_net::Error>(())
/// ```
///
/// # Errors
/// [`Error::Layer`] names the layer that refused its input. Whatever a call refuses, parameters
/// and running statistics are as they were before it.
#[derive(Debug)]
pub struct Network<T = f32> {
    layers: Vec<NamedLayer<T>>, // without those that the layer before them absorbed
    names: Vec<String>,         // of all layers, as the builder calls them
    shapes: Vec<Shape>,         // of all layers' outputs
    input: Shape,
    output: Shape,
    outputs: Vec<Vec<T>>, // of each layer, (N, its width); of the last forward pass
    rows: usize,          // N of the last forward pass
    dout: Vec<T>,         // begins with the gradient with respect to a layer's output
    dx: Vec<T>,           // and to its input; the two change places from layer to layer
    pace: Pace,
}

/// Which gradients a backward pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Params,
    Input,
    Both,
}

#[derive(Debug)]
struct NamedLayer<T> {
    layer: Box<dyn Layer<T>>,
    index: usize,               // its place among all layers
    last: usize,                // that of the last layer that it absorbed, or its own
    width: usize,               // of its output
    param_names: Vec<String>,   // `layers.0.weight`, in the order of `visit`
    counter_names: Vec<String>, // `layers.1.updates`, in the order of `visit_counters`
}

impl<T: Scalar> Network<T> {
    /// Begins a network whose rows hold `input` values, or an image.
    pub fn builder(input: impl Into<Shape>) -> NetworkBuilder<T> {
        NetworkBuilder::new(input.into())
    }

    /// From layers and their names; each must fit the one before it.
    pub(crate) fn new(
        input: Shape,
        layers: Vec<(String, Box<dyn Layer<T>>)>,
    ) -> Result<Self, Error> {
        let mut shape = input;
        let mut names = Vec::with_capacity(layers.len());
        let mut shapes = Vec::with_capacity(layers.len());
        let mut named: Vec<NamedLayer<T>> = Vec::with_capacity(layers.len());
        for (index, (name, layer)) in layers.into_iter().enumerate() {
            let refused = |source| Error::Layer {
                index,
                name: name.clone(),
                source,
            };
            shape = layer.output_shape(shape).map_err(refused)?;
            names.push(name);
            shapes.push(shape);
            if let (Some(before), Some(next)) = (named.last_mut(), layer.pointwise())
                && (matches!(next, Pointwise::Reshape) || before.layer.absorb(next))
            {
                before.last = index;
                before.counter_names = counter_names(&*before.layer, before.index);
                continue;
            }
            named.push(NamedLayer {
                param_names: param_names(&*layer, index),
                counter_names: counter_names(&*layer, index),
                layer,
                index,
                last: index,
                width: shape.size(),
            });
        }
        Ok(Self {
            outputs: named.iter().map(|_| Vec::new()).collect(),
            layers: named,
            names,
            shapes,
            input,
            output: shape,
            rows: 0,
            dout: Vec::new(),
            dx: Vec::new(),
            pace: Pace::default(),
        })
    }

    /// The shape of an input row.
    pub fn input(&self) -> Shape {
        self.input
    }

    /// The shape of an output row.
    pub fn output(&self) -> Shape {
        self.output
    }

    /// The number of trained values.
    pub fn param_count(&self) -> usize {
        let mut count = 0;
        self.visit(&mut |p| {
            count += if p.kind.is_trained() {
                p.value.len()
            } else {
                0
            }
        });
        count
    }

    /// The output of layer `index` in the last forward pass, `(N, width)`; `None` for a layer that
    /// computes the one after it in the same pass, as a BatchNormalization does with a rectifier and a
    /// Conv2d with a rectifier, a Dropout or both.
    pub fn activation(&self, index: usize) -> Option<ArrayView2<'_, T>> {
        let i = self.layers.iter().position(|l| l.last == index)?;
        matrix(&self.outputs[i], self.rows, self.layers[i].width).ok()
    }

    /// What the builder calls each layer: `affine`, `batch_norm`, `relu`, ….
    pub fn layer_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The shape of an output row of each layer.
    pub fn layer_shapes(&self) -> impl ExactSizeIterator<Item = Shape> {
        self.shapes.iter().copied()
    }

    /// The output `(N, E)` for `x: (N, D)`, with the network's own buffers; [`Mode::Train`] moves
    /// the running statistics, once the output has come out finite.
    ///
    /// # Errors
    /// The network's; [`Error::NonFinite`] in [`Mode::Train`], naming the first layer whose output
    /// holds a NaN or an infinity. (In the other modes they pass through to the output.)
    pub fn forward(
        &mut self,
        x: ArrayView2<'_, T>,
        mode: Mode,
    ) -> Result<ArrayView2<'_, T>, Error> {
        match mode {
            Mode::Train => {
                self.pass(x, Mode::BatchStats)?;
                if self.last_output()?.iter().any(|v| !v.is_finite()) {
                    return Err(self.abandon(x));
                }
                self.update_running();
            }
            Mode::BatchStats | Mode::Eval => self.pass(x, mode)?,
        }
        self.last_output()
    }

    /// The gradient `dx: (N, D)` with respect to the input, for `dout: (N, E)` with respect to the
    /// output of the last forward pass, whose `x` is handed in again; keeps the parameters'
    /// gradients.
    ///
    /// # Errors
    /// The network's.
    pub fn backward(
        &mut self,
        x: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
    ) -> Result<Array2<T>, Error> {
        self.set_dout(dout)?;
        self.pass_back(x, Wanted::Both)?;
        Ok(self.gradient_of_input()?.to_owned())
    }

    /// As [`backward`](Self::backward), but the parameters' gradients stay as they are, and `dx`
    /// lies in a buffer of the network's: what a loss further on says about what came in, while
    /// this network is not trained. Once warm, it allocates nothing.
    ///
    /// ```
    /// use bn_layers::{Layer, Mode};
    /// use bn_net::Network;
    /// use ndarray::Array2;
    /// let mut network = Network::<f32>::builder(3).affine(4).batch_norm().relu().affine(1).build(1)?;
    /// let x = Array2::from_shape_fn((8, 3), |(n, d)| ((n * 3 + d) as f32).sin());
    /// network.forward(x.view(), Mode::BatchStats)?;
    /// let dx = network.input_gradient(x.view(), Array2::ones((8, 1)).view())?;
    /// assert_eq!(dx.dim(), (8, 3));
    /// network.visit(&mut |p| assert!(p.grad.iter().all(|&g| g == 0.0)));
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    ///
    /// # Errors
    /// The network's.
    pub fn input_gradient(
        &mut self,
        x: ArrayView2<'_, T>,
        dout: ArrayView2<'_, T>,
    ) -> Result<ArrayView2<'_, T>, Error> {
        self.set_dout(dout)?;
        self.pass_back(x, Wanted::Input)?;
        self.gradient_of_input()
    }

    /// One step of training on the batch `x: (N, D)` with targets `t`: forward, loss, backward,
    /// and the optimizer's update. Returns the loss before the update, any weight decay's penalty
    /// included. Once warm, it allocates nothing. Now and then some steps are timed on one thread
    /// beside those on all, and the way that takes less time goes on; the bits are the same.
    ///
    /// # Errors
    /// The network's and the loss's; [`Error::NonFinite`] when the loss is not finite, for a NaN
    /// in `x` or a learning rate too large, naming the layer. After any of these the parameters,
    /// the running statistics and the optimizer are as before.
    pub fn train_step(
        &mut self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
        optimizer: &mut dyn Optimizer<T>,
    ) -> Result<f64, Error> {
        let mut pace = self.pace;
        let result = enter_pool(|| {
            pace.run(x.nrows(), || {
                let value = self.gradient(x, t, loss)?;
                optimizer.step(self)?;
                self.update_running();
                Ok(value)
            })
        });
        self.pace = pace;
        result
    }

    /// The loss of the batch, and in the layers the gradients of all parameters; nothing moves,
    /// running statistics included. (The book's `gradient`.)
    ///
    /// # Errors
    /// As [`train_step`](Self::train_step).
    pub fn gradient(
        &mut self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
    ) -> Result<f64, Error> {
        let value = self.loss(x, t, loss)?;
        self.pass_back(x, Wanted::Params)?;
        Ok(value)
    }

    /// The loss of the batch, and its gradient with respect to the output in `dout`.
    pub(crate) fn loss(
        &mut self,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
    ) -> Result<f64, Error> {
        loss.check(x.nrows(), self.output.size(), t)?;
        self.pass(x, Mode::BatchStats)?;
        let value = loss.forward(self.last_output()?, t)? + self.penalty();
        if !value.is_finite() {
            return Err(self.abandon(x));
        }
        let (n, width) = (self.rows, self.output.size());
        let mut dout = std::mem::take(&mut self.dout);
        grow(&mut dout, n * width);
        let result = matrix_mut(&mut dout, n, width)
            .and_then(|dout| loss.backward_into(self.last_output()?, t, dout));
        self.dout = dout;
        result?;
        Ok(value)
    }

    /// Runs all layers, into `outputs`.
    pub(crate) fn pass(&mut self, x: ArrayView2<'_, T>, mode: Mode) -> Result<(), Error> {
        self.check_batch(x.nrows(), x.ncols(), mode)?;
        self.rows = x.nrows();
        for i in 0..self.layers.len() {
            let (before, after) = self.outputs.split_at_mut(i);
            let input = match before.last() {
                None => x,
                Some(y) => matrix(y, self.rows, self.layers[i - 1].width)?,
            };
            let l = &mut self.layers[i];
            after[0].resize(self.rows * l.width, T::zero());
            let y = matrix_mut(&mut after[0], self.rows, l.width)?;
            let result = l.layer.forward_into(input, mode, y);
            result.map_err(|source| self.refused(i, source))?;
        }
        Ok(())
    }

    /// Runs all layers backward, from `dout`, in which the gradient with respect to `x` is then, if
    /// it is wanted.
    pub(crate) fn pass_back(&mut self, x: ArrayView2<'_, T>, wanted: Wanted) -> Result<(), Error> {
        if x.dim() != (self.rows, self.input.size()) {
            let expected = [self.rows, self.input.size()];
            return Err(bn_tensor::Error::shape("Network::backward", &expected, x.shape()).into());
        }
        for i in (0..self.layers.len()).rev() {
            let width = self.layers[i].width;
            let y = matrix(&self.outputs[i], self.rows, width)?;
            let dout = matrix(&self.dout, self.rows, width)?;
            let input = match i {
                0 => x,
                _ => matrix(&self.outputs[i - 1], self.rows, self.layers[i - 1].width)?,
            };
            grow(&mut self.dx, input.len());
            let dx = matrix_mut(&mut self.dx, self.rows, input.ncols())?;
            let layer = &mut self.layers[i].layer;
            let result = match wanted {
                Wanted::Input => layer.input_gradient_into(input, y, dout, dx),
                Wanted::Params if i == 0 => layer.backward_into(input, y, dout, None),
                Wanted::Params | Wanted::Both => layer.backward_into(input, y, dout, Some(dx)),
            };
            result.map_err(|source| self.refused(i, source))?;
            std::mem::swap(&mut self.dout, &mut self.dx);
        }
        Ok(())
    }

    /// What [`pass_back`](Self::pass_back) has found out about `x`.
    pub(crate) fn gradient_of_input(&self) -> Result<ArrayView2<'_, T>, Error> {
        matrix(&self.dout, self.rows, self.input.size())
    }

    pub(crate) fn set_dout(&mut self, dout: ArrayView2<'_, T>) -> Result<(), Error> {
        let expected = (self.rows, self.output.size());
        if dout.dim() != expected {
            let expected = [expected.0, expected.1];
            let op = "Network::backward";
            return Err(bn_tensor::Error::shape(op, &expected, dout.shape()).into());
        }
        grow(&mut self.dout, dout.len());
        self.dout
            .iter_mut()
            .zip(dout)
            .for_each(|(to, &from)| *to = from);
        Ok(())
    }

    pub(crate) fn last_output(&self) -> Result<ArrayView2<'_, T>, Error> {
        let last = self.outputs.last().map_or(&[][..], Vec::as_slice);
        matrix(last, self.rows, self.output.size())
    }

    /// Takes a forward pass back that came out with a NaN or an infinity, and says where it began.
    pub(crate) fn abandon(&mut self, x: ArrayView2<'_, T>) -> Error {
        self.forget_forward();
        if x.iter().any(|v| !v.is_finite()) {
            return Error::NonFinite {
                place: "the input".to_owned(),
                hint: "",
            };
        }
        let is_bad = |y: &Vec<T>| y.iter().any(|v| !v.is_finite());
        let place = match self.outputs.iter().position(is_bad) {
            Some(i) => {
                let last = self.layers[i].last;
                format!("the output of layer {last} ({})", self.names[last])
            }
            None => "the loss".to_owned(),
        };
        Error::NonFinite {
            place,
            hint: "; a smaller learning rate may help",
        }
    }

    fn refused(&self, i: usize, source: LayerError) -> Error {
        let index = self.layers[i].index;
        Error::Layer {
            index,
            name: self.names[index].clone(),
            source,
        }
    }

    /// Whether a batch of `rows` rows of `width` values can pass in `mode`.
    fn check_batch(&self, rows: usize, width: usize, mode: Mode) -> Result<(), Error> {
        if width != self.input.size() {
            let (expected, got) = ([rows, self.input.size()], [rows, width]);
            return Err(bn_tensor::Error::shape("Network", &expected, &got).into());
        }
        let mut width = width;
        for (i, l) in self.layers.iter().enumerate() {
            let result = l.layer.check_batch(rows, width, mode);
            result.map_err(|source| self.refused(i, source))?;
            width = l.width;
        }
        Ok(())
    }
}

fn param_names<T: Scalar>(layer: &dyn Layer<T>, index: usize) -> Vec<String> {
    let mut names = Vec::new();
    layer.visit(&mut |p| names.push(format!("layers.{index}.{}", p.name)));
    names
}

fn counter_names<T: Scalar>(layer: &dyn Layer<T>, index: usize) -> Vec<String> {
    let mut names = Vec::new();
    layer.visit_counters(&mut |name, _| names.push(format!("layers.{index}.{name}")));
    names
}

fn buffer_mismatch((n, width): (usize, usize), len: usize) -> Error {
    bn_tensor::Error::shape("Network: no forward pass of this size", &[n, width], &[len]).into()
}

/// Makes a buffer long enough. It never becomes shorter: what is grown is filled with zeros, and that took
/// a fiftieth of a step when two buffers changed places between layers of different widths.
fn grow<T: Scalar>(buffer: &mut Vec<T>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, T::zero());
    }
}

/// The first `n·width` values.
fn matrix<T>(buffer: &[T], n: usize, width: usize) -> Result<ArrayView2<'_, T>, Error> {
    let values = buffer.get(..n * width).unwrap_or(buffer);
    ArrayView2::from_shape((n, width), values)
        .map_err(|_| buffer_mismatch((n, width), buffer.len()))
}

fn matrix_mut<T>(buffer: &mut [T], n: usize, width: usize) -> Result<ArrayViewMut2<'_, T>, Error> {
    let len = buffer.len();
    let values = &mut buffer[..len.min(n * width)];
    ArrayViewMut2::from_shape((n, width), values).map_err(|_| buffer_mismatch((n, width), len))
}
