//! When the running statistics change, by how much, and which statistics each mode uses.

use crate::common::{
    AnyShape, Compare, bits, evaluated, random, random_row, settle, unsettled, values,
};
use bn_layers::{
    BatchNormConfig, BatchNormalization, LayerExt, Layout, Mode, Moments, Outcome, RunningAverage,
};
use bn_tensor::Scalar;
use ndarray::{Array2, Axis, array};

const LAYOUTS: [Layout; 3] = [
    Layout::ChannelsLast,
    Layout::ChannelsFirst,
    Layout::PerPosition,
];

fn presets() -> [BatchNormConfig; 5] {
    [
        BatchNormConfig::bias_corrected(),
        BatchNormConfig::book(),
        BatchNormConfig::paper(),
        BatchNormConfig::pytorch(),
        BatchNormConfig::keras(),
    ]
}

/// For rows of 12 values.
fn batch_norm<T: Scalar>(
    layout: Layout,
    config: BatchNormConfig,
) -> AnyShape<BatchNormalization<T>> {
    let channels = if layout == Layout::PerPosition { 12 } else { 3 };
    let bn = BatchNormalization::new(channels, config).unwrap();
    let (gamma, beta) = (random_row(channels, 1.5, 1), random_row(channels, 0.0, 2));
    AnyShape(bn.with_layout(layout).with_gamma_beta(gamma, beta).unwrap())
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
        let y = bn.forward(x.view(), Mode::Train).unwrap();
        assert_eq!(bn.0.running().unwrap().updates, step + 1);
        for (old, new) in before.iter().zip(&values(&bn)) {
            // Every entry of the running statistics changes, and nothing else.
            let changed = old.1.iter().zip(&new.1).filter(|(o, n)| o != n).count();
            let all = if old.0.starts_with("running") {
                old.1.len()
            } else {
                0
            };
            assert_eq!(changed, all, "{layout:?} {config:?}: {}", old.0);
        }

        assert_eq!(values(&others), before);
        others.forward(x.view(), Mode::Eval).unwrap();
        settle::<T>(&mut others, Outcome::Stands); // there are no batch statistics to update by
        evaluated(&others, x.view(), 12);
        let batch_stats = others.forward(x.view(), Mode::BatchStats).unwrap();
        settle::<T>(&mut others, Outcome::Stands);
        assert_eq!(bits(&batch_stats), bits(&y));
        assert_eq!(values(&others), before, "{layout:?} {config:?}");
        assert_eq!(others.0.running().unwrap().updates, step);

        let open = unsettled(&mut others, x.view(), Mode::Train);
        assert_eq!(bits(&open), bits(&y));
        assert_eq!(values(&others), before, "{layout:?} {config:?}");
        settle::<T>(&mut others, Outcome::Stands);
        assert_eq!(values(&others), values(&bn), "{layout:?} {config:?}");
        assert_eq!(others.0.running(), bn.0.running());
    }
}

#[test]
fn only_a_successful_training_step_changes_them() {
    for layout in LAYOUTS {
        for config in presets() {
            check_modes::<f32>(layout, config);
            check_modes::<f64>(layout, config);
        }
    }
}

/// Two updates and an evaluation of each preset, calculated by hand.
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
            BatchNormConfig::bias_corrected(),
            1e-6,
            [3.0, 30.0],
            [8.0 / 3.0, 800.0 / 3.0],
            [0.37 / 0.19, 2.7 / 0.19],
            [0.92 / 3.0 / 0.19, 24.6 / 0.19],
        ),
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
        assert!(bn.0.running().is_none());
        let names: Vec<_> = values(&bn).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["gamma", "beta"]);
        bn.forward(batch(1).view(), Mode::Train).unwrap();

        let (x, dout) = (batch::<f32>(2), batch(3));
        let mut all = Vec::new();
        for mode in [Mode::Train, Mode::BatchStats, Mode::Eval] {
            let y = bn.forward(x.view(), mode).unwrap();
            let dx = bn.backward(x.view(), y.view(), dout.view()).unwrap();
            all.push((bits(&y), bits(&dx)));
        }
        assert_eq!((&all[1], &all[2]), (&all[0], &all[0]));
        assert_eq!(bits(&evaluated(&bn, x.view(), 12)), all[0].0);
    }
}

/// The average is of the batches only, with weights `(1 − m)·mᵏ` that are scaled to a sum of 1.
#[test]
fn bias_corrected_averages_depend_only_on_the_batches() {
    assert_eq!(
        BatchNormConfig::default(),
        BatchNormConfig::bias_corrected()
    );
    for m in [0.0, 0.5, 0.9, 0.99] {
        for unbiased_running_var in [false, true] {
            let with = |running, initial_running_var| BatchNormConfig {
                running,
                initial_running_var,
                unbiased_running_var,
                ..BatchNormConfig::bias_corrected()
            };
            // The initial value has no influence, even if it is 1e3.
            for start in [1.0, 1e3] {
                let corrected = with(RunningAverage::KeepCorrected(m), start);
                check_corrected(m, corrected, with(RunningAverage::Keep(m), 0.0));
            }
        }
    }
}

fn check_corrected(m: f64, corrected: BatchNormConfig, kept: BatchNormConfig) {
    let new = |config| BatchNormalization::<f64>::new(12, config).unwrap();
    let (mut corrected, mut kept) = (new(corrected), new(kept));
    let start = corrected.config().initial_running_var;
    let running = corrected.running().unwrap();
    assert!(running.mean.iter().all(|&mean| mean == 0.0));
    assert!(running.var.iter().all(|&var| var == start));
    let mut compare = Compare::to(1e-14);
    for t in 0..40 {
        let x = batch::<f64>(t);
        corrected.forward(x.view(), Mode::Train).unwrap();
        kept.forward(x.view(), Mode::Train).unwrap();
        let (got, of_zero) = (corrected.running().unwrap(), kept.running().unwrap());
        if t == 0 {
            let first = Moments::of(x.view().insert_axis(Axis(2))).unwrap();
            assert_eq!(bits(&got.mean), bits(first.mean()), "the batch's own mean");
            let var: Vec<f64> = match corrected.config().unbiased_running_var {
                true => first.unbiased_variance().unwrap().collect(),
                false => first.variance().unwrap().collect(),
            };
            assert_eq!(bits(&got.var), bits(&var), "the batch's own variance");
        }
        let share = 1.0 - m.powi(t as i32 + 1);
        compare.same("mean", &got.mean, &(&of_zero.mean / share));
        // Relative to the variance itself, which may be below 1.
        let var = &got.var * share / &of_zero.var;
        compare.same("var", &var, &[1.0; 12]);
        assert_eq!(got.updates, t + 1);
    }
}
