use super::{
    form::{Form, Names, Value},
    graph::{Graph, Setting},
};
use crate::error::Error;
use bn_layers::{LayerSpec, Shape};
use bn_net::{NamedSpec, NetworkSpec, ResidualSpec};
use serde::de::DeserializeOwned;

/// A layer of a chain: its description, and where its arrays are in the network.
pub(super) struct Layer<'a> {
    pub(super) spec: &'a LayerSpec,
    pub(super) path: &'a str, // `layers.0`
}

impl Layer<'_> {
    pub(super) fn settings<S: DeserializeOwned>(&self) -> Result<S, Error> {
        self.fits(self.spec.settings())
    }

    /// The form of the output for rows of `size` values.
    pub(super) fn output(&self, size: usize) -> Result<Form, Error> {
        let layer = self.spec.build::<f32>();
        let shape = layer.and_then(|layer| layer.output_shape(Shape::Flat(size)));
        self.fits(shape).map(Form::of)
    }

    /// A result of the layer's settings.
    pub(super) fn fits<V>(&self, result: Result<V, bn_layers::Error>) -> Result<V, Error> {
        result.map_err(|error| self.refused(&error.to_string()))
    }

    pub(super) fn refused(&self, reason: &str) -> Error {
        Error::NoOperator {
            layer: self.path.to_owned(),
            kind: self.spec.layer.clone(),
            reason: reason.to_owned(),
        }
    }
}

impl Graph {
    /// Writes the whole network. Returns the shape of its output.
    pub(super) fn network(&mut self, spec: &NetworkSpec) -> Result<Shape, Error> {
        let input = Value {
            name: "input".to_owned(),
            form: Form::of(spec.input),
        };
        let mut names = Names::new("layers".to_owned());
        let output = self.chain(spec, "layers", input, &mut names)?;
        self.name_output(&output.name);
        Ok(match output.form {
            Form::Image(image) => image.into(),
            Form::Rows(_) | Form::Flattened(_) => output.form.size().into(),
        })
    }

    /// Writes the layers of a network whose arrays have names such as `layers.0.weight`, where `path` is `layers`.
    fn chain(
        &mut self,
        spec: &NetworkSpec,
        path: &str,
        x: Value,
        names: &mut Names,
    ) -> Result<Value, Error> {
        let mut x = self.converted(x, Form::of(spec.input), names);
        for (i, named) in spec.layers.iter().enumerate() {
            let path = format!("{path}.{i}");
            let layer = Layer {
                spec: &named.spec,
                path: &path,
            };
            x = match named.spec.layer.as_str() {
                "Network" => self.chain(&layer.settings()?, &format!("{path}.layers"), x, names)?,
                "Residual" => self.residual(layer.settings()?, &path, x, names)?,
                "Concat" => self.concat(&layer.settings::<Vec<_>>()?, &path, x, names)?,
                "Reshape" => {
                    let to = Form::of(layer.settings()?);
                    self.reshaped(x, to, &spec.layers[i + 1..], names)
                }
                _ => self.layer(&layer, x, names)?,
            };
        }
        // What follows a network needs not be an Affine.
        match x.form {
            Form::Flattened(_) => Err(Error::Invalid {
                reason: format!("{path} ends with a flattened image in an unknown order"),
            }),
            _ => Ok(x),
        }
    }

    /// Rows of another shape. A flattened image keeps the model's order if an Affine follows, whose weights are then
    /// reordered.
    fn reshaped(&mut self, x: Value, to: Form, rest: &[NamedSpec], names: &mut Names) -> Value {
        let mut rest = rest.iter().map(|named| &named.spec);
        let next = rest.find(|spec| !spec.is_element_wise());
        match (x.form, to) {
            (Form::Image(_), Form::Rows(_)) if next.is_some_and(|spec| spec.layer == "Affine") => {
                self.flattened(x, names)
            }
            _ => self.converted(x, to, names),
        }
    }

    fn residual(
        &mut self,
        ResidualSpec { body, shortcut }: ResidualSpec,
        path: &str,
        x: Value,
        names: &mut Names,
    ) -> Result<Value, Error> {
        let x = self.converted(x, Form::of(body.input), names);
        let name = names.next();
        let of_body = self.branch(&body, path, &name, "body", x.clone())?;
        let of_shortcut = match &shortcut {
            Some(spec) => self.branch(spec, path, &name, "shortcut", x)?,
            None => x,
        };
        Ok(Value {
            name: self.node("Add", &name, &[&of_body.name, &of_shortcut.name], &[]),
            form: of_body.form,
        })
    }

    fn concat(
        &mut self,
        branches: &[NetworkSpec],
        path: &str,
        x: Value,
        names: &mut Names,
    ) -> Result<Value, Error> {
        let x = match branches.first() {
            Some(first) => self.converted(x, Form::of(first.input), names),
            None => x,
        };
        let name = names.next();
        let mut outputs = Vec::with_capacity(branches.len());
        for (i, spec) in branches.iter().enumerate() {
            outputs.push(self.branch(spec, path, &name, &format!("branches.{i}"), x.clone())?);
        }
        let form = outputs
            .iter()
            .map(|output| output.form)
            .reduce(|a, b| match (a, b) {
                (Form::Image((h, w, c)), Form::Image((_, _, more))) => {
                    Form::Image((h, w, c + more))
                }
                _ => Form::Rows(a.size() + b.size()),
            });
        let inputs: Vec<&str> = outputs.iter().map(|output| &*output.name).collect();
        Ok(Value {
            name: self.node("Concat", &name, &inputs, &[Setting::Int("axis", 1)]),
            form: form.unwrap_or(x.form),
        })
    }

    fn branch(
        &mut self,
        spec: &NetworkSpec,
        path: &str,
        name: &str,
        branch: &str,
        x: Value,
    ) -> Result<Value, Error> {
        let mut names = Names::new(format!("{name}.{branch}.layers"));
        self.chain(spec, &format!("{path}.{branch}.layers"), x, &mut names)
    }
}
