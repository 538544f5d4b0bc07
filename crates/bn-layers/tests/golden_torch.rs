//! Every case of `golden/torch.json`, PyTorch's own layers in f32, to 1e-6 relative to
//! `max(1, |want|)`: eight units in the last place of an f32 of 1.

use crate::common::{
    Compare,
    golden::{BatchNormCase, Golden},
};
use bn_layers::{
    Affine, BatchNormConfig, LayerExt, Layout, LeakyRelu, Mode, Relu, RunningAverage, Sigmoid, Tanh,
};

const TOLERANCE: f64 = 1e-6;

/// The preset, changed only where the case differs from it.
fn config(case: &BatchNormCase) -> BatchNormConfig {
    let mut config = BatchNormConfig::pytorch();
    assert_eq!(config.eps, case.config.eps);
    match case.config.momentum {
        Some(momentum) => assert_eq!(config.running, RunningAverage::Add(momentum)),
        None => config.running = RunningAverage::Cumulative,
    }
    config.affine = case.config.affine.unwrap();
    config.track_running_stats = case.config.track_running_stats.unwrap();
    config
}

#[test]
fn batch_normalization() {
    let golden = Golden::read("torch.json");
    let mut compare = Compare::to(TOLERANCE);
    assert_eq!(golden.batch_norm.len(), 8);
    for case in &golden.batch_norm {
        case.check_layer::<f32>(config(case), case.config.layout(), &mut compare);
        case.check_functional::<f32>(config(case), case.config.layout(), &mut compare);
    }
}

#[test]
fn images_moved_to_channels_last() {
    let golden = Golden::read("torch.json");
    let mut compare = Compare::to(TOLERANCE);
    let images = golden
        .batch_norm
        .iter()
        .filter(|c| c.name.contains("image"));
    assert_eq!(images.clone().count(), 4);
    for case in images {
        let moved = case.to_channels_last();
        assert_ne!(moved.evaluation.x.data, case.evaluation.x.data);
        moved.check_layer::<f32>(config(case), Layout::ChannelsLast, &mut compare);
        moved.check_functional::<f32>(config(case), Layout::ChannelsLast, &mut compare);
    }
}

/// PyTorch stores the weight as `(out, in)`.
#[test]
fn linear() {
    let golden = Golden::read("torch.json");
    let mut compare = Compare::to(TOLERANCE);
    let [case] = &golden.affine[..] else {
        panic!("one linear case");
    };
    assert_eq!(case.weight_layout, "(out, in)");
    let weight = case.weight.transposed().rows::<f32>();
    let mut affine = Affine::new(weight, case.bias.vector()).unwrap();
    let (x, dout) = (case.x.rows::<f32>(), case.dout.rows::<f32>());
    let y = LayerExt::forward(&mut affine, x.view(), Mode::Train).unwrap();
    let dx = LayerExt::backward(&mut affine, x.view(), y.view(), dout.view()).unwrap();
    compare.same("y", &y, &case.y.data);
    compare.same("dx", &dx, &case.dx.data);
    compare.same("dw", affine.dw(), &case.dweight.transposed().data);
    compare.same("db", affine.db(), &case.dbias.data);
}

#[test]
fn activations() {
    let golden = Golden::read("torch.json");
    let mut compare = Compare::to(TOLERANCE);
    assert_eq!(golden.activation.len(), 5);
    for case in &golden.activation {
        match (&*case.name, case.slope) {
            ("relu", None) => case.check::<f32>(&mut Relu, &mut compare),
            ("tanh", None) => case.check::<f32>(&mut Tanh, &mut compare),
            ("sigmoid", None) => case.check::<f32>(&mut Sigmoid, &mut compare),
            (_, Some(slope)) => {
                let mut leaky = LeakyRelu::new(slope).unwrap();
                case.check::<f32>(&mut leaky, &mut compare);
            }
            (other, None) => panic!("activation {other}?"),
        }
    }
}
