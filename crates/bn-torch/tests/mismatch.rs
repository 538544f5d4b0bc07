//! Everything that does not fit is listed at once, and nothing is changed.

use bn_layers::{Layer, LayerSpec, Pass, Shape};
use bn_net::Network;
use bn_torch::{Error, Fault, from_bytes, from_bytes_renamed, to_bytes};
use safetensors::{Dtype, tensor::TensorView};

fn network() -> Network {
    let b = Network::builder(3).affine(2).batch_norm().relu().affine(2);
    b.build(1).unwrap()
}

fn faults(result: Result<(), Error>) -> Vec<String> {
    match result.unwrap_err() {
        Error::Mismatch { faults } => faults.iter().map(Fault::to_string).collect(),
        other => panic!("{other}"),
    }
}

#[test]
fn all_faults_are_listed_and_nothing_changes() {
    let (mut network, bytes) = (network(), to_bytes(&network()).unwrap());
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let view =
        |dtype, shape: &[usize], bytes| TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
    let (zeros, minus_one) = ([0u8; 64], (-1i64).to_le_bytes());
    let mut tensors: Vec<(String, TensorView<'_>)> = file
        .iter()
        .map(|(name, view)| (name.to_owned(), view))
        .collect();
    for (name, replacement) in [
        ("0.bias", None),
        ("0.weight", Some(view(Dtype::F32, &[3, 2], &zeros[..24]))),
        ("1.bias", None),
        (
            "1.num_batches_tracked",
            Some(view(Dtype::I64, &[], &minus_one)),
        ),
        ("1.weight", Some(view(Dtype::I32, &[2], &zeros[..8]))),
    ] {
        tensors.retain(|(there, _)| there != name);
        tensors.extend(replacement.map(|view| (name.to_owned(), view)));
    }
    tensors.push(("4.weight".to_owned(), view(Dtype::F32, &[4], &zeros[..16])));
    tensors.push(("head".to_owned(), view(Dtype::F32, &[], &zeros[..4])));
    let broken = safetensors::serialize(tensors, None).unwrap();

    let mut got = faults(from_bytes(&broken, &mut network));
    got.sort();
    assert_eq!(
        got,
        [
            "0.bias [2] is missing",
            "0.weight is [3, 2], not [2, 3]",
            "1.bias [2] is missing",
            "1.num_batches_tracked must be an I64 of 0 or more",
            "1.weight has values of I32; they must be F16, BF16, F32 or F64",
            "4.weight [4] is unexpected",
            "head [] is unexpected",
        ]
    );
    assert_eq!(to_bytes(&network).unwrap(), bytes);
}

#[test]
fn a_name_that_is_there_twice_is_refused() {
    let (mut network, bytes) = (network(), to_bytes(&network()).unwrap());
    let rename = |name: &str| name.replace("3.", "0.");
    let got = faults(from_bytes_renamed(&bytes, &mut network, rename));
    for expected in [
        "0.bias is there twice after renaming",
        "3.weight [2, 2] is missing",
    ] {
        assert!(got.iter().any(|fault| fault == expected), "{got:?}");
    }
    assert_eq!(to_bytes(&network).unwrap(), bytes);
}

#[test]
fn a_count_of_another_shape_is_refused() {
    let (mut network, bytes) = (network(), to_bytes(&network()).unwrap());
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let one = [0u8; 8];
    let tensors = file
        .iter()
        .map(|(name, view)| match name.contains("tracked") {
            true => (name, TensorView::new(Dtype::I64, vec![1], &one).unwrap()),
            false => (name, view),
        });
    let bytes = safetensors::serialize(tensors, None).unwrap();
    let got = faults(from_bytes(&bytes, &mut network));
    assert_eq!(got, ["1.num_batches_tracked is [1], not []"]);
}

/// A layer from outside.
#[derive(Debug, Clone)]
struct Outside(LayerSpec);

impl Layer<f32> for Outside {
    fn output_shape(&self, input: Shape) -> Result<Shape, bn_layers::Error> {
        Ok(input)
    }

    fn forward_into(
        &mut self,
        x: ndarray::ArrayView2<'_, f32>,
        mut y: ndarray::ArrayViewMut2<'_, f32>,
        _: &Pass<'_>,
    ) -> Result<(), bn_layers::Error> {
        y.assign(&x);
        Ok(())
    }

    fn backward_into(
        &mut self,
        _: bn_layers::Io<'_, f32>,
        _: bn_layers::Wanted<'_, f32>,
        _: &Pass<'_>,
    ) -> Result<(), bn_layers::Error> {
        Ok(())
    }

    fn eval_into(
        &self,
        x: ndarray::ArrayView2<'_, f32>,
        mut y: ndarray::ArrayViewMut2<'_, f32>,
        _: &mut Vec<f32>,
    ) -> Result<(), bn_layers::Error> {
        y.assign(&x);
        Ok(())
    }

    fn describe(&self) -> Option<LayerSpec> {
        Some(self.0.clone())
    }
}

fn outside(spec: LayerSpec) -> String {
    let b = Network::builder(4).layer("outside", Outside(spec));
    to_bytes(&b.build(1).unwrap()).unwrap_err().to_string()
}

#[test]
fn a_layer_from_outside_is_refused() {
    let error = outside(LayerSpec::new("Swish", ()));
    let begin = "layers.0 (Swish) has no counterpart in PyTorch: known are Affine, ";
    assert!(error.starts_with(begin), "{error}");

    let prelu = bn_layers::settings::PRelu { channels: 1 };
    let error = outside(LayerSpec::new("PRelu", prelu));
    assert!(
        error.contains("array layers.0.weight of the network"),
        "{error}"
    );
}
