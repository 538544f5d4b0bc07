use bn_layers::Shape;

/// `(height, width, channels)`.
pub(crate) type Image = (usize, usize, usize);

/// How the modules of PyTorch see a batch of rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Form {
    /// `(N, D)`, in the network's order.
    Rows(usize),
    /// `(N, C, H, W)`.
    Image(Image),
    /// `(N, C·H·W)`; in the network the order is H, W, C, another one.
    Flattened(Image),
}

impl Form {
    pub(crate) fn of(shape: Shape) -> Self {
        match shape {
            Shape::Flat(size) => Self::Rows(size),
            Shape::Image {
                height,
                width,
                channels,
            } => Self::Image((height, width, channels)),
        }
    }

    /// The form of flattened images.
    pub(crate) fn flattened(image: Image) -> Self {
        match is_same_order(image) {
            true => Self::Rows(Self::Image(image).size()),
            false => Self::Flattened(image),
        }
    }

    /// The number of values in a row. The network has checked its shapes.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Rows(size) => size,
            Self::Image((h, w, c)) | Self::Flattened((h, w, c)) => h * w * c,
        }
    }

    /// The axes of a row in the network, and the order in which PyTorch has them.
    pub(crate) fn axes(self) -> (Vec<usize>, Vec<usize>) {
        match self {
            Self::Rows(size) => (vec![size], vec![0]),
            Self::Image((h, w, c)) | Self::Flattened((h, w, c)) => (vec![h, w, c], vec![2, 0, 1]),
        }
    }
}

/// Whether the values of an image have the same order with its channels first and last.
pub(crate) fn is_same_order((height, width, channels): Image) -> bool {
    channels == 1 || height * width == 1
}
