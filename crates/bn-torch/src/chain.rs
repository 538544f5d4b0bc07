//! The modules of a network, one layer after the other.

use crate::{
    error::Error,
    form::{Form, Image, is_same_order},
    plan::{Plan, Tensor},
    python::{Class, sequential},
};
use bn_layers::{LayerSpec, settings};
use bn_net::{NamedSpec, NetworkSpec, ResidualSpec};
use serde::de::DeserializeOwned;

/// A layer of a chain: its description, and where its arrays are in the network.
pub(crate) struct Layer<'a> {
    pub(crate) spec: &'a LayerSpec,
    pub(crate) path: String,          // `layers.0`
    pub(crate) rest: &'a [NamedSpec], // the layers after it
}

impl Layer<'_> {
    pub(crate) fn settings<S: DeserializeOwned>(&self) -> Result<S, Error> {
        self.fits(self.spec.settings())
    }

    /// A result of the layer's settings.
    pub(crate) fn fits<V>(&self, result: Result<V, bn_layers::Error>) -> Result<V, Error> {
        result.map_err(|error| self.refused(&error.to_string()))
    }

    pub(crate) fn refused(&self, reason: &str) -> Error {
        Error::NoModule {
            layer: self.path.clone(),
            kind: self.spec.layer.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// An `nn.Sequential` to which modules are added.
pub(crate) struct Chain<'a> {
    plan: &'a mut Plan,
    prefix: String, // of the names in the state_dict: `3.body.`
    modules: Vec<String>,
    pub(crate) form: Form, // of what the last module returns
}

impl Chain<'_> {
    /// The modules of the whole network.
    pub(crate) fn whole(plan: &mut Plan, spec: &NetworkSpec) -> Result<Vec<String>, Error> {
        let mut chain = Chain {
            plan,
            prefix: String::new(),
            modules: Vec::new(),
            form: Form::of(spec.input),
        };
        chain.layers(spec, "layers")?;
        Ok(chain.modules)
    }

    /// Adds a module.
    pub(crate) fn push(&mut self, module: impl Into<String>) {
        self.modules.push(module.into());
    }

    /// Adds a module of a class that PyTorch lacks.
    pub(crate) fn push_class(&mut self, class: Class, arguments: &str) {
        self.plan.classes.insert(class);
        self.push(format!("{}({arguments})", class.name()));
    }

    /// Adds a comment to the source.
    pub(crate) fn note(&mut self, note: &'static str) {
        self.plan.notes.insert(note);
    }

    /// Says that the next module has the tensor `name` with the values of the layer's array `array`: `axes` are those
    /// of the array, and `order` is the order in which the tensor, which has this shape, has them.
    pub(crate) fn tensor(
        &mut self,
        layer: &Layer<'_>,
        [array, name]: [&str; 2],
        (axes, order): (Vec<usize>, Vec<usize>),
        shape: &[usize],
    ) {
        let tensor = Tensor {
            name: self.name(name),
            shape: shape.to_vec(),
            axes,
            order,
        };
        let array = format!("{}.{array}", layer.path);
        self.plan.tensors.insert(array, tensor);
    }

    /// As [`tensor`](Self::tensor), with a value for each channel of the current form.
    pub(crate) fn vector(&mut self, layer: &Layer<'_>, names: [&str; 2], channels: usize) {
        let axes = match self.form {
            Form::Flattened(_) => self.form.axes(),
            _ => Form::Rows(channels).axes(),
        };
        self.tensor(layer, names, axes, &[channels]);
    }

    /// Says that the next module has the scalar `name` with the layer's counter `counter`.
    pub(crate) fn counter(&mut self, layer: &Layer<'_>, [counter, name]: [&str; 2]) {
        let name = self.name(name);
        let counter = format!("{}.{counter}", layer.path);
        self.plan.counters.insert(counter, name);
    }

    /// The name of a tensor of the next module.
    fn name(&self, name: &str) -> String {
        format!("{}{}.{name}", self.prefix, self.modules.len())
    }

    /// Adds the layers of a network whose arrays have names such as `layers.0.weight`, where `path` is `layers`.
    fn layers(&mut self, spec: &NetworkSpec, path: &str) -> Result<(), Error> {
        self.convert(Form::of(spec.input));
        for (i, named) in spec.layers.iter().enumerate() {
            let layer = Layer {
                spec: &named.spec,
                path: format!("{path}.{i}"),
                rest: &spec.layers[i + 1..],
            };
            match named.spec.layer.as_str() {
                "Network" => {
                    let inner = self.branch(&layer.settings()?, &layer, "")?;
                    self.push(inner);
                }
                "Residual" => self.residual(&layer)?,
                "Concat" => self.concat(&layer)?,
                "Reshape" => self.reshape(&layer)?,
                _ => self.layer(&layer)?,
            }
        }
        if let Form::Flattened(_) = self.form {
            self.convert(Form::Rows(self.form.size()));
        }
        Ok(())
    }

    /// The source of a network inside the next module, whose arrays are under `part` there and here.
    fn branch(
        &mut self,
        spec: &NetworkSpec,
        layer: &Layer<'_>,
        part: &str,
    ) -> Result<String, Error> {
        let mut chain = Chain {
            prefix: self.name(part),
            plan: &mut *self.plan,
            modules: Vec::new(),
            form: self.form,
        };
        chain.layers(spec, &format!("{}.{part}layers", layer.path))?;
        let modules = chain.modules;
        self.form = chain.form;
        Ok(sequential(&modules))
    }

    fn residual(&mut self, layer: &Layer<'_>) -> Result<(), Error> {
        let ResidualSpec { body, shortcut } = layer.settings()?;
        self.convert(Form::of(body.input));
        let input = self.form;
        let mut branches = vec![self.branch(&body, layer, "body.")?];
        let output = std::mem::replace(&mut self.form, input);
        if let Some(shortcut) = &shortcut {
            branches.push(self.branch(shortcut, layer, "shortcut.")?);
        }
        self.form = output;
        self.push_class(Class::Residual, &arguments(&branches));
        Ok(())
    }

    fn concat(&mut self, layer: &Layer<'_>) -> Result<(), Error> {
        let specs: Vec<NetworkSpec> = layer.settings()?;
        if let Some(first) = specs.first() {
            self.convert(Form::of(first.input));
        }
        let (input, mut branches, mut outputs) = (self.form, Vec::new(), Vec::new());
        for (i, spec) in specs.iter().enumerate() {
            branches.push(self.branch(spec, layer, &format!("branches.{i}."))?);
            outputs.push(std::mem::replace(&mut self.form, input));
        }
        let output = outputs.into_iter().reduce(|a, b| match (a, b) {
            (Form::Image((h, w, c)), Form::Image((_, _, more))) => Form::Image((h, w, c + more)),
            _ => Form::Rows(a.size() + b.size()),
        });
        self.form = output.unwrap_or(input);
        self.push_class(Class::Concat, &arguments(&branches));
        Ok(())
    }

    /// Rows of another shape. A flattened image keeps PyTorch's order as far as an Affine, whose weights are reordered.
    fn reshape(&mut self, layer: &Layer<'_>) -> Result<(), Error> {
        let to = Form::of(layer.settings()?);
        let next = ordered(layer.rest, to.size());
        match (self.form, to) {
            (Form::Image(image), Form::Rows(_))
                if next.is_some_and(|spec| spec.layer == "Affine") =>
            {
                self.convert(Form::flattened(image));
            }
            _ => self.convert(to),
        }
        Ok(())
    }

    /// Adds the modules that give the same rows another form.
    pub(crate) fn convert(&mut self, to: Form) {
        let from = std::mem::replace(&mut self.form, to);
        match (from, to) {
            _ if from == to => {}
            (Form::Image(image), Form::Rows(_)) if !is_same_order(image) => {
                self.push_class(Class::FlattenChannelsLast, "");
            }
            (Form::Image(_), Form::Rows(_)) => self.push("nn.Flatten()"),
            (Form::Image(image), Form::Flattened(flat)) if image == flat => {
                self.push("nn.Flatten()")
            }
            (Form::Flattened(flat), Form::Image(image)) if image == flat => self.unflatten(image),
            (Form::Flattened(flat), _) => {
                self.unflatten(flat);
                self.form = Form::Image(flat);
                self.convert(to);
            }
            (Form::Rows(_), Form::Image(image)) if is_same_order(image) => self.unflatten(image),
            (Form::Rows(_), Form::Image((h, w, c)) | Form::Flattened((h, w, c))) => {
                self.push_class(Class::UnflattenChannelsLast, &format!("{h}, {w}, {c}"));
                self.form = Form::Image((h, w, c));
                self.convert(to);
            }
            (Form::Image(_), Form::Image(_) | Form::Flattened(_)) => {
                self.form = from;
                self.convert(Form::Rows(from.size()));
                self.convert(to);
            }
            (Form::Rows(_), Form::Rows(_)) => {}
        }
    }

    fn unflatten(&mut self, (height, width, channels): Image) {
        self.push(format!("nn.Unflatten(1, ({channels}, {height}, {width}))"));
    }
}

/// The image that the outputs of an Affine become, in another order than the network's.
pub(crate) fn image_after(rest: &[NamedSpec], outputs: usize) -> Option<Image> {
    let reshape = ordered(rest, outputs).filter(|spec| spec.layer == "Reshape")?;
    match Form::of(reshape.settings().ok()?) {
        Form::Image(image) if !is_same_order(image) => Some(image),
        _ => None,
    }
}

/// The first layer for which the order of `size` values matters, even if its arrays are reordered.
fn ordered(rest: &[NamedSpec], size: usize) -> Option<&LayerSpec> {
    let mut specs = rest.iter().map(|named| &named.spec);
    specs.find(|spec| {
        let channels = match spec.layer.as_str() {
            "BatchNormalization" => spec
                .settings()
                .map(|s: settings::BatchNormalization| s.channels),
            "LayerNorm" => spec.settings().map(|s: settings::ExampleNorm| s.channels),
            "PRelu" => spec.settings().map(|s: settings::PRelu| s.channels),
            _ => return !spec.is_element_wise(),
        };
        channels != Ok(size) && !(spec.layer == "PRelu" && channels == Ok(1))
    })
}

/// Arguments that are networks.
fn arguments(networks: &[String]) -> String {
    let lines = networks
        .iter()
        .map(|network| crate::python::indented(network));
    format!("\n{}", lines.collect::<String>())
}
