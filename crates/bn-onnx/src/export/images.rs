//! The layers of images.

use super::{
    chain::Layer,
    form::{Names, Value},
    graph::{Graph, Setting},
};
use crate::{
    error::Error,
    permute::axes,
    settings::{self, Image, Pair},
};
use bn_layers::Interpolation;

impl Graph {
    /// Writes a layer of images.
    pub(super) fn image_layer(
        &mut self,
        layer: &Layer<'_>,
        x: Value,
        names: &mut Names,
    ) -> Result<Value, Error> {
        // Settings that a layer can be made from are in range.
        let form = layer.output(x.form.size())?;
        let y = match layer.spec.layer.as_str() {
            "Conv2d" => self.conv2d(layer, x, names)?,
            "ConvTranspose2d" => self.conv_transpose2d(layer, x, names)?,
            "MaxPool2d" => {
                let settings::MaxPool2d { window, is_global } = layer.settings()?;
                let x = self.image_of(x, window.image, names);
                match is_global {
                    true => self.global_pool("GlobalMaxPool", x, names),
                    false => self.pool(layer, "MaxPool", &window, None, x, names)?,
                }
            }
            "AvgPool2d" => {
                let settings::AvgPool2d {
                    window,
                    counts_padding,
                    is_global,
                } = layer.settings()?;
                if window.ceil_mode && counts_padding {
                    return Err(layer.refused(
                        "runtimes disagree about windows beyond counted padding (ceil_mode, counts_padding)",
                    ));
                }
                let x = self.image_of(x, window.image, names);
                match is_global {
                    true => self.global_pool("GlobalAveragePool", x, names),
                    false => self.pool(
                        layer,
                        "AveragePool",
                        &window,
                        Some(counts_padding),
                        x,
                        names,
                    )?,
                }
            }
            "ZeroPad2d" => self.pad(layer, "constant", x, names)?,
            "ReflectPad2d" => self.pad(layer, "reflect", x, names)?,
            "Resize2d" => {
                let settings::Resize2d {
                    image,
                    size,
                    interpolation,
                } = layer.settings()?;
                self.resize(image, size, interpolation, x, names)
            }
            "Upsample2d" => {
                let settings::Upsample2d { image, factor } = layer.settings()?;
                let size = (image.0 * factor, image.1 * factor);
                self.resize(image, size, Interpolation::Nearest, x, names)
            }
            _ => return Err(layer.refused("this crate knows no operator for it")),
        };
        Ok(Value { name: y, form })
    }

    fn conv2d(&mut self, layer: &Layer<'_>, x: Value, names: &mut Names) -> Result<String, Error> {
        let s: settings::Conv2d = layer.settings()?;
        let x = self.image_of(x, s.image, names);
        let ((rows, columns, of_group, filters), name) = (s.kernel, names.next());
        let pads = layer.fits(s.window())?.padding();
        let len = rows * columns * of_group * filters;
        let w = self.array(&format!("{}.weight", layer.path), len)?;
        let w = axes(&w, [rows, columns, of_group, filters], [3, 2, 0, 1]);
        let w = self.floats(
            format!("{name}.weight"),
            &[filters, of_group, rows, columns],
            &w,
        );
        let b = self.bias(s.bias.then_some(filters), layer.path, &name)?;
        let inputs: Vec<&str> = [&*x.name, &w].into_iter().chain(b.as_deref()).collect();
        let settings = [
            Setting::Ints("dilations", &[s.dilation.0, s.dilation.1]),
            Setting::Int("group", s.groups),
            Setting::Ints("kernel_shape", &[rows, columns]),
            Setting::Ints("pads", &pads),
            Setting::Ints("strides", &[s.stride.0, s.stride.1]),
        ];
        Ok(self.node("Conv", &name, &inputs, &settings))
    }

    fn conv_transpose2d(
        &mut self,
        layer: &Layer<'_>,
        x: Value,
        names: &mut Names,
    ) -> Result<String, Error> {
        let s: settings::ConvTranspose2d = layer.settings()?;
        let x = self.image_of(x, s.image, names);
        let ((rows, columns, of_group, channels), name) = (s.kernel, names.next());
        let (pads, added) = (layer.fits(s.window())?.padding(), s.added());
        let len = rows * columns * of_group * channels;
        let w = self.array(&format!("{}.weight", layer.path), len)?;
        let w = axes(&w, [rows, columns, of_group, channels], [3, 2, 0, 1]);
        let w = self.floats(
            format!("{name}.weight"),
            &[channels, of_group, rows, columns],
            &w,
        );
        let b = self.bias(s.bias.then_some(of_group * s.groups), layer.path, &name)?;
        let inputs: Vec<&str> = [&*x.name, &w].into_iter().chain(b.as_deref()).collect();
        let settings = [
            Setting::Ints("dilations", &[s.dilation.0, s.dilation.1]),
            Setting::Int("group", s.groups),
            Setting::Ints("kernel_shape", &[rows, columns]),
            Setting::Ints("output_padding", &[added.0, added.1]),
            Setting::Ints("pads", &pads),
            Setting::Ints("strides", &[s.stride.0, s.stride.1]),
        ];
        Ok(self.node("ConvTranspose", &name, &inputs, &settings))
    }

    /// One value of each channel, as flat rows.
    fn global_pool(&mut self, operator: &str, x: Value, names: &mut Names) -> String {
        let name = names.next();
        let pooled = self.node(operator, &format!("{name}.pool"), &[&x.name], &[]);
        self.node("Flatten", &name, &[&pooled], &[Setting::Int("axis", 1)])
    }

    fn pool(
        &mut self,
        layer: &Layer<'_>,
        operator: &str,
        window: &settings::Window,
        counts_padding: Option<bool>, // of an AveragePool
        x: Value,
        names: &mut Names,
    ) -> Result<String, Error> {
        let settings::Window {
            kernel,
            stride,
            dilation,
            ceil_mode,
            ..
        } = *window;
        let pads = layer.fits(window.window())?.padding();
        let (kernel_shape, strides) = ([kernel.0, kernel.1], [stride.0, stride.1]);
        let dilations = [dilation.0, dilation.1];
        let mut settings = vec![
            Setting::Int("ceil_mode", usize::from(ceil_mode)),
            Setting::Ints("kernel_shape", &kernel_shape),
            Setting::Ints("pads", &pads),
            Setting::Ints("strides", &strides),
        ];
        if let Some(counts_padding) = counts_padding {
            settings.push(Setting::Int(
                "count_include_pad",
                usize::from(counts_padding),
            ));
        }
        if dilation != (1, 1) {
            settings.push(Setting::Ints("dilations", &dilations));
            if counts_padding.is_some() {
                self.needs_opset(19);
            }
        }
        Ok(self.node(operator, &names.next(), &[&x.name], &settings))
    }

    fn pad(
        &mut self,
        layer: &Layer<'_>,
        mode: &str,
        x: Value,
        names: &mut Names,
    ) -> Result<String, Error> {
        let settings::Pad2d {
            image,
            rows: (top, bottom),
            columns: (left, right),
        } = layer.settings()?;
        let (x, name) = (self.image_of(x, image, names), names.next());
        let pads = self.integers(
            format!("{name}.pads"),
            &[0, 0, top, left, 0, 0, bottom, right],
        );
        Ok(self.node(
            "Pad",
            &name,
            &[&x.name, &pads],
            &[Setting::Text("mode", mode)],
        ))
    }

    fn resize(
        &mut self,
        image: Image,
        (rows, columns): Pair,
        interpolation: Interpolation,
        x: Value,
        names: &mut Names,
    ) -> String {
        let (x, name) = (self.image_of(x, image, names), names.next());
        let (height, width, _) = image;
        let mut settings = match interpolation {
            Interpolation::Nearest => vec![
                Setting::Text("coordinate_transformation_mode", "asymmetric"),
                Setting::Text("mode", "nearest"),
                Setting::Text("nearest_mode", "floor"),
            ],
            Interpolation::Bilinear => vec![
                Setting::Text("coordinate_transformation_mode", "half_pixel"),
                Setting::Text("mode", "linear"),
            ],
        };
        // A quotient that is not whole, or that f32 rounds, may give another size.
        let is_exact = |to: usize, from: usize| to.is_multiple_of(from) && to / from <= 1 << 24;
        if is_exact(rows, height) && is_exact(columns, width) {
            let scales = [1.0, 1.0, (rows / height) as f32, (columns / width) as f32];
            let scales = self.floats(format!("{name}.scales"), &[4], &scales);
            self.node("Resize", &name, &[&x.name, "", &scales], &settings)
        } else {
            self.needs_opset(18);
            settings.push(Setting::Ints("axes", &[2, 3]));
            let sizes = self.integers(format!("{name}.sizes"), &[rows, columns]);
            self.node("Resize", &name, &[&x.name, "", "", &sizes], &settings)
        }
    }
}
