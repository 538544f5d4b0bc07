use crate::builder::NetworkBuilder;
use bn_layers::{Conv2dConfig, Init, Padding};
use bn_tensor::Scalar;

/// The book's `SimpleConvNet` (`ch07/simple_convnet.py`), with its names and defaults:
/// conv – relu – pool – affine – relu – affine, trained with
/// [`SoftmaxWithLoss`](crate::SoftmaxWithLoss).
///
/// ```
/// use bn_net::SimpleConvNet;
/// let network = SimpleConvNet::default().builder::<f32>().build(42)?;
/// let names: Vec<_> = network.layer_names().collect();
/// assert_eq!(names, ["conv2d", "relu", "max_pool2d", "affine", "relu", "affine"]);
/// assert_eq!(network.param_count(), 30 * 25 + 30 + 30 * 12 * 12 * 100 + 100 + 100 * 10 + 10);
/// # Ok::<(), bn_net::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SimpleConvNet {
    /// Height, width and channels of an image; (28, 28, 1) by default. (The book's `input_dim` has
    /// the channels first.)
    pub input_dim: (usize, usize, usize),
    /// Filters of the convolution; 30 by default.
    pub filter_num: usize,
    /// Height and width of a filter; 5 by default.
    pub filter_size: usize,
    /// Zeros around an image; 0 by default.
    pub pad: usize,
    /// Pixels from window to window; 1 by default.
    pub stride: usize,
    /// Values of the hidden layer; 100 by default.
    pub hidden_size: usize,
    /// Classes; 10 by default.
    pub output_size: usize,
    /// Standard deviation of all weights at first; 0.01 by default.
    pub weight_init_std: f64,
}

impl Default for SimpleConvNet {
    fn default() -> Self {
        Self {
            input_dim: (28, 28, 1),
            filter_num: 30,
            filter_size: 5,
            pad: 0,
            stride: 1,
            hidden_size: 100,
            output_size: 10,
            weight_init_std: 0.01,
        }
    }
}

impl SimpleConvNet {
    /// A builder of the network. Its `build` fails if the sizes do not fit.
    pub fn builder<T: Scalar>(&self) -> NetworkBuilder<T> {
        let conv = Conv2dConfig::new(self.filter_num, self.filter_size)
            .stride(self.stride)
            .padding(Padding::all(self.pad));
        NetworkBuilder::new(self.input_dim)
            .init(Init::Std(self.weight_init_std))
            .conv2d(conv)
            .relu()
            .max_pool2d(2)
            .affine(self.hidden_size)
            .relu()
            .affine(self.output_size)
    }
}
