//! The settings of the layers in their descriptions.

pub(crate) use bn_layers::{Padding, settings::*};

/// `(height, width, channels)`.
pub(crate) type Image = (usize, usize, usize);
/// `(rows, columns)`.
pub(crate) type Pair = (usize, usize);
