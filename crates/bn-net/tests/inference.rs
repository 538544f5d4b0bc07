//! Evaluation in chunks of rows, and with Batch Normalization folded.

use bn_layers::{BatchNormConfig, Conv2dConfig, LayerExt};
use bn_net::{Error, Network, NetworkBuilder, Sgd, SoftmaxWithLoss, Workspace};
use bn_tensor::{Pool, Scalar};
use ndarray::{Array2, Axis, Slice, array};

fn batch<T: Scalar>(rows: usize, columns: usize, rate: f64) -> Array2<T> {
    let value = |(i, j)| T::from_f64(((i * columns + j) as f64 * rate).sin());
    Array2::from_shape_fn((rows, columns), value)
}

fn trained<T: Scalar>(builder: NetworkBuilder<T>) -> Network<T> {
    let mut network = builder.build(3).unwrap();
    let x = batch(64, network.input().size(), 0.7);
    let labels: Vec<usize> = (0..64).map(|i| i % network.output().size()).collect();
    let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1).unwrap());
    for _ in 0..20 {
        let t = (&labels).into();
        network
            .train_step(x.view(), t, &mut loss, &mut sgd)
            .unwrap();
    }
    network
}

/// The largest difference, relative to the largest value.
fn deviation<T: Scalar>(got: &Array2<T>, want: &Array2<T>) -> f64 {
    let largest = |values: Array2<T>| values.iter().fold(0.0, |m, v| v.as_f64().abs().max(m));
    largest(got - want) / largest(want.clone())
}

fn every_kind<T: Scalar>() -> NetworkBuilder<T> {
    let bare = BatchNormConfig {
        affine: false,
        ..BatchNormConfig::pytorch()
    };
    NetworkBuilder::new(30)
        .affine(40)
        .batch_norm()
        .relu()
        .affine_without_bias(25)
        .batch_norm_with(BatchNormConfig::keras())
        .leaky_relu(0.2)
        .dropout(0.3)
        .affine(20)
        .batch_norm_with(bare)
        .affine(12)
        .batch_norm()
        .sigmoid()
        .batch_norm() // follows no Affine
        .affine(4)
}

fn check_folding<T: Scalar>(tolerance: f64) {
    let mut network = trained(every_kind::<T>());
    let x = batch(500, 30, 0.3);
    let want = network.predict(x.view()).unwrap();
    let names: Vec<String> = network.layer_names().map(str::to_owned).collect();
    let reported = network.fold(x.view()).unwrap().as_f64();
    let got = network.predict(x.view()).unwrap();
    let measured = (&got - &want)
        .iter()
        .fold(0.0, |m: f64, d| d.as_f64().abs().max(m));
    assert_eq!(reported, measured);
    assert!(
        deviation(&got, &want) < tolerance,
        "{}",
        deviation(&got, &want)
    );
    assert!(
        network.layer_names().eq(&names),
        "positions and names must not change"
    );

    let mut params = Vec::new();
    network.visit(&mut |p| params.push(p.name.to_owned()));
    let normalisations = params.iter().filter(|name| name.ends_with("gamma")).count();
    assert_eq!(normalisations, 1, "{params:?}");
    assert!(
        params.contains(&"layers.3.bias".to_owned()),
        "no bias was added: {params:?}"
    );

    // A second time there is nothing to fold.
    assert_eq!(network.fold(x.view()).unwrap(), 0.0);
    assert_eq!(network.predict(x.view()).unwrap(), got);

    // It can be trained further, and its activations are found at the same positions.
    let labels: Vec<usize> = (0..500).map(|i| i % 4).collect();
    let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1).unwrap());
    let mut step = || {
        let t = (&labels).into();
        network
            .train_step(x.view(), t, &mut loss, &mut sgd)
            .unwrap()
    };
    let first = step();
    for _ in 0..30 {
        step();
    }
    assert!(step() < first);
    assert!(
        network.activation(0).is_none(),
        "it is now the output of the folded layer after it"
    );
    assert_eq!(network.activation(1).unwrap().ncols(), 40);
    assert!(
        network
            .activation(2)
            .unwrap()
            .iter()
            .all(|&y| y >= T::zero())
    );
}

#[test]
fn folding_changes_no_more_than_rounding() {
    check_folding::<f64>(1e-12);
    check_folding::<f32>(1e-5);
}

#[test]
fn a_failed_fold_changes_nothing() {
    let mut network = trained(every_kind::<f32>());
    let x = batch(50, 30, 0.3);
    let before = network.predict(x.view()).unwrap();
    let narrow = batch(5, 29, 0.3);
    let error = network.fold(narrow.view()).unwrap_err();
    assert!(error.to_string().contains("30"), "{error}");
    let mut broken = x.clone();
    broken[[7, 3]] = f32::NAN;
    let error = network.fold(broken.view()).unwrap_err();
    assert!(matches!(error, Error::NonFinite { .. }), "{error}");
    network.fold(Array2::zeros((0, 30)).view()).unwrap_err();
    assert_eq!(network.predict(x.view()).unwrap(), before);
    assert_eq!(
        network.param_count(),
        every_kind::<f32>().build(3).unwrap().param_count()
    );
}

#[test]
fn folded_weights_that_overflow_give_an_infinite_deviation() {
    let mut network = Network::builder(1)
        .affine(1)
        .batch_norm()
        .affine(1)
        .build(1)
        .unwrap();
    network.visit_mut(&mut |p| match p.name {
        "layers.1.running_var" => p.value.fill(0.0),
        "layers.0.weight" => p.value.fill(1e37),
        "layers.1.gamma" => p.value.fill(1e-3),
        _ => {}
    });
    // 1e37·1e-3/√1e-6 = 1e37, which f32 holds.
    assert!(network.fold(array![[1.0]].view()).unwrap().is_finite());
    let mut network = Network::builder(1)
        .affine(1)
        .batch_norm()
        .affine(1)
        .build(1)
        .unwrap();
    network.visit_mut(&mut |p| match p.name {
        "layers.1.running_var" => p.value.fill(0.0),
        "layers.0.weight" => p.value.fill(1e37),
        _ => {}
    });
    let deviation = network.fold(array![[1e-10]].view()).unwrap();
    assert!(deviation.is_infinite(), "{deviation}");
}

#[test]
fn chunks_of_rows_give_what_single_rows_give() {
    let network = trained(every_kind::<f64>());
    let mut workspace = Workspace::default();
    for rows in [1, 49, 99, 100, 257, 3001] {
        let x = batch(rows, 30, 0.3);
        let got = network
            .predict_with(x.view(), &mut workspace)
            .unwrap()
            .to_owned();
        let mut want = Array2::zeros(got.dim());
        for (x, mut want) in x
            .axis_chunks_iter(Axis(0), 1)
            .zip(want.axis_chunks_iter_mut(Axis(0), 1))
        {
            want.assign(&network.predict(x).unwrap());
        }
        assert!(deviation(&got, &want) < 1e-12, "{rows} rows");
    }
}

#[test]
fn by_rows_a_row_has_the_same_bits_whatever_rows_are_beside_it() {
    fn check<T: Scalar>(network: &Network<T>) {
        let mut workspace = Workspace::by_rows();
        let x = batch(300, network.input().size(), 0.3);
        let all = network.predict_with(x.view(), &mut workspace).unwrap();
        let all = all.to_owned();
        let usual = network.predict(x.view()).unwrap();
        assert!(deviation(&all, &usual) < 1e-4);
        for rows in [0..1, 17..18, 3..8, 100..177, 299..300, 10..300] {
            let rows = Slice::from(rows);
            let part = x.slice_axis(Axis(0), rows);
            let part = network.predict_with(part, &mut workspace).unwrap();
            assert!(part == all.slice_axis(Axis(0), rows), "{rows:?}");
        }
    }
    let three = || Conv2dConfig::new(12, 3).same();
    let images = Network::builder((8, 8, 2))
        .conv2d(three())
        .batch_norm()
        .relu()
        .residual(move |body| body.conv2d(three()).batch_norm())
        .concat(move |branches| {
            let up = move |b: NetworkBuilder<f32>| b.conv_transpose2d(three()).group_norm(3);
            branches.branch(move |b| b.conv2d(three())).branch(up)
        })
        .max_pool2d(2)
        .affine(70)
        .softmax()
        .build(1)
        .unwrap();
    for threads in [1, 2] {
        Pool::new(threads).unwrap().install(|| {
            check(&trained(every_kind::<f32>()));
            check(&trained(every_kind::<f64>()));
            check(&images);
        });
    }
}

#[test]
fn a_batch_that_is_normalised_by_itself_is_not_cut() {
    let by_itself = BatchNormConfig {
        track_running_stats: false,
        ..BatchNormConfig::pytorch()
    };
    let build = || {
        NetworkBuilder::<f64>::new(5)
            .affine(6)
            .batch_norm_with(by_itself)
            .build(1)
            .unwrap()
    };
    let (network, mut other) = (build(), build());
    let x = batch(700, 5, 0.3);
    let got = network.predict(x.view()).unwrap();
    let want = other
        .forward(x.view(), bn_layers::Mode::BatchStats)
        .unwrap();
    assert_eq!(got, want);
    assert_eq!(other.fold(x.view()).unwrap(), 0.0, "and not folded");
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let mut network = trained(
        Network::builder(784)
            .affine(100)
            .batch_norm()
            .relu()
            .affine(10),
    );
    let x = batch(2000, 784, 0.3);
    for _ in 0..2 {
        let run = |threads| {
            Pool::new(threads)
                .unwrap()
                .install(|| network.predict(x.view()).unwrap())
        };
        let one = run(1);
        for threads in [2, 3, 8] {
            assert_eq!(run(threads), one, "{threads} threads");
        }
        network.fold(x.view()).unwrap();
    }
}
