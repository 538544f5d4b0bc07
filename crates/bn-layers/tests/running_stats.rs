//! When the running statistics move, by how much, and what normalises where.

mod common;

use bn_layers::{BatchNormConfig, BatchNormalization, Layer, Layout, Mode, RunningAverage};
use bn_tensor::Scalar;
use common::{Compare, bits, evaluated, random, random_row, values};
use ndarray::{Array2, array};

const LAYOUTS: [Layout; 3] = [
    Layout::ChannelsLast,
    Layout::ChannelsFirst,
    Layout::PerPosition,
];

fn presets() -> [BatchNormConfig; 4] {
    [
        BatchNormConfig::book(),
        BatchNormConfig::paper(),
        BatchNormConfig::pytorch(),
        BatchNormConfig::keras(),
    ]
}

/// For rows of 12 values.
fn batch_norm<T: Scalar>(layout: Layout, config: BatchNormConfig) -> BatchNormalization<T> {
    let channels = if layout == Layout::PerPosition { 12 } else { 3 };
    let bn = BatchNormalization::new(channels, config).unwrap();
    let (gamma, beta) = (random_row(channels, 1.5, 1), random_row(channels, 0.0, 2));
    bn.with_layout(layout).with_gamma_beta(gamma, beta).unwrap()
}

fn batch<T: Scalar>(step: u64) -> Array2<T> {
    let x = random::<T>((5, 12), 3 + step);
    x.mapv(|v| v * T::from_f64(1.0 + step as f64) + T::from_f64(0.5))
}

fn check_modes<T: Scalar>(layout: Layout, config: BatchNormConfig) {
    let mut bn = batch_norm::<T>(layout, config);
    let mut others = bn.clone();
    for step in 0..3 {
        let x = batch::<T>(step);
        let before = values(&bn);
        let y = Layer::forward(&mut bn, x.view(), Mode::Train).unwrap();
        assert_eq!(bn.running().unwrap().updates, step + 1);
        for (old, new) in before.iter().zip(&values(&bn)) {
            // Every entry of the running statistics moves, and nothing else.
            let moved = old.1.iter().zip(&new.1).filter(|(o, n)| o != n).count();
            let all = if old.0.starts_with("running") {
                old.1.len()
            } else {
                0
            };
            assert_eq!(moved, all, "{layout:?} {config:?}: {}", old.0);
        }

        assert_eq!(values(&others), before);
        Layer::forward(&mut others, x.view(), Mode::Eval).unwrap();
        others.update_running(); // no batch's own statistics to move by
        evaluated(&others, x.view(), 12);
        let batch_stats = Layer::forward(&mut others, x.view(), Mode::BatchStats).unwrap();
        assert_eq!(bits(&batch_stats), bits(&y));
        assert_eq!(values(&others), before, "{layout:?} {config:?}");
        assert_eq!(others.running().unwrap().updates, step);

        others.update_running();
        assert_eq!(values(&others), values(&bn), "{layout:?} {config:?}");
        assert_eq!(others.running(), bn.running());
    }
}

#[test]
fn only_train_moves_them_and_update_running_does_the_same_afterwards() {
    for layout in LAYOUTS {
        for config in presets() {
            check_modes::<f32>(layout, config);
            check_modes::<f64>(layout, config);
        }
    }
}

#[test]
fn update_running_before_any_batch_does_nothing() {
    let mut bn = batch_norm::<f64>(Layout::ChannelsLast, BatchNormConfig::pytorch());
    let before = bn.clone();
    bn.update_running();
    assert_eq!(bn.running(), before.running());
}

/// Two updates and an evaluation of each preset, worked out by hand.
#[test]
fn the_formula_of_each_preset() {
    // Per column: mean 3 and 30, biased variance 8/3 and 800/3, unbiased 4 and 400.
    let first = array![[1.0, 10.0], [3.0, 30.0], [5.0, 50.0]];
    // Mean 1 and 0, biased variance 2/3 and 6, unbiased 1 and 9.
    let second = array![[0.0, -3.0], [1.0, 0.0], [2.0, 3.0]];
    let keep = BatchNormConfig {
        running: RunningAverage::Keep(1.0),
        ..BatchNormConfig::pytorch()
    };
    let add = BatchNormConfig {
        running: RunningAverage::Add(1.0),
        ..BatchNormConfig::book()
    };
    for (config, eps, mean_1, var_1, mean_2, var_2) in [
        (
            BatchNormConfig::book(),
            1e-6,
            [0.3, 3.0],
            [0.8 / 3.0, 80.0 / 3.0],
            [0.37, 2.7],
            [0.72 / 3.0 + 0.2 / 3.0, 72.0 / 3.0 + 0.6],
        ),
        (
            BatchNormConfig::paper(),
            1e-5,
            [3.0, 30.0],
            [4.0, 400.0],
            [2.0, 15.0],
            [2.5, 204.5],
        ),
        (
            BatchNormConfig::pytorch(),
            1e-5,
            [0.3, 3.0],
            [1.3, 40.9],
            [0.37, 2.7],
            [1.27, 37.71],
        ),
        (
            BatchNormConfig::keras(),
            1e-3,
            [0.03, 0.3],
            [0.99 + 0.08 / 3.0, 0.99 + 8.0 / 3.0],
            [0.0397, 0.297],
            [
                0.9801 + 0.0792 / 3.0 + 0.02 / 3.0,
                0.9801 + 7.92 / 3.0 + 0.06,
            ],
        ),
        (keep, 1e-5, [0.0; 2], [1.0; 2], [0.0; 2], [1.0; 2]),
        (
            add,
            1e-6,
            [3.0, 30.0],
            [8.0 / 3.0, 800.0 / 3.0],
            [1.0, 0.0],
            [2.0 / 3.0, 6.0],
        ),
    ] {
        let mut compare = Compare::to(1e-14);
        let mut bn = BatchNormalization::<f64>::new(2, config)
            .unwrap()
            .with_gamma_beta(array![2.0, -0.5], array![1.0, 3.0])
            .unwrap();
        let start = [config.initial_running_var; 2];
        compare.same("mean", &bn.running().unwrap().mean, &[0.0; 2]);
        compare.same("var", &bn.running().unwrap().var, &start);
        for (x, mean, var) in [(&first, mean_1, var_1), (&second, mean_2, var_2)] {
            bn.forward(x.view(), Mode::Train).unwrap();
            let running = bn.running().unwrap();
            compare.same(&format!("{config:?} mean"), &running.mean, &mean);
            compare.same(&format!("{config:?} var"), &running.var, &var);
        }
        let y = bn.forward(array![[7.0, 8.0]].view(), Mode::Eval).unwrap();
        let want = [
            2.0 * (7.0 - mean_2[0]) / (var_2[0] + eps).sqrt() + 1.0,
            -0.5 * (8.0 - mean_2[1]) / (var_2[1] + eps).sqrt() + 3.0,
        ];
        compare.same(&format!("{config:?} evaluation"), &y, &want);
    }
}

#[test]
fn without_tracking_evaluation_normalises_by_its_own_batch() {
    for layout in LAYOUTS {
        let config = BatchNormConfig {
            track_running_stats: false,
            ..BatchNormConfig::pytorch()
        };
        let mut bn = batch_norm::<f32>(layout, config);
        assert!(bn.running().is_none());
        let names: Vec<_> = values(&bn).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["gamma", "beta"]);
        Layer::forward(&mut bn, batch(1).view(), Mode::Train).unwrap();

        let (x, dout) = (batch::<f32>(2), batch(3));
        let mut all = Vec::new();
        for mode in [Mode::Train, Mode::BatchStats, Mode::Eval] {
            let y = Layer::forward(&mut bn, x.view(), mode).unwrap();
            let dx = Layer::backward(&mut bn, x.view(), y.view(), dout.view()).unwrap();
            all.push((bits(&y), bits(&dx)));
        }
        assert_eq!((&all[1], &all[2]), (&all[0], &all[0]));
        assert_eq!(bits(&evaluated(&bn, x.view(), 12)), all[0].0);
    }
}
