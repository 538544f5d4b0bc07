use super::{node::Node, part::Part};
use crate::{
    error::Error,
    permute::{is_same_order, last_from_first, rows, transposed},
    settings::{self, Image},
};
use bn_layers::Shape;

/// The layers from one value of the model to another.
pub(super) struct Chain {
    pub(super) parts: Vec<Part>,
    pub(super) shape: Shape, // of the rows in the network
    pub(super) form: Form,
}

/// How the model stores a batch of rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// `(N, D)`, in the network's order.
    Rows,
    /// `(N, C, H, W)`.
    Image(Image),
    /// `(N, H, W, C)`.
    ChannelsLast(Image),
    /// `(N, C·H·W)`; in the network the order is H, W, C.
    Flattened(Image),
    /// Rows as `(N, A, B, C)`, before it is known whether their channels come first or last. The network has rows.
    Unsettled([usize; 3]),
}

impl Chain {
    pub(super) fn new(shape: Shape, form: Form) -> Self {
        let parts = Vec::new();
        Self { parts, shape, form }
    }

    /// Adds the layer of a node.
    pub(super) fn push(&mut self, node: &Node, part: Part) -> Result<(), Error> {
        let layer = part.spec.build::<f32>();
        match layer.and_then(|layer| layer.output_shape(self.shape)) {
            Ok(shape) => self.push_to(part, shape),
            Err(error) => return node.refused(error.to_string()),
        }
        Ok(())
    }

    /// Adds a layer whose output has this shape.
    pub(super) fn push_to(&mut self, part: Part, shape: Shape) {
        self.parts.push(part);
        self.shape = shape;
    }

    /// Adds a layer of images, whose output is an image.
    pub(super) fn push_image(&mut self, node: &Node, part: Part) -> Result<(), Error> {
        self.push(node, part)?;
        self.form = match self.shape {
            Shape::Image {
                height,
                width,
                channels,
            } => Form::Image((height, width, channels)),
            // Of a global pool.
            Shape::Flat(channels) => Form::Image((1, 1, channels)),
        };
        Ok(())
    }

    /// `(height, width, channels)` of the value, which must be `(N, C, H, W)`.
    pub(super) fn image(&self, node: &Node) -> Result<Image, Error> {
        match self.form {
            Form::Image(image) => Ok(image),
            Form::ChannelsLast(_) => node.refused("its input has the channels last"),
            _ => node.refused("its input is not an image (N, C, H, W)"),
        }
    }

    /// The number of values in a row, which must be `(N, D)`.
    pub(super) fn row_len(&self, node: &Node) -> Result<usize, Error> {
        match self.form {
            Form::Rows | Form::Flattened(_) => Ok(self.shape.size()),
            _ => node.refused("its input is not (N, D); a Flatten must come before it"),
        }
    }

    /// Makes the output of a global pool, which is `(N, C, 1, 1)` in the model and a row in the network, an image.
    pub(super) fn as_image(&mut self, node: &Node) -> Result<(), Error> {
        match (self.form, self.shape) {
            (Form::Image(image), Shape::Flat(_)) => {
                self.push(node, Part::new("Reshape", Shape::from(image)))
            }
            _ => Ok(()),
        }
    }

    /// Takes rows that became `(N, A, B, C)` as images with their channels first. If the network has more than one
    /// channel and pixel, the outputs of the Affine that computes the rows are reordered.
    pub(super) fn settle(&mut self, node: &Node) -> Result<(), Error> {
        let Form::Unsettled([channels, height, width]) = self.form else {
            return Ok(());
        };
        let image = (height, width, channels);
        if !is_same_order(image) && !reorder_outputs(&mut self.parts, image) {
            return node.refused(
                "its input is a row reshaped to an image, which needs a Gemm before it; between them, element-wise \
                 layers and BatchNormalization are allowed",
            );
        }
        self.push(node, Part::new("Reshape", Shape::from(image)))?;
        self.form = Form::Image(image);
        Ok(())
    }
}

/// Reorders the rows that the last layers compute, from channels first to channels last. Returns whether it is
/// possible.
fn reorder_outputs(parts: &mut [Part], image: Image) -> bool {
    const PER_VALUE: [&str; 3] = ["BatchNormalization", "LayerNorm", "PRelu"];
    let affine = parts.iter().rposition(|part| part.spec.layer == "Affine");
    let Some([affine, after @ ..]) = affine.and_then(|affine| parts.get_mut(affine..)) else {
        return false;
    };
    let Ok(settings::Affine {
        inputs, outputs, ..
    }) = affine.spec.settings()
    else {
        return false;
    };
    let fits = |part: &Part| {
        let mut lengths = part.arrays.iter().map(|(_, values)| values.len());
        let is_per_value = PER_VALUE.contains(&&*part.spec.layer);
        part.spec.is_element_wise()
            || (is_per_value && lengths.all(|len| [1, outputs].contains(&len)))
    };
    if !after.iter().all(fits) {
        return false;
    }
    // As many as the Affine has outputs.
    let from = last_from_first(image);
    for (name, values) in &mut affine.arrays {
        *values = match &**name {
            "weight" => {
                let columns = transposed(values, inputs, outputs);
                transposed(&rows(&columns, inputs, &from), outputs, inputs)
            }
            _ => rows(values, 1, &from),
        };
    }
    let arrays = after.iter_mut().flat_map(|part| &mut part.arrays);
    for (_, values) in arrays.filter(|(_, values)| values.len() == outputs) {
        *values = rows(values, 1, &from);
    }
    true
}
