//! A training step stands or is taken back: what each layer does in either case, and that nothing else
//! changes its state.

use crate::common::{
    bits, counters,
    every_layer::{batch_norm, every_layer, fused_layers},
    random, settle, state, unsettled,
};
use bn_layers::{
    BatchNormConfig, Dropout, Error, Io, Layer, LayerExt, Layout, Mode, Outcome, Pass, Wanted,
};
use bn_tensor::Scalar;
use ndarray::Array2;

const MODES: [Mode; 3] = [Mode::Train, Mode::BatchStats, Mode::Eval];
const ROWS: usize = 6;

type Snapshot = (Vec<(String, Vec<u64>, Vec<u64>)>, Vec<(String, u64)>);

fn snapshot<T: Scalar>(layer: &dyn Layer<T>) -> Snapshot {
    (state(layer), counters(layer))
}

/// Every layer after a step, so that no part of its state is trivial.
fn warm_layers<T: Scalar>() -> Vec<(Box<dyn Layer<T>>, usize)> {
    let mut all = every_layer();
    all.extend(fused_layers());
    for (layer, width) in &mut all {
        step(&mut **layer, &random((ROWS, *width), 1), Mode::Train);
    }
    all
}

/// The bits of `y` and `dx` of a whole step.
fn step<T: Scalar>(layer: &mut dyn Layer<T>, x: &Array2<T>, mode: Mode) -> [Vec<u64>; 2] {
    let y = layer.forward(x.view(), mode).unwrap();
    let dout = random::<T>(y.dim(), 2);
    let dx = layer.backward(x.view(), y.view(), dout.view()).unwrap();
    [bits(&y), bits(&dx)]
}

/// What the next steps compute, and the state after them.
fn next_steps<T: Scalar>(layer: &dyn Layer<T>, width: usize) -> (Vec<[Vec<u64>; 2]>, Snapshot) {
    let mut layer = dyn_clone(layer);
    let steps = MODES.into_iter().chain([Mode::Train]).enumerate();
    let all = steps.map(|(i, mode)| {
        let x = random((ROWS, width), 3 + i as u64);
        step(&mut *layer, &x, mode)
    });
    (all.collect(), snapshot(&*layer))
}

fn dyn_clone<T: Scalar>(layer: &dyn Layer<T>) -> Box<dyn Layer<T>> {
    dyn_clone::clone_box(layer)
}

fn taken_back<T: Scalar>() {
    for (mut layer, width) in warm_layers::<T>() {
        let (before, next) = (snapshot(&*layer), next_steps(&*layer, width));
        for mode in MODES {
            let x = random::<T>((ROWS, width), 9);
            let y = unsettled(&mut *layer, x.view(), mode);
            layer.settle(Outcome::TakenBack);
            assert_eq!(snapshot(&*layer), before, "{layer:?} {mode:?}");

            // The same pass again draws the same masks and gives the same bits.
            let again = unsettled(&mut *layer, x.view(), mode);
            assert_eq!(bits(&again), bits(&y), "{layer:?} {mode:?}");
            layer.settle(Outcome::TakenBack);
            assert_eq!(snapshot(&*layer), before, "{layer:?} {mode:?}");
            assert_eq!(next_steps(&*layer, width), next, "{layer:?} {mode:?}");
        }
    }
}

#[test]
fn a_step_that_is_taken_back_leaves_no_trace() {
    taken_back::<f32>();
    taken_back::<f64>();
}

/// A step may fail after the backward pass. Then only the gradients have changed.
#[test]
fn a_step_that_is_taken_back_after_its_backward_pass_changes_only_gradients() {
    for (mut layer, width) in warm_layers::<f64>() {
        let (before, next) = (snapshot(&*layer), next_steps(&*layer, width));
        let x = random((ROWS, width), 9);
        let y = unsettled(&mut *layer, x.view(), Mode::Train);
        let (dout, mut dx) = (random(y.dim(), 10), Array2::zeros(x.dim()));
        let (x, y, dout) = (x.view(), y.view(), dout.view());
        let wanted = Wanted {
            dx: Some(dx.view_mut()),
            params: true,
        };
        let pass = Pass::new(Mode::Train);
        layer
            .backward_into(Io { x, y, dout }, wanted, &pass)
            .unwrap();
        layer.settle(Outcome::TakenBack);
        let values = |(arrays, counters): Snapshot| {
            let values = arrays.into_iter().map(|(name, value, _)| (name, value));
            (values.collect::<Vec<_>>(), counters)
        };
        assert_eq!(values(snapshot(&*layer)), values(before), "{layer:?}");
        assert_eq!(next_steps(&*layer, width), next, "{layer:?}");
    }
}

fn stands<T: Scalar>() {
    for (mut layer, width) in warm_layers::<T>() {
        for mode in MODES {
            let mut whole = layer.clone();
            let x = random::<T>((ROWS, width), 9);
            let want = whole.forward(x.view(), mode).unwrap();
            let y = unsettled(&mut *layer, x.view(), mode);
            assert_eq!(bits(&y), bits(&want), "{layer:?} {mode:?}");
            layer.settle(Outcome::Stands);
            let (after, next) = (snapshot(&*whole), next_steps(&*whole, width));
            assert_eq!(snapshot(&*layer), after, "{layer:?} {mode:?}");
            // Settling again changes nothing, because the step has ended.
            for outcome in [Outcome::Stands, Outcome::TakenBack, Outcome::Stands] {
                layer.settle(outcome);
                assert_eq!(snapshot(&*layer), after, "{layer:?} {mode:?} {outcome:?}");
                assert_eq!(next_steps(&*layer, width), next, "{layer:?} {mode:?}");
            }
        }
    }
}

#[test]
fn a_step_that_stands_updates_once() {
    stands::<f32>();
    stands::<f64>();
}

/// The tests above would pass if no layer ever changed its state; this one would not.
#[test]
fn the_state_changes_when_it_should() {
    for (name, updates, open, after) in [
        ("updates", counter_of_batch_norm as fn(u32) -> u64, 1, 2),
        ("draws", counter_of_dropout, 2, 2),
    ] {
        assert_eq!(
            [updates(0), updates(1), updates(2)],
            [1, open, after],
            "{name}"
        );
    }
}

/// The counter after one step, and then after `calls` of these: a forward pass, its `settle`.
fn counter_of<T: Scalar>(layer: &mut dyn Layer<T>, calls: u32, name: &str) -> u64 {
    let x = random((ROWS, 5), 9);
    step(layer, &x, Mode::Train);
    if calls > 0 {
        unsettled(layer, x.view(), Mode::Train);
    }
    if calls > 1 {
        layer.settle(Outcome::Stands);
    }
    let mut counters = counters(layer).into_iter();
    counters.find(|counter| counter.0 == name).unwrap().1
}

fn counter_of_batch_norm(calls: u32) -> u64 {
    let mut bn = batch_norm::<f32>(Layout::ChannelsLast, BatchNormConfig::default());
    counter_of(&mut bn, calls, "updates")
}

fn counter_of_dropout(calls: u32) -> u64 {
    counter_of::<f32>(&mut Dropout::new(0.5, 1).unwrap(), calls, "draws")
}

#[test]
fn settling_without_a_forward_pass_does_nothing() {
    let mut fresh = every_layer::<f64>();
    fresh.extend(fused_layers());
    for (mut layer, width) in fresh {
        let (before, next) = (snapshot(&*layer), next_steps(&*layer, width));
        for outcome in [Outcome::Stands, Outcome::TakenBack] {
            layer.settle(outcome);
            assert_eq!(snapshot(&*layer), before, "{layer:?} {outcome:?}");
            assert_eq!(next_steps(&*layer, width), next, "{layer:?} {outcome:?}");
        }
    }
}

/// A container that forgets to settle its layers gets an error.
#[test]
fn another_pass_before_settling_is_refused_by_batch_normalization() {
    let mut bn = batch_norm::<f64>(Layout::ChannelsLast, BatchNormConfig::pytorch());
    let mut other = bn.clone();
    let x = random((ROWS, 5), 9);
    unsettled(&mut bn, x.view(), Mode::Train);
    for mode in [Mode::Train, Mode::BatchStats, Mode::Eval, Mode::Train] {
        let mut y = Array2::zeros(x.dim());
        let pass = Pass::new(mode);
        let error = bn.forward_into(x.view(), y.view_mut(), &pass).unwrap_err();
        assert!(matches!(error, Error::Unsettled { .. }), "{error}");
        assert!(error.to_string().contains("settle"), "{error}");
    }
    settle::<f64>(&mut bn, Outcome::Stands);
    other.forward(x.view(), Mode::Train).unwrap();
    assert_eq!(snapshot::<f64>(&bn), snapshot::<f64>(&other));

    // Without running statistics there is nothing to settle.
    let config = BatchNormConfig {
        track_running_stats: false,
        ..BatchNormConfig::pytorch()
    };
    let mut bn = batch_norm::<f64>(Layout::ChannelsLast, config);
    unsettled(&mut bn, x.view(), Mode::Train);
    unsettled(&mut bn, x.view(), Mode::Train);
}

/// A failed pass leaves no statistics to update by.
#[test]
fn a_refused_pass_updates_nothing_even_if_the_step_stands() {
    let mut bn = batch_norm::<f64>(Layout::ChannelsLast, BatchNormConfig::pytorch());
    let mut x = random((ROWS, 5), 9);
    step(&mut bn, &x, Mode::Train);
    let (before, next) = (snapshot::<f64>(&bn), next_steps::<f64>(&bn, 5));
    x[[2, 3]] = f64::NAN;
    for outcome in [Outcome::TakenBack, Outcome::Stands] {
        let mut y = Array2::zeros(x.dim());
        let pass = Pass::new(Mode::Train);
        let error = bn.forward_into(x.view(), y.view_mut(), &pass).unwrap_err();
        assert!(matches!(error, Error::Statistics { .. }), "{error}");
        settle::<f64>(&mut bn, outcome);
        assert_eq!(snapshot::<f64>(&bn), before);
        assert_eq!(next_steps::<f64>(&bn, 5), next);
    }
}
