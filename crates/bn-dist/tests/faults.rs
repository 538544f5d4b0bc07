//! Faults that other systems for synchronised Batch Normalization were reported to have.

use crate::common::{adam, batch, book, small, train};
use bn_dist::{DataParallel, World};
use bn_layers::{
    BatchNormConfig, BatchNormalization, Conv2dConfig, Error as LayerError, Io, Layer, LayerExt,
    Layout, Mode, Outcome, Pass, Scalar, Shape, State, StateMut, Wanted,
};
use bn_net::{
    Error, HiddenActivation, Loss, Network, NetworkBuilder, Optimizer, Sgd, SoftmaxWithLoss,
};
use bytemuck::Pod;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Slice};

/// The loss, the gradients and the running statistics of one step.
#[derive(Debug, Clone, PartialEq)]
struct Step<T> {
    loss: f64,
    gradients: Vec<T>,
    running: Vec<T>,
}

fn step_of<T: Scalar>(loss: f64, network: &Network<T>) -> Step<T> {
    let (mut gradients, mut running) = (Vec::new(), Vec::new());
    network.visit(&mut |p| match p.is_trained {
        true => gradients.extend(p.grad),
        false => running.extend(p.value),
    });
    Step {
        loss,
        gradients,
        running,
    }
}

/// One step with a learning rate of 0, of ranks that have these numbers of rows, and of one process.
fn steps<T: Scalar + Pod>(
    network: &Network<T>,
    x: &Array2<T>,
    t: &[usize],
    rows: &[usize],
) -> (Vec<Step<T>>, Step<T>) {
    let ranks = World::simulate(rows.len(), |world| {
        let start = rows[..world.rank()].iter().sum::<usize>();
        let mine = start..start + rows[world.rank()];
        let x = x.slice_axis(Axis(0), Slice::from(mine.clone()));
        let (mut network, mut sgd) = (network.clone(), Sgd::new(0.0).unwrap());
        let (mut loss, mut parallel) = (SoftmaxWithLoss::new(), DataParallel::new(world).unwrap());
        let t = (&t[mine]).into();
        let value = parallel.train_step(&mut network, x, t, &mut loss, &mut sgd);
        step_of(value.unwrap(), &network)
    });
    let (mut network, mut sgd) = (network.clone(), Sgd::new(0.0).unwrap());
    let loss: &mut dyn Loss<T> = &mut SoftmaxWithLoss::new();
    let value = network.train_step(x.view(), t.into(), loss, &mut sgd);
    (ranks, step_of(value.unwrap(), &network))
}

fn largest<T: Scalar>(values: &[T]) -> f64 {
    let each = values.iter().map(|v| v.as_f64().abs());
    each.fold(0.0, f64::max)
}

fn assert_close<T: Scalar>(what: &str, a: &[T], b: &[T], tolerance: f64) {
    let differences: Vec<T> = a.iter().zip(b).map(|(&a, &b)| a - b).collect();
    let difference = largest(&differences) / largest(b);
    assert!(
        a.len() == b.len() && difference <= tolerance,
        "{what}: {difference:e}"
    );
}

/// Ranks with these numbers of rows get what one process gets, all of them the same bits.
fn check<T: Scalar + Pod>(network: &Network<T>, x: &Array2<T>, rows: &[usize], tolerance: f64) {
    let t: Vec<usize> = (0..x.nrows()).map(|n| n % 3).collect();
    let (ranks, one) = steps(network, x, &t, rows);
    for rank in &ranks {
        assert!(rank == &ranks[0]);
        assert_close("loss", &[rank.loss], &[one.loss], tolerance);
        assert_close("gradients", &rank.gradients, &one.gradients, tolerance);
        assert_close("running statistics", &rank.running, &one.running, tolerance);
    }
}

fn check_both(width: usize, total: usize, rows: &[usize]) {
    let (x, _) = batch::<f64>(0, total, width);
    check(&small(width), &x, rows, 1e-12);
    let (x, _) = batch::<f32>(0, total, width);
    check(&small(width), &x, rows, 1e-6);
}

/// Two rows, whose normalised values are -1 and 1: in f32, rounding is most of the gradients before them.
fn check_two(rows: &[usize]) {
    let (x, _) = batch::<f64>(0, 2, 20);
    check(&small(20), &x, rows, 1e-10);
}

#[test]
fn uneven_ranks_count_by_their_rows() {
    check_both(20, 1001, &[334, 333, 334]);
    check_both(20, 1001, &[700, 1, 300]);
    check_both(20, 57, &[5, 1, 50, 1]);
}

#[test]
fn a_rank_may_be_empty() {
    check_both(20, 40, &[25, 0, 15]);
    check_both(20, 40, &[0, 40]);
    check_two(&[0, 0, 2, 0]);
}

#[test]
fn a_rank_may_have_one_row() {
    check_both(20, 33, &[1, 32]);
    // Two rows are enough for Batch Normalization, wherever they are.
    check_two(&[1, 1]);
}

#[test]
fn one_row_on_all_ranks_together_is_refused_on_all() {
    let (x, t) = batch::<f64>(0, 1, 20);
    let results = World::simulate(2, |world| {
        let (mut network, mut sgd) = (small::<f64>(20), Sgd::new(0.1).unwrap());
        let before = step_of(0.0, &network);
        let mut parallel = DataParallel::new(world).unwrap();
        let mine = 0..usize::from(world.rank() == 0);
        let x = x.slice_axis(Axis(0), Slice::from(mine.clone()));
        let t = (&t[mine]).into();
        let loss = &mut SoftmaxWithLoss::new();
        let result = parallel.train_step(&mut network, x, t, loss, &mut sgd);
        assert_eq!(step_of(0.0, &network).running, before.running);
        result.map_err(|error| error.to_string())
    });
    for result in results {
        let message = result.unwrap_err();
        assert!(message.contains("layer 1 (batch_norm)"), "{message}");
    }
}

#[test]
fn no_rows_on_all_ranks_together_are_refused_on_all() {
    let results = World::simulate(2, |world| {
        let (mut network, mut sgd) = (small::<f64>(20), Sgd::new(0.1).unwrap());
        let mut parallel = DataParallel::new(world).unwrap();
        let (x, t): (Array2<f64>, &[usize]) = (Array2::zeros((0, 20)), &[]);
        let loss = &mut SoftmaxWithLoss::new();
        parallel.train_step(&mut network, x.view(), t.into(), loss, &mut sgd)
    });
    for result in results {
        let message = result.unwrap_err().to_string();
        assert!(
            message.contains("the number of rows of the whole batch is 0"),
            "{message}"
        );
    }
}

#[test]
fn images_of_another_size_are_refused_on_all() {
    let results = World::simulate(3, |world| {
        let (mut network, mut sgd) = (small::<f32>(20), Sgd::new(0.1).unwrap());
        let mut parallel = DataParallel::new(world).unwrap();
        let width = 20 + usize::from(world.rank() == 1);
        let (x, _) = batch::<f32>(0, 4, width);
        let t = (&[0, 1, 2, 0][..]).into();
        let loss = &mut SoftmaxWithLoss::new();
        let result = parallel.train_step(&mut network, x.view(), t, loss, &mut sgd);
        result.unwrap_err().to_string()
    });
    assert!(
        results[1].contains("expected shape [4, 20], got [4, 21]"),
        "{}",
        results[1]
    );
    for other in [&results[0], &results[2]] {
        assert!(
            other.contains("rank 1 failed") && other.contains("[4, 21]"),
            "{other}"
        );
    }
}

#[test]
fn a_label_out_of_range_on_one_rank_ends_the_job_on_all() {
    let results = World::simulate(2, |world| {
        let (mut network, mut sgd) = (small::<f32>(20), Sgd::new(0.1).unwrap());
        let mut parallel = DataParallel::new(world).unwrap();
        let (x, _) = batch::<f32>(0, 2, 20);
        let t = [0, 1 + 9 * world.rank()];
        let loss = &mut SoftmaxWithLoss::new();
        let result = parallel.train_step(&mut network, x.view(), (&t[..]).into(), loss, &mut sgd);
        result.unwrap_err().to_string()
    });
    assert!(
        results[1].contains("label 10 is out of range"),
        "{}",
        results[1]
    );
    assert!(
        results[0].contains("rank 1 failed: row 1: label 10"),
        "{}",
        results[0]
    );
}

#[test]
fn a_large_mean_does_not_cost_the_variance() {
    // In f32, E[x²] − E[x]² of these would be noise: x² has a unit in the last place of 8.
    let (noise, _) = batch::<f64>(0, 301, 20);
    let x = noise.mapv(|v| 1e4 + 0.01 * v);
    let network = |n: usize| -> NetworkBuilder<f64> {
        NetworkBuilder::new(n)
            .batch_norm()
            .affine(8)
            .batch_norm()
            .relu()
    };
    check(
        &network(20).affine(3).build(1).unwrap(),
        &x,
        &[100, 1, 200],
        1e-9,
    );
    // In f32, compared with the statistics in f64 of the values that f32 can hold.
    let x = x.mapv(|v| v as f32);
    let t: Vec<usize> = (0..301).map(|n| n % 3).collect();
    let first_norm = NetworkBuilder::new(20).batch_norm().affine(3);
    let (ranks, _) = steps::<f32>(&first_norm.build(1).unwrap(), &x, &t, &[100, 1, 200]);
    let first_norm = NetworkBuilder::new(20).batch_norm().affine(3);
    let (_, exact) = steps::<f64>(
        &first_norm.build(1).unwrap(),
        &x.mapv(f64::from),
        &t,
        &[301],
    );
    let running: Vec<f64> = ranks[0].running.iter().map(|&v| f64::from(v)).collect();
    let (mean, var) = running.split_at(20);
    assert_close("running mean", mean, &exact.running[..20], 1e-7);
    assert_close("running variance", var, &exact.running[20..], 1e-6);
}

#[test]
fn channels_may_be_first_or_last() {
    // 65 channels of 3×3 pixels, which no vector width divides.
    let network = || {
        let builder = NetworkBuilder::<f64>::new((3, 3, 65));
        builder.batch_norm().relu().affine(3).build(1).unwrap()
    };
    let (x, t) = batch::<f64>(0, 23, 585);
    check(&network(), &x, &[7, 15, 1], 1e-12);

    // The same images with channels first, in one process.
    let t: Vec<usize> = t.iter().map(|t| t % 3).collect();
    let (ranks, _) = steps(&network(), &x, &t, &[7, 15, 1]);
    let last = x.into_shape_with_order((23, 3, 3, 65)).unwrap();
    let first = last
        .permuted_axes([0, 3, 1, 2])
        .as_standard_layout()
        .into_owned();
    let norm = BatchNormalization::<f64>::new(65, BatchNormConfig::default()).unwrap();
    let mut norm = norm.with_layout(Layout::ChannelsFirst);
    norm.forward(first.view(), Mode::Train).unwrap();
    let mut running = Vec::new();
    LayerExt::visit(&norm, &mut |p| {
        if !p.is_trained {
            running.extend(p.value);
        }
    });
    assert_close("running statistics", &ranks[0].running, &running, 1e-12);
}

#[test]
fn a_first_layer_needs_no_gradient_of_the_input() {
    // Batch Normalization first; and first layers that are frozen.
    let network = NetworkBuilder::<f64>::new(20)
        .batch_norm()
        .affine(3)
        .build(1)
        .unwrap();
    let (x, _) = batch::<f64>(0, 30, 20);
    check(&network, &x, &[10, 1, 19], 1e-12);
    let builder = NetworkBuilder::<f64>::new(20).affine(9).batch_norm().relu();
    let mut network = builder
        .affine(7)
        .batch_norm()
        .relu()
        .affine(3)
        .build(1)
        .unwrap();
    network.freeze_layers(..3).unwrap();
    check(&network, &x, &[10, 1, 19], 1e-12);
}

#[test]
fn layers_may_be_frozen_between_two_steps() {
    let run = |ranks: usize| {
        World::simulate(ranks, |world| {
            let conv = |filters| Conv2dConfig::new(filters, 3).same();
            let body =
                move |b: NetworkBuilder<f64>| b.conv2d(conv(2)).batch_norm().relu().conv2d(conv(2));
            let builder = NetworkBuilder::<f64>::new((4, 4, 2)).weight_decay(0.01);
            let builder = builder.residual(body).relu().affine(8).batch_norm().relu();
            let mut network = builder.affine(10).build(1).unwrap();
            let (mut loss, mut adam) = (SoftmaxWithLoss::new(), adam());
            let mut parallel = DataParallel::new(world).unwrap();
            let mine = parallel.rows(24);
            let mut values: Vec<f64> = Vec::new();
            for step in 0..6 {
                match step {
                    2 => network
                        .freeze("layers.0.body.layers.0.*")
                        .map(drop)
                        .unwrap(),
                    4 => network.freeze_layers(..3).unwrap(),
                    _ => {}
                }
                let (x, t) = batch::<f64>(step, 24, 32);
                let x = x.slice_axis(Axis(0), Slice::from(mine.clone()));
                let t = (&t[mine.clone()]).into();
                parallel
                    .train_step(&mut network, x, t, &mut loss, &mut *adam)
                    .unwrap();
                network.visit(&mut |p| values.extend(p.value));
            }
            values
        })
    };
    let one = run(1).remove(0);
    for values in run(3) {
        assert!(values == one);
    }
}

/// A layer from outside that holds a network.
#[derive(Debug, Clone)]
struct Wrapper(Network<f32>);

impl Layer<f32> for Wrapper {
    fn output_shape(&self, input: Shape) -> Result<Shape, LayerError> {
        self.0.output_shape(input)
    }

    fn forward_into(
        &mut self,
        x: ArrayView2<'_, f32>,
        y: ArrayViewMut2<'_, f32>,
        pass: &Pass<'_>,
    ) -> Result<(), LayerError> {
        self.0.forward_into(x, y, pass)
    }

    fn backward_into(
        &mut self,
        io: Io<'_, f32>,
        wanted: Wanted<'_, f32>,
        pass: &Pass<'_>,
    ) -> Result<(), LayerError> {
        self.0.backward_into(io, wanted, pass)
    }

    fn state(&self, visit: &mut dyn FnMut(State<'_, f32>)) {
        self.0.state(visit);
    }

    fn state_mut(&mut self, visit: &mut dyn FnMut(StateMut<'_, f32>)) {
        self.0.state_mut(visit);
    }

    fn settle(&mut self, outcome: Outcome) {
        self.0.settle(outcome);
    }
}

#[test]
fn a_layer_from_outside_that_holds_a_network_is_refused_not_trained_wrongly() {
    let results = World::simulate(2, |world| {
        let inner = NetworkBuilder::new(20).affine(7).build(1).unwrap();
        let builder = NetworkBuilder::new(20).layer("wrapper", Wrapper(inner));
        let mut network: Network<f32> = builder.affine(10).build(1).unwrap();
        let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1).unwrap());
        let (x, t) = batch::<f32>(0, 2, 20);
        let mut parallel = DataParallel::new(world).unwrap();
        let result = parallel.train_step(&mut network, x.view(), (&t).into(), &mut loss, &mut sgd);
        result.unwrap_err().to_string()
    });
    for message in results {
        assert!(
            message.contains("must be one of this library's"),
            "{message}"
        );
    }
}

#[test]
fn an_evaluation_in_the_middle_of_training_changes_nothing_and_does_not_communicate() {
    let run = |evaluates: bool| {
        World::simulate(2, |world| {
            let mut network = book::<f32>(HiddenActivation::Relu);
            let (mut loss, mut adam) = (SoftmaxWithLoss::new(), adam());
            let mut parallel = DataParallel::new(world).unwrap();
            let mine = parallel.rows(40);
            for step in 0..4 {
                let (x, t) = batch::<f32>(step, 40, 784);
                // One rank only: it would wait for ever if it communicated.
                if evaluates && world.rank() == 1 {
                    network.predict(x.view()).unwrap();
                    network.accuracy(x.view(), &t).unwrap();
                    network.forward(x.view(), Mode::Eval).unwrap();
                }
                let x = x.slice_axis(Axis(0), Slice::from(mine.clone()));
                let t = (&t[mine.clone()]).into();
                parallel
                    .train_step(&mut network, x, t, &mut loss, &mut *adam)
                    .unwrap();
            }
            step_of(0.0, &network)
        })
    };
    assert!(run(true) == run(false));
}

#[test]
fn a_rank_that_stops_early_is_named() {
    let results = World::simulate(3, |world| {
        let steps = if world.rank() == 2 { 3 } else { 5 };
        let result = train(world, small::<f32>(20), adam(), steps, 12);
        result.map(|_| ()).map_err(|error: Error| error.to_string())
    });
    assert!(results[2].is_ok());
    for other in &results[..2] {
        let message = other.as_ref().unwrap_err();
        assert!(
            message.starts_with("rank 2 does something else"),
            "{message}"
        );
    }
}

#[test]
fn the_shards_of_a_rank_move_the_running_statistics_once() {
    // A rank computes the gradients of its shards one after another, as gradient accumulation does.
    let (x, t) = batch::<f64>(0, 64, 20);
    let t: Vec<usize> = t.iter().map(|t| t % 3).collect();
    let mut one = small::<f64>(20);
    let mut optimizer: Box<dyn Optimizer<f64>> = Box::new(Sgd::new(0.0).unwrap());
    let loss: &mut dyn Loss<f64> = &mut SoftmaxWithLoss::new();
    one.train_step(x.view(), (&t).into(), loss, &mut *optimizer)
        .unwrap();
    for shards in [2, 16, 64] {
        let ranks = World::simulate(2, |world| {
            let mut network = small::<f64>(20);
            let parallel = DataParallel::new(world).unwrap();
            let mut parallel = parallel.shards(shards).unwrap();
            let mine = parallel.rows(64);
            let x = x.slice_axis(Axis(0), Slice::from(mine.clone()));
            let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.0).unwrap());
            let t = (&t[mine]).into();
            parallel
                .train_step(&mut network, x, t, &mut loss, &mut sgd)
                .unwrap();
            step_of(0.0, &network)
        });
        let running = step_of(0.0, &one).running;
        assert_close("running statistics", &ranks[1].running, &running, 1e-12);
    }
}
