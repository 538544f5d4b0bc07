use crate::builder::NetworkBuilder;
use bn_layers::{BatchNormConfig, Conv2dConfig, Init};
use bn_tensor::Scalar;

/// A convolutional network with Batch Normalization: blocks of conv – bn – relu, of which a
/// stride of 2 halves the image, and an affine layer, trained with
/// [`SoftmaxWithLoss`](crate::SoftmaxWithLoss).
///
/// The convolutions have kernels of 3×3 and `same` padding, and no bias, because Batch Normalization would
/// subtract it. A hidden affine – bn – relu before the last layer is optional.
///
/// ```
/// use bn_net::BatchNormConvNet;
/// let network = BatchNormConvNet::new((28, 28, 1), &[(16, 1), (32, 2)], 10)
///     .builder::<f32>()
///     .build(42)?;
/// let conv_bn = |inputs: usize, filters| inputs * 9 * filters + 2 * filters;
/// let expected = conv_bn(1, 16) + conv_bn(16, 32) + 14 * 14 * 32 * 10 + 10;
/// assert_eq!(network.param_count(), expected);
/// # Ok::<(), bn_net::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNormConvNet {
    /// Height, width and channels of an image.
    pub image: (usize, usize, usize),
    /// Filters and stride of each block.
    pub blocks: Vec<(usize, usize)>,
    /// Values of a hidden affine layer between the blocks and the last one; none by default.
    pub hidden: Option<usize>,
    /// The share that is dropped before the last layer; 0 by default.
    pub dropout: f64,
    /// Classes.
    pub classes: usize,
    /// Which Batch Normalization; bias-corrected by default.
    pub batch_norm: BatchNormConfig,
}

impl BatchNormConvNet {
    /// A network of these blocks, each `(filters, stride)`. The other fields have their defaults.
    pub fn new(image: (usize, usize, usize), blocks: &[(usize, usize)], classes: usize) -> Self {
        Self {
            image,
            blocks: blocks.to_vec(),
            hidden: None,
            dropout: 0.0,
            classes,
            batch_norm: BatchNormConfig::default(),
        }
    }

    /// A builder of the network. Its `build` fails if the sizes do not fit.
    pub fn builder<T: Scalar>(&self) -> NetworkBuilder<T> {
        let mut builder = NetworkBuilder::new(self.image).init(Init::He);
        for &(filters, stride) in &self.blocks {
            let conv = Conv2dConfig::new(filters, 3).stride(stride).same();
            builder = builder
                .conv2d(conv.without_bias())
                .batch_norm_with(self.batch_norm)
                .relu();
        }
        if let Some(hidden) = self.hidden {
            builder = builder
                .affine_without_bias(hidden)
                .batch_norm_with(self.batch_norm)
                .relu();
        }
        if self.dropout != 0.0 {
            builder = builder.dropout(self.dropout);
        }
        builder.affine(self.classes)
    }
}
