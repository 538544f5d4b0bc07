//! Every case of `golden/convolution.json`, PyTorch's and Keras' own layers in f32, to 1e-5 relative to
//! `max(1, |want|)`.

use crate::common::{Compare, evaluated, golden::Arr};
use bn_layers::{
    AvgPool2d, Conv2d, ConvTranspose2d, Layer, LayerExt, MaxPool2d, Mode, Padding, Upsample2d,
    images_to_channels_first, images_to_channels_last, kernel_from_pytorch, kernel_to_pytorch,
    transposed_kernel_from_pytorch, transposed_kernel_to_pytorch,
};
use bn_tensor::Scalar;
use ndarray::{Array1, Array2, Array4, Ix4};
use serde::Deserialize;
use serde_json::Value;
use std::{fs, path::Path};

#[derive(Deserialize)]
struct Case {
    framework: String,
    layer: String,
    options: Value,
    x: Arr,
    dout: Arr,
    y: Arr,
    dx: Arr,
    w: Option<Arr>,
    b: Option<Arr>,
    dw: Option<Arr>,
    db: Option<Arr>,
}

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

fn four<T: Scalar>(array: &Arr) -> Array4<T> {
    array.full().into_dimensionality::<Ix4>().unwrap()
}

impl Case {
    fn is_torch(&self) -> bool {
        self.framework == "torch"
    }

    /// An option that is one number for rows and columns, or two numbers.
    fn pair(&self, name: &str) -> Option<(usize, usize)> {
        let number = |v: &Value| v.as_u64().map(|v| v as usize);
        let value = self.options.get(name)?;
        match value.as_array() {
            Some(two) => Some((number(&two[0])?, number(&two[1])?)),
            None => number(value).map(|n| (n, n)),
        }
    }

    /// Images as rows, channels last.
    fn rows<T: Scalar>(&self, array: &Arr) -> Array2<T> {
        if self.is_torch() && array.shape.len() == 4 {
            array.to_channels_last().rows()
        } else {
            array.rows()
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

    fn w<T: Scalar>(&self) -> Array4<T> {
        let w: Array4<T> = four(self.w.as_ref().unwrap());
        match (&self.framework[..], &self.layer[..]) {
            ("torch", "Conv2d") => kernel_from_pytorch(w.view()),
            ("torch", _) => transposed_kernel_from_pytorch(w.view()),
            _ => w,
        }
    }

    fn padding(&self) -> Padding {
        if !self.is_torch() {
            return Padding::Same;
        }
        let (rows, columns) = self.pair("padding").unwrap();
        Padding::Explicit {
            top: rows,
            bottom: rows,
            left: columns,
            right: columns,
        }
    }

    /// Checks the layer of this case, and its gradients `(dw, db)` in the framework's order of axes.
    fn check<T: Scalar>(&self, compare: &mut Compare) {
        let b: Option<Array1<T>> = self.b.as_ref().map(Arr::vector);
        let stride = || self.pair("stride").or(self.pair("strides")).unwrap();
        let kernel = || self.pair("kernel_size").or(self.pair("pool_size")).unwrap();
        let (image, padding) = (self.image(), || self.padding());
        match &self.layer[..] {
            "Conv2d" | "Conv2D" => {
                let mut conv = Conv2d::new(image, self.w(), b, stride(), padding()).unwrap();
                self.check_layer(&mut conv, compare);
                let dw = match self.is_torch() {
                    true => kernel_to_pytorch(conv.dw().view()),
                    false => conv.dw(),
                };
                self.check_gradients(&dw, &conv.db().to_owned(), compare);
            }
            "ConvTranspose2d" | "Conv2DTranspose" => {
                let extra = self.pair("output_padding").unwrap_or((0, 0));
                let conv = ConvTranspose2d::new(image, self.w(), b, stride(), padding(), extra);
                let mut conv = conv.unwrap();
                self.check_layer(&mut conv, compare);
                let dw = match self.is_torch() {
                    true => transposed_kernel_to_pytorch(conv.dw().view()),
                    false => conv.dw(),
                };
                self.check_gradients(&dw, &conv.db().to_owned(), compare);
            }
            "MaxPool2d" | "MaxPooling2D" => {
                let mut pool = MaxPool2d::new(image, kernel(), stride(), padding()).unwrap();
                self.check_layer::<T>(&mut pool, compare);
            }
            "AvgPool2d" | "AveragePooling2D" => {
                let mut pool = AvgPool2d::new(image, kernel(), stride(), padding()).unwrap();
                if self.options.get("count_include_pad") == Some(&Value::Bool(true)) {
                    pool = pool.counting_padding();
                }
                self.check_layer::<T>(&mut pool, compare);
            }
            "AdaptiveAvgPool2d" => {
                self.check_layer::<T>(&mut AvgPool2d::global(image).unwrap(), compare);
            }
            "Upsample" => {
                let (factor, _) = self.pair("scale_factor").unwrap();
                self.check_layer::<T>(&mut Upsample2d::new(image, factor).unwrap(), compare);
            }
            other => panic!("no layer is called {other}"),
        }
    }

    fn check_layer<T: Scalar>(&self, layer: &mut dyn Layer<T>, compare: &mut Compare) {
        let name = format!("{} {}", self.layer, self.options);
        let (x, dout) = (self.rows::<T>(&self.x), self.rows::<T>(&self.dout));
        let y = layer.forward(x.view(), Mode::Train).unwrap();
        compare.same(&format!("{name} y"), &y, &self.rows(&self.y));
        let again = evaluated(&*layer, x.view(), y.ncols());
        assert_eq!(again, y);
        let dx = layer.backward(x.view(), y.view(), dout.view()).unwrap();
        compare.same(&format!("{name} dx"), &dx, &self.rows(&self.dx));
    }

    fn check_gradients<T: Scalar>(&self, dw: &Array4<T>, db: &Array1<T>, compare: &mut Compare) {
        compare.same("dw", dw, &self.dw.as_ref().unwrap().data);
        compare.same("db", db, self.db.as_ref().map_or(&[][..], |db| &db.data));
    }
}

#[test]
fn every_case() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/convolution.json");
    let file: File = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(file.cases.len(), 38);
    let mut compare = Compare::to(1e-5);
    for case in &file.cases {
        case.check::<f32>(&mut compare);
        case.check::<f64>(&mut compare);
    }
}

#[test]
fn channels_first_and_back() {
    let images = Array4::from_shape_fn((2, 3, 4, 5), |(n, c, h, w)| {
        (((n * 3 + c) * 4 + h) * 5 + w) as f32
    });
    let last = images_to_channels_last(images.view());
    assert_eq!(last[[1, 2, 3, 0]], images[[1, 0, 2, 3]]);
    assert_eq!(images_to_channels_first(last.view()), images);
}
