//! The layers of flat rows and the activations.

use super::{
    chain::Layer,
    form::{Form, Names, Value},
    graph::{Graph, Setting},
};
use crate::{
    error::Error,
    permute::{first_from_last, rows, transposed},
    settings::{self, Image},
};

impl Graph {
    /// Writes a layer that holds no networks.
    pub(super) fn layer(
        &mut self,
        layer: &Layer<'_>,
        x: Value,
        names: &mut Names,
    ) -> Result<Value, Error> {
        let kind = layer.spec.layer.as_str();
        if layer.spec.is_element_wise() {
            let name = self.element_wise(layer, &x.name, &names.next())?;
            return Ok(Value { name, ..x });
        }
        match kind {
            "Affine" => self.affine(layer, x, names),
            "BatchNormalization" => {
                let channels = layer.settings::<settings::BatchNormalization>()?.channels;
                self.over_channels(layer, channels, x, names, Self::batch_norm)
            }
            "GroupNorm" | "InstanceNorm" | "LayerNorm" => {
                let channels = layer.settings::<settings::ExampleNorm>()?.channels;
                self.over_channels(layer, channels, x, names, Self::example_norm)
            }
            "Softmax" | "LogSoftmax" => {
                let classes = layer.settings()?;
                self.over_channels(layer, classes, x, names, Self::over_classes)
            }
            "PRelu" => {
                let channels = layer.settings::<settings::PRelu>()?.channels;
                match (channels, x.form) {
                    (1, Form::Flattened(_)) => {
                        let form = Form::Rows(x.form.size());
                        let x = self.converted(x, form, names);
                        self.prelu(layer, x, &names.next())
                    }
                    (1, _) => self.prelu(layer, x, &names.next()),
                    _ => self.over_channels(layer, channels, x, names, Self::prelu),
                }
            }
            _ => self.image_layer(layer, x, names),
        }
    }

    fn element_wise(&mut self, layer: &Layer<'_>, x: &str, name: &str) -> Result<String, Error> {
        let kind = layer.spec.layer.as_str();
        Ok(match kind {
            "Dropout" => {
                let settings::Dropout { ratio, is_book } = layer.settings()?;
                if is_book {
                    let keep = (1.0 - ratio) as f32;
                    let keep = self.floats(format!("{name}.keep"), &[], &[keep]);
                    self.node("Mul", name, &[x, &keep], &[])
                } else {
                    let ratio = self.floats(format!("{name}.ratio"), &[], &[ratio as f32]);
                    self.node("Dropout", name, &[x, &ratio], &[])
                }
            }
            "Elu" => self.node(
                "Elu",
                name,
                &[x],
                &[Setting::Float("alpha", layer.settings()?)],
            ),
            "LeakyRelu" => {
                let slope = Setting::Float("alpha", layer.settings()?);
                self.node("LeakyRelu", name, &[x], &[slope])
            }
            "Gelu" => {
                self.needs_opset(20);
                let approximate = match layer.settings()? {
                    true => "tanh",
                    false => "none",
                };
                self.node(
                    "Gelu",
                    name,
                    &[x],
                    &[Setting::Text("approximate", approximate)],
                )
            }
            "Relu6" => {
                let least = self.floats(format!("{name}.min"), &[], &[0.0]);
                let most = self.floats(format!("{name}.max"), &[], &[6.0]);
                self.node("Clip", name, &[x, &least, &most], &[])
            }
            "Silu" => {
                let sigmoid = self.node("Sigmoid", &format!("{name}.sigmoid"), &[x], &[]);
                self.node("Mul", name, &[x, &sigmoid], &[])
            }
            _ => self.node(kind, name, &[x], &[]),
        })
    }

    fn affine(&mut self, layer: &Layer<'_>, x: Value, names: &mut Names) -> Result<Value, Error> {
        let settings::Affine {
            inputs,
            outputs,
            bias,
        } = layer.settings()?;
        if x.form.size() != inputs {
            return Err(layer.refused("it does not fit its input"));
        }
        let (x, path) = (self.flattened(x, names), layer.path);
        let mut w = self.array(&format!("{path}.weight"), inputs.saturating_mul(outputs))?; // (inputs, outputs)
        if let Form::Flattened(image) = x.form {
            w = rows(&w, outputs, &first_from_last(image));
        }
        let name = names.next();
        let w = transposed(&w, inputs, outputs);
        let w = self.floats(format!("{name}.weight"), &[outputs, inputs], &w);
        let b = self.bias(bias.then_some(outputs), path, &name)?;
        let inputs: Vec<&str> = [&*x.name, &w].into_iter().chain(b.as_deref()).collect();
        Ok(Value {
            name: self.node("Gemm", &name, &inputs, &[Setting::Int("transB", 1)]),
            form: Form::Rows(outputs),
        })
    }

    /// The bias of this length, if there is one.
    pub(super) fn bias(
        &mut self,
        len: Option<usize>,
        path: &str,
        name: &str,
    ) -> Result<Option<String>, Error> {
        let Some(len) = len else {
            return Ok(None);
        };
        let b = self.array(&format!("{path}.bias"), len)?;
        Ok(Some(self.floats(format!("{name}.bias"), &[len], &b)))
    }

    /// Writes a layer with a value for each of `channels` channels: the values of a row, or those of a pixel. The input
    /// of `write` is a batch of such rows or images, and the output is converted back.
    fn over_channels(
        &mut self,
        layer: &Layer<'_>,
        channels: usize,
        x: Value,
        names: &mut Names,
        write: impl FnOnce(&mut Self, &Layer<'_>, Value, &str) -> Result<Value, Error>,
    ) -> Result<Value, Error> {
        let (form, size) = (x.form, x.form.size());
        let as_channels = match form {
            Form::Image((_, _, c)) if c == channels => form,
            _ if size == channels => Form::Rows(size),
            _ if channels > 0 && size.is_multiple_of(channels) => {
                Form::Image((size / channels, 1, channels))
            }
            _ => return Err(layer.refused("it does not fit its input")),
        };
        let x = self.converted(x, as_channels, names);
        let y = write(self, layer, x, &names.next())?;
        let back = match form {
            Form::Flattened(_) => Form::Rows(size),
            form => form,
        };
        Ok(self.converted(y, back, names))
    }

    fn over_classes(&mut self, layer: &Layer<'_>, x: Value, name: &str) -> Result<Value, Error> {
        let name = self.node(
            &layer.spec.layer,
            name,
            &[&x.name],
            &[Setting::Int("axis", 1)],
        );
        Ok(Value { name, ..x })
    }

    fn prelu(&mut self, layer: &Layer<'_>, x: Value, name: &str) -> Result<Value, Error> {
        let channels = layer.settings::<settings::PRelu>()?.channels;
        let slopes = self.array(&format!("{}.weight", layer.path), channels)?;
        let dims: &[usize] = match x.form {
            Form::Image(_) => &[channels, 1, 1],
            _ => &[channels],
        };
        let slopes = self.floats(format!("{name}.weight"), dims, &slopes);
        let name = self.node("PRelu", name, &[&x.name, &slopes], &[]);
        Ok(Value { name, ..x })
    }

    /// The input of a layer of images of this size.
    pub(super) fn image_of(&mut self, x: Value, image: Image, names: &mut Names) -> Value {
        self.converted(x, Form::Image(image), names)
    }
}
