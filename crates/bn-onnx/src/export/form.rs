use super::graph::{Graph, Setting};
use crate::{permute::is_same_order, settings::Image};
use bn_layers::Shape;

/// A value in the model, which corresponds to rows of a shape in the network.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) name: String,
    pub(super) form: Form,
}

/// How the model stores a batch of rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// `(N, D)`, in the network's order.
    Rows(usize),
    /// `(N, C, H, W)`.
    Image(Image),
    /// `(N, C·H·W)`; in the network the order is H, W, C. Only element-wise layers and an Affine may follow.
    Flattened(Image),
}

impl Form {
    pub(super) fn of(shape: Shape) -> Self {
        match shape {
            Shape::Flat(size) => Self::Rows(size),
            Shape::Image {
                height,
                width,
                channels,
            } => Self::Image((height, width, channels)),
        }
    }

    /// The number of values in a row. The network has checked its shapes.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Rows(size) => size,
            Self::Image((h, w, c)) | Self::Flattened((h, w, c)) => h * w * c,
        }
    }
}

/// The names of the nodes of a chain: a prefix and the number of the next layer. A conversion that an import takes as
/// a layer has a number of its own.
pub(super) struct Names {
    prefix: String,
    next: usize,
}

impl Names {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix, next: 0 }
    }

    pub(super) fn next(&mut self) -> String {
        self.next += 1;
        format!("{}.{}", self.prefix, self.next - 1)
    }
}

impl Graph {
    /// The same rows in the form of a shape with as many values.
    pub(super) fn converted(&mut self, x: Value, to: Form, names: &mut Names) -> Value {
        match (x.form, to) {
            (from, to) if from == to => x,
            (Form::Rows(_), Form::Image(image)) => self.image_from_rows(x, image, names),
            (Form::Rows(_), _) => x,
            (Form::Flattened(_) | Form::Image(_), Form::Rows(_)) => self.rows(x, names),
            (Form::Image(_), Form::Flattened(_)) => self.flattened(x, names),
            (Form::Image(_) | Form::Flattened(_), _) => {
                let rows = self.rows(x, names);
                self.converted(rows, to, names)
            }
        }
    }

    /// An image as `(N, C·H·W)`, for an Affine whose weights are reordered.
    pub(super) fn flattened(&mut self, x: Value, names: &mut Names) -> Value {
        let Form::Image(image) = x.form else {
            return x;
        };
        let name = self.node(
            "Flatten",
            &names.next(),
            &[&x.name],
            &[Setting::Int("axis", 1)],
        );
        let form = match is_same_order(image) {
            true => Form::Rows(x.form.size()),
            false => Form::Flattened(image),
        };
        Value { name, form }
    }

    /// `(N, H·W·C)`.
    fn rows(&mut self, x: Value, names: &mut Names) -> Value {
        let form = Form::Rows(x.form.size());
        match x.form {
            Form::Image(image) if !is_same_order(image) => {
                let name = names.next();
                let last = self.channels_last(&x.name, &name);
                let name = self.node("Flatten", &name, &[&last], &[Setting::Int("axis", 1)]);
                Value { name, form }
            }
            _ => self.flattened(x, names),
        }
    }

    fn image_from_rows(&mut self, x: Value, image: Image, names: &mut Names) -> Value {
        let ((height, width, channels), layer) = (image, names.next());
        let to_first = !is_same_order(image);
        let sizes = match to_first {
            true => [0, height, width, channels],
            false => [0, channels, height, width],
        };
        let sizes = self.integers(format!("{layer}.shape"), &sizes);
        let name = match to_first {
            true => {
                let step = format!("{layer}.reshape");
                let last = self.node("Reshape", &step, &[&x.name, &sizes], &[]);
                self.channels_first(&last, &layer)
            }
            false => self.node("Reshape", &layer, &[&x.name, &sizes], &[]),
        };
        Value {
            name,
            form: Form::Image(image),
        }
    }

    /// `(N, H, W, C)` from `(N, C, H, W)`.
    pub(super) fn channels_last(&mut self, x: &str, layer: &str) -> String {
        let step = format!("{layer}.channels_last");
        self.node(
            "Transpose",
            &step,
            &[x],
            &[Setting::Ints("perm", &[0, 2, 3, 1])],
        )
    }

    /// `(N, C, H, W)` from `(N, H, W, C)`.
    pub(super) fn channels_first(&mut self, x: &str, layer: &str) -> String {
        self.node(
            "Transpose",
            layer,
            &[x],
            &[Setting::Ints("perm", &[0, 3, 1, 2])],
        )
    }
}
