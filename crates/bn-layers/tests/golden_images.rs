//! Every case of `golden/images.json`, PyTorch's and Keras' own layers of images, relative to the largest
//! value of an array: to 1e-6 in f32 and to 1e-12 in f64.

use crate::common::{Compare, evaluated, golden::Arr};
use bn_layers::{
    AvgPool2d, Conv2d, Conv2dConfig, ConvTranspose2d, Interpolation, Layer, LayerExt, MaxPool2d,
    Mode, Padding, Pool2dConfig, ReflectPad2d, Resize2d, ZeroPad2d, kernel_from_pytorch,
    transposed_kernel_from_pytorch,
};
use bn_tensor::Scalar;
use ndarray::{Array2, Array4, Ix4};
use serde::{Deserialize, de::DeserializeOwned};
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
    fn is_torch(&self) -> bool {
        self.framework == "torch"
    }

    fn option<V: DeserializeOwned>(&self, name: &str) -> V {
        let value = self.options.get(name);
        let value = value.unwrap_or_else(|| panic!("{} has no {name}", self.options));
        serde_json::from_value(value.clone()).unwrap()
    }

    fn padding(&self) -> Padding {
        if self.options["padding"] == "same" {
            return Padding::Same;
        }
        let [top, bottom, left, right] = self.option("padding");
        Padding::Explicit {
            top,
            bottom,
            left,
            right,
        }
    }

    fn image(&self) -> (usize, usize, usize) {
        let [_, a, b, c] = self.x.shape[..] else {
            panic!("a batch of images")
        };
        if self.is_torch() {
            (b, c, a)
        } else {
            (a, b, c)
        }
    }

    fn convolution(&self) -> Conv2dConfig {
        Conv2dConfig {
            kernel: self.option("kernel"),
            stride: self.option("stride"),
            padding: self.padding(),
            dilation: self.option("dilation"),
            groups: self.option("groups"),
            ..Conv2dConfig::new(self.option("filters"), 1)
        }
    }

    fn pool(&self) -> Pool2dConfig {
        Pool2dConfig {
            kernel: self.option("kernel"),
            stride: self.option("stride"),
            padding: self.padding(),
            dilation: self.option("dilation"),
            ceil_mode: self.option("ceil_mode"),
            ..Pool2dConfig::new(1)
        }
    }

    /// The weights, or their gradient, in our layout.
    fn kernel<T: Scalar>(&self, of: &Arr) -> Array4<T> {
        let w: Array4<T> = of.full().into_dimensionality::<Ix4>().unwrap();
        match (self.is_torch(), &*self.layer) {
            (true, "Conv2d") => kernel_from_pytorch(w.view()),
            (true, _) => transposed_kernel_from_pytorch(w.view()),
            (false, _) => w,
        }
    }

    fn param(&self, name: &str) -> Option<&Parameter> {
        self.params.iter().find(|param| param.name == name)
    }

    fn layer<T: Scalar>(&self) -> Box<dyn Layer<T>> {
        let image = self.image();
        let w = || self.kernel(&self.param("weight").unwrap().value);
        let b = self.param("bias").map(|b| b.value.vector());
        match &*self.layer {
            "Conv2d" => Box::new(Conv2d::from_weights(image, self.convolution(), w(), b).unwrap()),
            "ConvTranspose2d" => {
                let config = Conv2dConfig {
                    output_padding: self.option("output_padding"),
                    ..self.convolution()
                };
                Box::new(ConvTranspose2d::from_weights(image, config, w(), b).unwrap())
            }
            "MaxPool2d" => Box::new(MaxPool2d::with_config(image, self.pool()).unwrap()),
            "AvgPool2d" => {
                let config = Pool2dConfig {
                    counts_padding: self.option("counts_padding"),
                    ..self.pool()
                };
                Box::new(AvgPool2d::with_config(image, config).unwrap())
            }
            "Resize2d" => {
                let interpolation: Interpolation = self.option("interpolation");
                Box::new(Resize2d::new(image, self.option("size"), interpolation).unwrap())
            }
            "ZeroPad2d" => {
                let (rows, columns) = (self.option("rows"), self.option("columns"));
                Box::new(ZeroPad2d::new(image, rows, columns).unwrap())
            }
            "ReflectPad2d" => {
                let (rows, columns) = (self.option("rows"), self.option("columns"));
                Box::new(ReflectPad2d::new(image, rows, columns).unwrap())
            }
            other => panic!("layer {other}?"),
        }
    }

    /// Images as rows, channels last.
    fn rows<T: Scalar>(&self, array: &Arr) -> Array2<T> {
        match self.is_torch() {
            true => array.to_channels_last().rows(),
            false => array.rows(),
        }
    }

    fn check<T: Scalar>(&self, compare: &mut Compare) {
        let name = format!(
            "{} {} {} {}",
            self.framework, self.layer, self.options, self.dtype
        );
        let mut layer = self.layer::<T>();
        let [x, dout] = [&self.x, &self.dout].map(|array| self.rows::<T>(array));
        let [want_y, want_dx] = [&self.y, &self.dx].map(|array| self.rows::<f64>(array));
        for mode in [Mode::Train, Mode::BatchStats, Mode::Eval] {
            let y = layer.forward(x.view(), mode).unwrap();
            let dx = layer.backward(x.view(), y.view(), dout.view()).unwrap();
            same(compare, &format!("{name} {mode:?} y"), &y, &want_y);
            same(compare, &format!("{name} {mode:?} dx"), &dx, &want_dx);
        }
        let mut seen = 0;
        layer.visit(&mut |param| {
            let want = &self.param(param.name).unwrap().grad;
            let want: Vec<f64> = match param.name {
                "weight" => self.kernel(want).into_iter().collect(),
                _ => want.data.clone(),
            };
            same(
                compare,
                &format!("{name} {}", param.name),
                param.grad,
                &want,
            );
            seen += 1;
        });
        assert_eq!(seen, self.params.len(), "{name}");
        let y = evaluated(&*layer, x.view(), want_y.ncols());
        same(compare, &format!("{name} eval_into"), &y, &want_y);
    }
}

/// Compares relative to the largest value.
fn same<'a, T: Scalar>(
    compare: &mut Compare,
    what: &str,
    got: impl IntoIterator<Item = &'a T>,
    want: impl IntoIterator<Item = &'a f64> + Clone,
) {
    let largest = want
        .clone()
        .into_iter()
        .fold(1.0f64, |most, v| most.max(v.abs()));
    let got: Vec<f64> = got.into_iter().map(|v| v.as_f64() / largest).collect();
    let want: Vec<f64> = want.into_iter().map(|v| v / largest).collect();
    compare.same(what, &got, &want);
}

#[test]
fn layers_of_images() {
    let path = format!("{}/tests/golden/images.json", env!("CARGO_MANIFEST_DIR"));
    let file: File = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(file.cases.len(), 2 * 65);
    let (mut in_f32, mut in_f64) = (Compare::to(1e-6), Compare::to(1e-12));
    for case in &file.cases {
        match &*case.dtype {
            "float32" => case.check::<f32>(&mut in_f32),
            "float64" => case.check::<f64>(&mut in_f64),
            other => panic!("{other}?"),
        }
    }
}
