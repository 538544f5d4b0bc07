use crate::builder::NetworkBuilder;
use bn_layers::{BatchNormConfig, Conv2dConfig, Init};
use bn_tensor::Scalar;

/// A residual network for small images (arXiv:1512.03385, section 4.2): a convolution, stages of residual
/// blocks of two 3×3 convolutions with Batch Normalization, the mean over all pixels, and an affine layer.
///
/// From the second stage on, the first block of a stage halves the image, and its shortcut is a 1×1
/// convolution with Batch Normalization. All other shortcuts are the identity.
///
/// ```
/// use bn_net::ResNet;
/// // The paper's ResNet-20 for CIFAR-10.
/// let network = ResNet::new((32, 32, 3), &[(16, 3), (32, 3), (64, 3)], 10).builder::<f32>().build(1)?;
/// assert_eq!(network.param_count(), 272_474);
/// // One for MNIST, whose blocks start as the identity.
/// let small = ResNet {
///     zero_init: true,
///     ..ResNet::new((28, 28, 1), &[(16, 1), (32, 1), (64, 1)], 10)
/// };
/// assert_eq!(small.builder::<f32>().build(1)?.output().size(), 10);
/// # Ok::<(), bn_net::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ResNet {
    /// Height, width and channels of an image.
    pub image: (usize, usize, usize),
    /// Filters and residual blocks of each stage.
    pub stages: Vec<(usize, usize)>,
    /// Classes.
    pub classes: usize,
    /// Whether Batch Normalization and ReLU come before each convolution and not after it
    /// (arXiv:1603.05027); false by default.
    pub pre_activation: bool,
    /// Whether the gamma of the last Batch Normalization of each block is 0 at first, so that the block
    /// starts as the identity (arXiv:1706.02677, section 5.1); false by default. It has no effect with
    /// [`pre_activation`](Self::pre_activation), where a convolution is last.
    pub zero_init: bool,
    /// The settings of Batch Normalization; bias-corrected by default.
    pub batch_norm: BatchNormConfig,
}

impl ResNet {
    /// A network with these stages, each `(filters, blocks)`. The other fields have their defaults.
    pub fn new(image: (usize, usize, usize), stages: &[(usize, usize)], classes: usize) -> Self {
        Self {
            image,
            stages: stages.to_vec(),
            classes,
            pre_activation: false,
            zero_init: false,
            batch_norm: BatchNormConfig::default(),
        }
    }

    /// A builder of the network. Its `build` fails if the sizes do not fit.
    pub fn builder<T: Scalar>(&self) -> NetworkBuilder<T> {
        let mut builder = NetworkBuilder::new(self.image).init(Init::He);
        let first = self.stages.first().map_or(0, |&(filters, _)| filters);
        builder = builder.conv2d(conv(first, 3, 1));
        if !self.pre_activation {
            builder = builder.batch_norm_with(self.batch_norm).relu();
        }
        for (stage, &(filters, blocks)) in self.stages.iter().enumerate() {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                builder = self.block(builder, filters, stride);
            }
        }
        if self.pre_activation {
            builder = builder.batch_norm_with(self.batch_norm).relu();
        }
        builder.global_avg_pool2d().affine(self.classes)
    }

    /// Adds a residual block.
    fn block<T: Scalar>(
        &self,
        builder: NetworkBuilder<T>,
        filters: usize,
        stride: usize,
    ) -> NetworkBuilder<T> {
        let (config, gamma) = (self.batch_norm, if self.zero_init { 0.0 } else { 1.0 });
        let (first, second) = (conv(filters, 3, stride), conv(filters, 3, 1));
        let after = move |b: NetworkBuilder<T>| {
            let b = b.conv2d(first).batch_norm_with(config).relu();
            b.conv2d(second).batch_norm_from(config, gamma)
        };
        let before = move |b: NetworkBuilder<T>| {
            let b = b.batch_norm_with(config).relu().conv2d(first);
            b.batch_norm_with(config).relu().conv2d(second)
        };
        let shortcut =
            move |b: NetworkBuilder<T>| b.conv2d(conv(filters, 1, stride)).batch_norm_with(config);
        match (self.pre_activation, stride) {
            (false, 1) => builder.residual(after).relu(),
            (false, _) => builder.residual_with(after, shortcut).relu(),
            (true, 1) => builder.residual(before),
            (true, _) => builder.residual_with(before, move |b| b.conv2d(conv(filters, 1, stride))),
        }
    }
}

/// A convolution without a bias, which Batch Normalization would subtract.
fn conv(filters: usize, size: usize, stride: usize) -> Conv2dConfig {
    Conv2dConfig::new(filters, size)
        .stride(stride)
        .same()
        .without_bias()
}
