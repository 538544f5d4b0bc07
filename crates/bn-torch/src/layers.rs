//! The layers of flat rows, the activations and the normalisations.

use crate::{
    chain::{Chain, Layer, image_after},
    error::Error,
    form::Form,
    python::{Class, float},
};
use bn_layers::{RunningAverage, settings};

impl Chain<'_> {
    /// Adds a layer that holds no networks.
    pub(crate) fn layer(&mut self, layer: &Layer<'_>) -> Result<(), Error> {
        match layer.spec.layer.as_str() {
            "Affine" => self.affine(layer)?,
            "BatchNormalization" => self.batch_norm(layer)?,
            "Dropout" => {
                let settings::Dropout { ratio, is_book } = layer.settings()?;
                match is_book {
                    true => self.push_class(Class::BookDropout, &float(ratio)),
                    false => self.push(format!("nn.Dropout({})", float(ratio))),
                }
            }
            "Elu" => self.push(format!("nn.ELU({})", float(layer.settings()?))),
            "Gelu" => self.push(match layer.settings()? {
                true => "nn.GELU(approximate=\"tanh\")",
                false => "nn.GELU()",
            }),
            "GroupNorm" | "InstanceNorm" | "LayerNorm" => self.example_norm(layer)?,
            "Identity" => self.push("nn.Identity()"),
            "LeakyRelu" => self.push(format!("nn.LeakyReLU({})", float(layer.settings()?))),
            "LogSoftmax" => self.over_classes(layer, "nn.LogSoftmax(dim=1)")?,
            "PRelu" => self.prelu(layer)?,
            "Relu" => self.push("nn.ReLU()"),
            "Relu6" => self.push("nn.ReLU6()"),
            "Sigmoid" => self.push("nn.Sigmoid()"),
            "Silu" => self.push("nn.SiLU()"),
            "Softmax" => self.over_classes(layer, "nn.Softmax(dim=1)")?,
            "Tanh" => self.push("nn.Tanh()"),
            _ => self.image_layer(layer)?,
        }
        Ok(())
    }

    fn affine(&mut self, layer: &Layer<'_>) -> Result<(), Error> {
        let settings::Affine {
            inputs,
            outputs,
            bias,
        } = layer.settings()?;
        if let Form::Image(image) = self.form {
            self.convert(Form::flattened(image));
        }
        let output = image_after(layer.rest, outputs).map_or(Form::Rows(outputs), Form::flattened);
        // Axes of the inputs, then of the outputs; in PyTorch the outputs come first.
        let ((mut axes, order_in), (of_outputs, mut order)) = (self.form.axes(), output.axes());
        order.iter_mut().for_each(|axis| *axis += axes.len());
        order.extend(order_in);
        axes.extend(of_outputs);
        self.tensor(
            layer,
            ["weight", "weight"],
            (axes, order),
            &[outputs, inputs],
        );
        if bias {
            self.tensor(layer, ["bias", "bias"], output.axes(), &[outputs]);
        }
        let bias = if bias { "" } else { ", bias=False" };
        self.push(format!("nn.Linear({inputs}, {outputs}{bias})"));
        self.form = output;
        Ok(())
    }

    /// Adds a layer with a value for each of `channels` channels: the values of a row, or those of a pixel. `add` adds
    /// it for rows or images of that kind. The output gets the form of the input.
    fn over_channels(
        &mut self,
        layer: &Layer<'_>,
        channels: usize,
        add: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let size = self.form.size();
        let has_groups = layer.spec.layer == "GroupNorm"; // of adjacent values
        let to = match self.form {
            Form::Image((_, _, c)) if c == channels => self.form,
            Form::Image(image) if size == channels && !has_groups => Form::flattened(image),
            Form::Flattened(_) if size == channels && !has_groups => self.form,
            _ if size == channels => Form::Rows(size),
            _ if channels > 0 && size.is_multiple_of(channels) => {
                Form::Image((size / channels, 1, channels))
            }
            _ => return Err(layer.refused("it does not fit its input")),
        };
        let before = self.form;
        self.convert(to);
        add(self)?;
        self.convert(before);
        Ok(())
    }

    fn batch_norm(&mut self, layer: &Layer<'_>) -> Result<(), Error> {
        let settings::BatchNormalization {
            channels, config, ..
        } = layer.settings()?;
        let momentum = match config.running {
            RunningAverage::Keep(m) | RunningAverage::KeepCorrected(m) => {
                float(((1.0 - m) * 1e12).round() / 1e12) // 0.1, not 0.09999999999999998
            }
            RunningAverage::Add(m) => float(m),
            RunningAverage::Cumulative => "None".to_owned(),
        };
        if config.track_running_stats {
            if let RunningAverage::KeepCorrected(_) = config.running {
                self.note(
                    "In training, PyTorch does not correct the bias of the running averages.",
                );
            }
            if !config.unbiased_running_var {
                self.note("In training, PyTorch averages the unbiased variance of each batch.");
            }
        }
        self.over_channels(layer, channels, |chain| {
            if config.affine {
                chain.vector(layer, ["gamma", "weight"], channels);
                chain.vector(layer, ["beta", "bias"], channels);
            }
            if config.track_running_stats {
                chain.vector(layer, ["running_mean", "running_mean"], channels);
                chain.vector(layer, ["running_var", "running_var"], channels);
                chain.counter(layer, ["updates", "num_batches_tracked"]);
            }
            let dimensions = match chain.form {
                Form::Image(_) => "2d",
                _ => "1d",
            };
            let (eps, affine) = (float(config.eps), switch("affine", config.affine));
            let tracks = switch("track_running_stats", config.track_running_stats);
            chain.push(format!(
                "nn.BatchNorm{dimensions}({channels}, eps={eps}, momentum={momentum}{affine}{tracks})"
            ));
            Ok(())
        })
    }

    fn example_norm(&mut self, layer: &Layer<'_>) -> Result<(), Error> {
        let settings::ExampleNorm {
            channels,
            groups,
            eps,
            affine,
        } = layer.settings()?;
        let kind = layer.spec.layer.as_str();
        let eps = float(eps);
        if let Form::Image((h, w, c)) = self.form
            && kind == "LayerNorm"
            && c != channels
        {
            let shape = [c, h, w];
            if affine {
                self.tensor(layer, ["gamma", "weight"], self.form.axes(), &shape);
                self.tensor(layer, ["beta", "bias"], self.form.axes(), &shape);
            }
            let affine = switch("elementwise_affine", affine);
            self.push(format!("nn.LayerNorm({shape:?}, eps={eps}{affine})"));
            return Ok(());
        }
        self.over_channels(layer, channels, |chain| {
            if affine {
                chain.vector(layer, ["gamma", "weight"], channels);
                chain.vector(layer, ["beta", "bias"], channels);
            }
            let is_image = matches!(chain.form, Form::Image(_));
            match kind {
                "LayerNorm" => {
                    let affine = switch("elementwise_affine", affine);
                    let arguments = format!("{channels}, eps={eps}{affine}");
                    match is_image {
                        true => chain.push_class(Class::LayerNormOfPixels, &arguments),
                        false => chain.push(format!("nn.LayerNorm({arguments})")),
                    }
                }
                "GroupNorm" => {
                    let affine = switch("affine", affine);
                    chain.push(format!(
                        "nn.GroupNorm({groups}, {channels}, eps={eps}{affine})"
                    ));
                }
                // Images: a channel of one value cannot be normalised.
                _ => {
                    let affine = if affine { ", affine=True" } else { "" };
                    chain.push(format!("nn.InstanceNorm2d({channels}, eps={eps}{affine})"));
                }
            }
            Ok(())
        })
    }

    fn prelu(&mut self, layer: &Layer<'_>) -> Result<(), Error> {
        let channels = layer.settings::<settings::PRelu>()?.channels;
        if channels == 1 {
            self.tensor(layer, ["weight", "weight"], Form::Rows(1).axes(), &[1]);
            self.push("nn.PReLU()");
            return Ok(());
        }
        self.over_channels(layer, channels, |chain| {
            chain.vector(layer, ["weight", "weight"], channels);
            chain.push(format!("nn.PReLU({channels})"));
            Ok(())
        })
    }

    fn over_classes(&mut self, layer: &Layer<'_>, module: &str) -> Result<(), Error> {
        self.over_channels(layer, layer.settings()?, |chain| {
            chain.push(module);
            Ok(())
        })
    }
}

/// An argument that is `True` by default.
fn switch(name: &str, is_on: bool) -> String {
    match is_on {
        true => String::new(),
        false => format!(", {name}=False"),
    }
}
