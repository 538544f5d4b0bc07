use super::{
    chain::Layer,
    form::{Form, Value},
    graph::{Graph, Setting},
};
use crate::{error::Error, settings};
use bn_layers::RunningAverage;

impl Graph {
    pub(super) fn batch_norm(
        &mut self,
        layer: &Layer<'_>,
        x: Value,
        name: &str,
    ) -> Result<Value, Error> {
        let settings::BatchNormalization {
            channels, config, ..
        } = layer.settings()?;
        if !config.track_running_stats {
            return Err(layer.refused(
                "it keeps no running statistics (track_running_stats), and ONNX evaluates with them only",
            ));
        }
        let [gamma, beta] = self.gamma_and_beta(layer, name, channels, config.affine)?;
        let [mean, var] = self.vectors(layer, name, channels, ["running_mean", "running_var"])?;
        let keep = match config.running {
            RunningAverage::Keep(m) | RunningAverage::KeepCorrected(m) => m,
            RunningAverage::Add(m) => 1.0 - m,
            RunningAverage::Cumulative => 0.9, // the default; an average over all batches has no momentum
        };
        let settings = [
            Setting::Float("epsilon", config.eps),
            Setting::Float("momentum", keep),
        ];
        let inputs = [&*x.name, &gamma, &beta, &mean, &var];
        let name = self.node("BatchNormalization", name, &inputs, &settings);
        Ok(Value { name, ..x })
    }

    /// Arrays of a layer, each `(C)`.
    fn vectors(
        &mut self,
        layer: &Layer<'_>,
        name: &str,
        channels: usize,
        vectors: [&str; 2],
    ) -> Result<[String; 2], Error> {
        let [a, b] = vectors.map(|vector| -> Result<String, Error> {
            let values = self.array(&format!("{}.{vector}", layer.path), channels)?;
            Ok(self.floats(format!("{name}.{vector}"), &[channels], &values))
        });
        Ok([a?, b?])
    }

    fn gamma_and_beta(
        &mut self,
        layer: &Layer<'_>,
        name: &str,
        channels: usize,
        affine: bool,
    ) -> Result<[String; 2], Error> {
        if affine {
            return self.vectors(layer, name, channels, ["gamma", "beta"]);
        }
        Ok([("gamma", 1.0), ("beta", 0.0)].map(|(vector, value)| {
            self.floats(
                format!("{name}.{vector}"),
                &[channels],
                &vec![value; channels],
            )
        }))
    }

    pub(super) fn example_norm(
        &mut self,
        layer: &Layer<'_>,
        x: Value,
        name: &str,
    ) -> Result<Value, Error> {
        let settings::ExampleNorm {
            channels,
            groups,
            eps,
            affine,
        } = layer.settings()?;
        let [gamma, beta] = self.gamma_and_beta(layer, name, channels, affine)?;
        let eps = Setting::Float("epsilon", eps);
        let name = match (layer.spec.layer.as_str(), x.form) {
            ("LayerNorm", Form::Image(_)) => {
                let last = self.channels_last(&x.name, name);
                let step = format!("{name}.layer_norm");
                let inputs = [&*last, &gamma, &beta];
                let y = self.node(
                    "LayerNormalization",
                    &step,
                    &inputs,
                    &[Setting::Axis("axis", -1), eps],
                );
                self.channels_first(&y, name)
            }
            ("LayerNorm", _) => {
                let inputs = [&*x.name, &gamma, &beta];
                self.node(
                    "LayerNormalization",
                    name,
                    &inputs,
                    &[Setting::Axis("axis", -1), eps],
                )
            }
            ("InstanceNorm", Form::Image(_)) => {
                let inputs = [&*x.name, &gamma, &beta];
                self.node("InstanceNormalization", name, &inputs, &[eps])
            }
            ("InstanceNorm", _) => {
                return Err(layer.refused("it normalises images, and the input has no pixels"));
            }
            _ => {
                self.needs_opset(21);
                let inputs = [&*x.name, &gamma, &beta];
                let groups = Setting::Int("num_groups", groups);
                self.node("GroupNormalization", name, &inputs, &[eps, groups])
            }
        };
        Ok(Value { name, ..x })
    }
}
