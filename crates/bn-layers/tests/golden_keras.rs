//! Every case of `golden/keras.json`, Keras' BatchNormalization in f32, to 1e-6 relative to
//! `max(1, |want|)`: eight units in the last place of an f32 of 1.

use crate::common::{
    Compare,
    golden::{BatchNormCase, Golden},
};
use bn_layers::{BatchNormConfig, Layout, RunningAverage};

const TOLERANCE: f64 = 1e-6;

/// The preset, with `affine` if Keras has both `scale` and `center`.
fn config(case: &BatchNormCase) -> BatchNormConfig {
    let kept = case.config.momentum_kept.unwrap();
    let config = BatchNormConfig {
        affine: case.config.scale == Some(true) && case.config.center == Some(true),
        ..BatchNormConfig::keras()
    };
    assert_eq!(config.eps, case.config.eps);
    assert_eq!(config.running, RunningAverage::Keep(kept));
    config
}

#[test]
fn dense_and_images() {
    let golden = Golden::read("keras.json");
    let mut compare = Compare::to(TOLERANCE);
    let mut layouts = Vec::new();
    for case in &golden.batch_norm {
        // The layer has gamma and beta, or neither.
        if case.config.scale == case.config.center {
            case.check_layer::<f32>(config(case), case.config.layout(), &mut compare);
            layouts.push((case.evaluation.x.shape.len(), case.config.layout()));
        }
    }
    for kind in [
        (2, Layout::ChannelsLast),
        (4, Layout::ChannelsLast),
        (4, Layout::ChannelsFirst),
    ] {
        assert!(layouts.contains(&kind), "{kind:?}");
    }
}

/// In the functional form, gamma and beta are separate options, like Keras' `scale` and `center`.
#[test]
fn with_and_without_scale_and_center() {
    let golden = Golden::read("keras.json");
    let mut compare = Compare::to(TOLERANCE);
    let mut seen = Vec::new();
    for case in &golden.batch_norm {
        case.check_functional::<f32>(config(case), case.config.layout(), &mut compare);
        assert_eq!(case.gamma.is_some(), case.config.scale.unwrap());
        assert_eq!(case.beta.is_some(), case.config.center.unwrap());
        seen.push((case.gamma.is_some(), case.beta.is_some()));
    }
    for switches in [(true, true), (true, false), (false, true), (false, false)] {
        assert!(seen.contains(&switches), "{switches:?}");
    }
}
