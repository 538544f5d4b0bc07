//! The book's training runs from one `np.random.seed`, against `scripts/book_bn_comparison.py`.

use crate::common::{number, parse};
use bn_data::RandomState;
use bn_net::{Error, MultiLayerNet, MultiLayerNetConfig, Sgd, WeightInitStd};
use ndarray::Axis;

/// Relative. Both compute in double precision; fifty steps multiply the differences in rounding.
const TOLERANCE: f64 = 1e-9;

#[test]
fn fifty_losses_are_those_of_the_books_program() {
    let file = parse(include_str!("golden/numpy_seed.json"));
    let seed = file["made_by"]["seed"].as_u64().unwrap();
    let mut random = RandomState::seed(seed.try_into().unwrap());
    let x = random.rand((200, 64)).unwrap();
    let t = random.randint(0, 10, 200).unwrap();
    let t: Vec<usize> = t.iter().map(|&label| label as usize).collect();

    let mut compared = Vec::new();
    for panel in file["panels"].as_array().unwrap() {
        let config = |use_batchnorm| MultiLayerNetConfig {
            weight_init_std: match panel["weight_init_std"].as_f64() {
                Some(std) => WeightInitStd::Std(std),
                None => WeightInitStd::He,
            },
            use_batchnorm,
            ..MultiLayerNetConfig::new(64, &[100; 5], 10)
        };
        let mut networks = [("batch_norm", true), ("plain", false)].map(|(name, use_batchnorm)| {
            let config = config(use_batchnorm);
            let network = MultiLayerNet::<f64>::with_random_state(&config, &mut random).unwrap();
            let losses = panel[name]["losses"].as_array().unwrap();
            (network, losses, 0)
        });
        let mut sgd = Sgd::new(0.01).unwrap();
        for step in 0..50 {
            let indices = random.choice(200, 20).unwrap();
            let x = x.select(Axis(0), &indices);
            let t: Vec<usize> = indices.iter().map(|&index| t[index]).collect();
            for (network, losses, compared) in &mut networks {
                if losses[step].is_null() {
                    continue;
                }
                let loss = match network.train_step(x.view(), (&t).into(), &mut sgd) {
                    // Gradients that are not finite: the next loss of the script is not either.
                    Err(Error::NonFinite { .. }) if losses[step + 1].is_null() => continue,
                    loss => loss.unwrap(),
                };
                let want = number(&losses[step]);
                let error = (loss / want - 1.0).abs();
                assert!(error < TOLERANCE, "step {step}: {loss}, not {want}");
                *compared += 1;
            }
        }
        compared.extend(networks.map(|(_, _, compared)| compared));
    }
    // Without Batch Normalization, weights with a standard deviation of 1 overflow in the fifth step.
    assert_eq!(compared, [50, 4, 50, 50, 50, 50]);
}

#[test]
fn refused_settings_draw_nothing() {
    let mut random = RandomState::seed(1);
    random.standard_normal();
    let before = random.clone();
    let config = MultiLayerNetConfig::new(4, &[3], 2);
    let dropout = MultiLayerNetConfig {
        use_dropout: true,
        ..config.clone()
    };
    let error = MultiLayerNet::<f32>::with_random_state(&dropout, &mut random).unwrap_err();
    let text =
        "use_dropout is true; it must be false, because Dropout does not draw from a RandomState";
    assert_eq!(error.to_string(), text);
    let negative = MultiLayerNetConfig {
        weight_init_std: WeightInitStd::Std(-1.0),
        ..config.clone()
    };
    assert!(MultiLayerNet::<f32>::with_random_state(&negative, &mut random).is_err());
    let empty = MultiLayerNetConfig::new(4, &[0], 2);
    assert!(MultiLayerNet::<f32>::with_random_state(&empty, &mut random).is_err());
    assert_eq!(random, before);
    assert!(MultiLayerNet::<f32>::with_random_state(&config, &mut random).is_ok());
    assert_ne!(random, before);
}

#[test]
fn weights_are_scaled_by_the_inputs_and_biases_are_zero() {
    for (std, scales) in [
        (WeightInitStd::Std(0.3), [0.3, 0.3]),
        (
            WeightInitStd::He,
            [(2.0f64 / 4.0).sqrt(), (2.0f64 / 3.0).sqrt()],
        ),
        (
            WeightInitStd::Xavier,
            [(1.0f64 / 4.0).sqrt(), (1.0f64 / 3.0).sqrt()],
        ),
    ] {
        let config = MultiLayerNetConfig {
            weight_init_std: std,
            use_batchnorm: true,
            ..MultiLayerNetConfig::new(4, &[3], 2)
        };
        let (mut random, mut same) = (RandomState::seed(9), RandomState::seed(9));
        let network = MultiLayerNet::<f32>::with_random_state(&config, &mut random).unwrap();
        let mut draw = |scale: f64, len| -> Vec<f32> {
            let draws = same.randn(len).unwrap();
            draws.iter().map(|z| (scale * z) as f32).collect()
        };
        let (w1, w2) = (draw(scales[0], 12), draw(scales[1], 6));
        let mut names = Vec::new();
        network.visit_params(&mut |p| {
            names.push(p.name.to_owned());
            match p.name {
                "W1" => assert_eq!(p.value, w1),
                "W2" => assert_eq!(p.value, w2),
                "b1" | "b2" | "beta1" => assert!(p.value.iter().all(|&b| b == 0.0)),
                "gamma1" => assert!(p.value.iter().all(|&gamma| gamma == 1.0)),
                _ => {}
            }
        });
        assert_eq!(
            names[..6],
            [
                "W1",
                "b1",
                "gamma1",
                "beta1",
                "running_mean1",
                "running_var1"
            ]
        );
    }
}
