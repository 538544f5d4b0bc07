//! The layers of images.

use crate::{
    chain::{Chain, Layer},
    error::Error,
    form::{Form, Image},
    python::{pair, sides},
};
use bn_layers::{Interpolation, Padding, settings};

/// What [`Error::NoModule`] lists for a layer that is none of them.
const KNOWN: &str = "known are Affine, AvgPool2d, BatchNormalization, Concat, Conv2d, ConvTranspose2d, Dropout, Elu, \
    Gelu, GroupNorm, Identity, InstanceNorm, LayerNorm, LeakyRelu, LogSoftmax, MaxPool2d, Network, PRelu, \
    ReflectPad2d, Relu, Relu6, Reshape, Residual, Resize2d, Sigmoid, Silu, Softmax, Tanh, Upsample2d and ZeroPad2d";

impl Chain<'_> {
    /// Adds a layer of images.
    pub(crate) fn image_layer(&mut self, layer: &Layer<'_>) -> Result<(), Error> {
        match layer.spec.layer.as_str() {
            "AvgPool2d" => {
                let settings::AvgPool2d {
                    window,
                    counts_padding,
                    is_global,
                } = layer.settings()?;
                self.pool(layer, "Avg", &window, counts_padding, is_global)
            }
            "Conv2d" => self.conv2d(layer),
            "ConvTranspose2d" => self.conv_transpose2d(layer),
            "MaxPool2d" => {
                let settings::MaxPool2d { window, is_global } = layer.settings()?;
                self.pool(layer, "Max", &window, false, is_global)
            }
            "ReflectPad2d" => self.pad(layer, "nn.ReflectionPad2d"),
            "Resize2d" => {
                let settings::Resize2d {
                    image,
                    size,
                    interpolation,
                } = layer.settings()?;
                self.resize(layer, image, size, interpolation)
            }
            "Upsample2d" => {
                let settings::Upsample2d { image, factor } = layer.settings()?;
                let size = (image.0 * factor, image.1 * factor);
                self.resize(layer, image, size, Interpolation::Nearest)
            }
            "ZeroPad2d" => self.pad(layer, "nn.ZeroPad2d"),
            _ => Err(layer.refused(KNOWN)),
        }
    }

    fn conv2d(&mut self, layer: &Layer<'_>) -> Result<(), Error> {
        let s: settings::Conv2d = layer.settings()?;
        let (rows, columns, of_group, filters) = s.kernel;
        let window = layer.fits(s.window())?;
        self.convert(Form::Image(s.image));
        let around = window.padding();
        let padding = match symmetric(around) {
            Some(padding) => unless("padding", padding, 0),
            None if s.padding == Padding::Same && s.stride == (1, 1) => {
                ", padding=\"same\"".to_owned()
            }
            None => {
                self.push(format!("nn.ZeroPad2d({})", sides(around)));
                String::new()
            }
        };
        self.kernel(layer, s.kernel, s.bias.then_some(filters));
        let (channels, kernel) = (of_group * s.groups, pair((rows, columns)));
        let stride = unless("stride", s.stride, 1);
        let options = options(s.dilation, s.groups, s.bias);
        self.push(format!(
            "nn.Conv2d({channels}, {filters}, {kernel}{stride}{padding}{options})"
        ));
        let (height, width) = window.output();
        self.form = Form::Image((height, width, filters));
        Ok(())
    }

    fn conv_transpose2d(&mut self, layer: &Layer<'_>) -> Result<(), Error> {
        let s: settings::ConvTranspose2d = layer.settings()?;
        let (rows, columns, of_group, channels) = s.kernel;
        let filters = of_group * s.groups;
        let window = layer.fits(s.window())?;
        self.convert(Form::Image(s.image));
        self.kernel(layer, s.kernel, s.bias.then_some(filters));
        // PyTorch cuts the same off at opposite sides of the output.
        let [top, left, bottom, right] = window.padding();
        let both = (top.min(bottom), left.min(right));
        let kernel = pair((rows, columns));
        let stride = unless("stride", s.stride, 1);
        let padding = unless("padding", both, 0);
        let added = unless("output_padding", s.added(), 0);
        let options = options(s.dilation, s.groups, s.bias);
        self.push(format!(
            "nn.ConvTranspose2d({channels}, {filters}, {kernel}{stride}{padding}{added}{options})"
        ));
        if (top, left) != (bottom, right) {
            let (top, bottom) = (top - both.0, bottom - both.0);
            let (left, right) = (left - both.1, right - both.1);
            self.push(format!(
                "nn.ZeroPad2d((-{left}, -{right}, -{top}, -{bottom}))"
            ));
        }
        self.form = Form::Image(window.image());
        Ok(())
    }

    /// The weights `(rows, columns, a, b)`, which are `(b, a, rows, columns)` in PyTorch, and the bias of this length.
    fn kernel(
        &mut self,
        layer: &Layer<'_>,
        (rows, columns, a, b): (usize, usize, usize, usize),
        bias: Option<usize>,
    ) {
        let axes = (vec![rows, columns, a, b], vec![3, 2, 0, 1]);
        self.tensor(layer, ["weight", "weight"], axes, &[b, a, rows, columns]);
        if let Some(filters) = bias {
            self.tensor(
                layer,
                ["bias", "bias"],
                Form::Rows(filters).axes(),
                &[filters],
            );
        }
    }

    fn pool(
        &mut self,
        layer: &Layer<'_>,
        kind: &str,
        s: &settings::Window,
        counts_padding: bool,
        is_global: bool,
    ) -> Result<(), Error> {
        let window = layer.fits(s.window())?;
        self.convert(Form::Image(s.image));
        if is_global {
            self.push(format!("nn.Adaptive{kind}Pool2d(1)"));
            self.push("nn.Flatten()");
            self.form = Form::Rows(s.image.2);
            return Ok(());
        }
        if kind == "Avg" && window.dilation() != (1, 1) {
            return Err(layer.refused("nn.AvgPool2d has no dilation"));
        }
        let around = window.padding();
        // PyTorch refuses a padding of more than half the kernel.
        let is_half =
            |(rows, columns): &(usize, usize)| 2 * rows <= s.kernel.0 && 2 * columns <= s.kernel.1;
        let padding = match symmetric(around).filter(is_half) {
            Some(padding) => unless("padding", padding, 0),
            None if s.ceil_mode => {
                return Err(layer.refused(
                    "with ceil mode, its padding must be the same on opposite sides, and at most half the kernel",
                ));
            }
            None if kind == "Max" => {
                self.push(format!(
                    "nn.ConstantPad2d({}, float(\"-inf\"))",
                    sides(around)
                ));
                String::new()
            }
            None if counts_padding => {
                self.push(format!("nn.ZeroPad2d({})", sides(around)));
                String::new()
            }
            None => {
                return Err(layer.refused(
                    "its padding must be counted, or be the same on opposite sides and at most half the kernel",
                ));
            }
        };
        let (kernel, stride, dilation) = (
            pair(s.kernel),
            pair(s.stride),
            unless("dilation", s.dilation, 1),
        );
        let ceil_mode = if s.ceil_mode { ", ceil_mode=True" } else { "" };
        let counts = match kind == "Avg" && !counts_padding && !padding.is_empty() {
            true => ", count_include_pad=False",
            false => "",
        };
        self.push(format!(
            "nn.{kind}Pool2d({kernel}, {stride}{padding}{dilation}{ceil_mode}{counts})"
        ));
        let (height, width) = window.output();
        self.form = Form::Image((height, width, s.image.2));
        Ok(())
    }

    fn pad(&mut self, layer: &Layer<'_>, module: &str) -> Result<(), Error> {
        let settings::Pad2d {
            image,
            rows: (top, bottom),
            columns: (left, right),
        } = layer.settings()?;
        self.convert(Form::Image(image));
        self.push(format!("{module}({})", sides([top, left, bottom, right])));
        let (height, width, channels) = image;
        self.form = Form::Image((height + top + bottom, width + left + right, channels));
        Ok(())
    }

    fn resize(
        &mut self,
        layer: &Layer<'_>,
        image: Image,
        (rows, columns): (usize, usize),
        interpolation: Interpolation,
    ) -> Result<(), Error> {
        let (height, width, channels) = image;
        self.convert(Form::Image(image));
        match interpolation {
            Interpolation::Nearest if !(is_nearest(height, rows) && is_nearest(width, columns)) => {
                return Err(layer.refused("at this size nn.Upsample rounds to other pixels"));
            }
            Interpolation::Nearest => {
                self.push(format!(
                    "nn.Upsample(size=({rows}, {columns}), mode=\"nearest\")"
                ));
            }
            Interpolation::Bilinear => {
                self.push(format!(
                    "nn.Upsample(size=({rows}, {columns}), mode=\"bilinear\")"
                ));
            }
        }
        self.form = Form::Image((rows, columns, channels));
        Ok(())
    }
}

/// Rows and columns of a padding that is the same on opposite sides.
fn symmetric([top, left, bottom, right]: [usize; 4]) -> Option<(usize, usize)> {
    (top == bottom && left == right).then_some((top, left))
}

/// An argument for rows and columns with a default.
fn unless(name: &str, value: (usize, usize), default: usize) -> String {
    match value == (default, default) {
        true => String::new(),
        false => format!(", {name}={}", pair(value)),
    }
}

/// What both kinds of convolutions have.
fn options(dilation: (usize, usize), groups: usize, bias: bool) -> String {
    let dilation = unless("dilation", dilation, 1);
    let groups = match groups {
        1 => String::new(),
        groups => format!(", groups={groups}"),
    };
    let bias = if bias { "" } else { ", bias=False" };
    format!("{dilation}{groups}{bias}")
}

/// Whether PyTorch, which multiplies by a quotient in `f32`, takes pixel `⌊i·from/to⌋` of `from` pixels for each i.
fn is_nearest(from: usize, to: usize) -> bool {
    let scale = from as f32 / to as f32;
    (0..to).all(|i| (i as f32 * scale) as usize == (i * from) / to)
}
