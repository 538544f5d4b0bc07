//! Every case of `golden/layers.json`, PyTorch's and Keras' own layers, relative to `max(1, |want|)`: to
//! 1e-6 in f32 and to 1e-12 in f64.

use crate::common::{Compare, evaluated, golden::Arr};
use bn_layers::{
    Elu, ExampleNorm, Gelu, GroupNorm, InstanceNorm, Layer, LayerExt, LayerNorm, LogSoftmax, Mode,
    PRelu, Relu6, Silu, Softmax,
};
use bn_tensor::Scalar;
use ndarray::Array2;
use serde::Deserialize;
use serde_json::Value;
use std::fs;

#[derive(Deserialize)]
struct Case {
    framework: String,
    layer: String,
    options: Value,
    dtype: String,
    x: Arr,
    dout: Arr,
    y: Arr,
    dx: Arr,
    params: Vec<Parameter>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    value: Arr,
    grad: Arr,
}

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

impl Case {
    fn size(&self, option: &str) -> usize {
        self.options[option].as_u64().unwrap() as usize
    }

    fn param<T: Scalar>(&self, name: &str) -> Option<ndarray::Array1<T>> {
        let param = self.params.iter().find(|param| param.name == name)?;
        Some(param.value.vector())
    }

    /// The settings that the normalisations share.
    fn norm<T: Scalar, K>(&self, norm: ExampleNorm<T, K>) -> Box<dyn Layer<T>>
    where
        ExampleNorm<T, K>: Layer<T>,
        K: bn_layers::NormKind,
    {
        let norm = norm
            .with_eps(self.options["eps"].as_f64().unwrap())
            .unwrap();
        Box::new(match (self.param("gamma"), self.param("beta")) {
            (Some(gamma), Some(beta)) => norm.with_gamma_beta(gamma, beta).unwrap(),
            _ => norm.without_affine(),
        })
    }

    fn layer<T: Scalar>(&self) -> Box<dyn Layer<T>> {
        match &*self.layer {
            "Gelu" if self.options["approximate"] == true => Box::new(Gelu::tanh()),
            "Gelu" => Box::new(Gelu::new()),
            "Silu" => Box::new(Silu),
            "Elu" => Box::new(Elu::new(self.options["alpha"].as_f64().unwrap()).unwrap()),
            "Relu6" => Box::new(Relu6),
            "PRelu" => {
                let prelu = PRelu::new(self.size("channels"), 0.0).unwrap();
                Box::new(prelu.with_slopes(self.param("weight").unwrap()).unwrap())
            }
            "Softmax" => Box::new(Softmax::new(self.size("classes")).unwrap()),
            "LogSoftmax" => Box::new(LogSoftmax::new(self.size("classes")).unwrap()),
            "LayerNorm" => self.norm(LayerNorm::new(self.size("size")).unwrap()),
            "GroupNorm" => {
                self.norm(GroupNorm::new(self.size("groups"), self.size("channels")).unwrap())
            }
            "InstanceNorm" => self.norm(InstanceNorm::new(self.size("channels")).unwrap()),
            other => panic!("layer {other}?"),
        }
    }

    /// Images as rows, channels last.
    fn rows<T: Scalar>(&self, array: &Arr) -> Array2<T> {
        match (&*self.framework, array.shape.len()) {
            ("torch", 4) => array.to_channels_last().rows(),
            _ => array.rows(),
        }
    }

    fn check<T: Scalar>(&self, compare: &mut Compare) {
        let name = format!(
            "{} {} {} {}",
            self.framework, self.layer, self.options, self.dtype
        );
        let mut layer = self.layer::<T>();
        let [x, dout, want_y, want_dx] =
            [&self.x, &self.dout, &self.y, &self.dx].map(|array| self.rows::<T>(array));
        let values = |array: &Array2<T>| -> Vec<f64> { array.iter().map(|v| v.as_f64()).collect() };
        let (want_y, want_dx) = (values(&want_y), values(&want_dx));
        for mode in [Mode::Train, Mode::BatchStats, Mode::Eval] {
            let y = layer.forward(x.view(), mode).unwrap();
            let dx = layer.backward(x.view(), y.view(), dout.view()).unwrap();
            compare.same(&format!("{name} {mode:?} y"), &y, &want_y);
            compare.same(&format!("{name} {mode:?} dx"), &dx, &want_dx);
        }
        let mut seen = 0;
        layer.visit(&mut |param| {
            let want = self.params.iter().find(|p| p.name == param.name).unwrap();
            let grad = ndarray::ArrayView1::from(param.grad).to_owned();
            compare.same(&format!("{name} {}", param.name), &grad, &want.grad.data);
            seen += 1;
        });
        assert_eq!(seen, self.params.len(), "{name}");
        let y = evaluated(&*layer, x.view(), x.ncols());
        compare.same(&format!("{name} eval_into"), &y, &want_y);
    }
}

#[test]
fn activations_and_normalisations() {
    let path = format!("{}/tests/golden/layers.json", env!("CARGO_MANIFEST_DIR"));
    let file: File = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(file.cases.len(), 30 + 27);
    let (mut in_f32, mut in_f64) = (Compare::to(1e-6), Compare::to(1e-12));
    for case in &file.cases {
        match &*case.dtype {
            "float32" => case.check::<f32>(&mut in_f32),
            "float64" => case.check::<f64>(&mut in_f64),
            other => panic!("{other}?"),
        }
    }
}
