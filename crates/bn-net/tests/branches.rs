//! Residual blocks and concatenations: the same values as by hand, the right gradients, and whatever a
//! network can do.

use bn_layers::{Conv2dConfig, GradientCheck, Layer, LayerExt, Mode};
use bn_net::{Adam, Checkpoint, Network, NetworkBuilder, NetworkSpec, Optimizer, SoftmaxWithLoss};
use bn_tensor::Scalar;
use ndarray::{Array2, Axis, concatenate};

fn batch<T: Scalar>(n: usize, d: usize) -> Array2<T> {
    Array2::from_shape_fn((n, d), |(i, j)| {
        T::from_f64(((i * d + j) as f64 * 1.7).sin())
    })
}

fn body<T: Scalar>(b: NetworkBuilder<T>) -> NetworkBuilder<T> {
    b.affine_without_bias(6).batch_norm().relu().affine(6)
}

/// The parameters of a network, by name.
fn values<T: Scalar>(network: &Network<T>) -> Vec<(String, Vec<T>)> {
    let mut all = Vec::new();
    network.visit(&mut |p| all.push((p.name.to_owned(), p.value.to_vec())));
    all
}

/// Gives `to` the state of `from` whose names begin with `prefix`.
fn copy_inside<T: Scalar>(from: &Network<T>, prefix: &str, to: &mut Network<T>) {
    let mut inside = values(from)
        .into_iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_owned(), value)));
    to.visit_mut(&mut |p| {
        let (name, value) = inside.next().unwrap();
        assert_eq!(p.name, name);
        p.value.copy_from_slice(&value);
    });
    assert!(inside.next().is_none());
}

fn relu(x: Array2<f64>) -> Array2<f64> {
    x.mapv_into(|x| x.max(0.0))
}

#[test]
fn a_residual_block_adds_its_input_or_its_shortcut() {
    let x = batch::<f64>(7, 6);
    for has_relu in [false, true] {
        let block = NetworkBuilder::<f64>::new(6).residual(body);
        let block = if has_relu { block.relu() } else { block };
        let mut block = block.build(1).unwrap();
        let mut alone = body(NetworkBuilder::<f64>::new(6)).build(2).unwrap();
        copy_inside(&block, "layers.0.body.", &mut alone);
        for mode in [Mode::BatchStats, Mode::Eval] {
            let want = &alone.forward(x.view(), mode).unwrap() + &x;
            let want = if has_relu { relu(want) } else { want };
            assert_eq!(block.forward(x.view(), mode).unwrap(), want);
        }
        assert_eq!(
            block.predict(x.view()).unwrap(),
            block.forward(x.view(), Mode::Eval).unwrap()
        );
    }

    let shortcut = |s: NetworkBuilder<f64>| s.affine(4).batch_norm();
    let narrow = |b: NetworkBuilder<f64>| body(b).affine(4);
    let builder = NetworkBuilder::<f64>::new(6);
    let mut block = builder.residual_with(narrow, shortcut).build(1).unwrap();
    let mut body = narrow(NetworkBuilder::new(6)).build(2).unwrap();
    let mut short = shortcut(NetworkBuilder::new(6)).build(3).unwrap();
    copy_inside(&block, "layers.0.body.", &mut body);
    copy_inside(&block, "layers.0.shortcut.", &mut short);
    let want = &body.forward(x.view(), Mode::BatchStats).unwrap()
        + &short.forward(x.view(), Mode::BatchStats).unwrap();
    assert_eq!(block.forward(x.view(), Mode::BatchStats).unwrap(), want);
}

#[test]
fn a_concatenation_joins_rows_or_the_channels_of_pixels() {
    let x = batch::<f64>(5, 6);
    let mut joined = NetworkBuilder::<f64>::new(6)
        .concat(|all| {
            all.branch(|b| b.affine(2))
                .branch(body)
                .branch(|b| b.tanh())
        })
        .build(1)
        .unwrap();
    let mut first = NetworkBuilder::<f64>::new(6).affine(2).build(2).unwrap();
    let mut second = body(NetworkBuilder::<f64>::new(6)).build(3).unwrap();
    copy_inside(&joined, "layers.0.branches.0.", &mut first);
    copy_inside(&joined, "layers.0.branches.1.", &mut second);
    let want = concatenate![
        Axis(1),
        first.forward(x.view(), Mode::BatchStats).unwrap(),
        second.forward(x.view(), Mode::BatchStats).unwrap(),
        x.mapv(f64::tanh)
    ];
    assert_eq!(joined.forward(x.view(), Mode::BatchStats).unwrap(), want);

    // Two pixels with three channels, and again.
    let twice = NetworkBuilder::<f64>::new((1, 2, 3))
        .concat(|all| all.branch(|b| b.identity()).branch(|b| b.identity()))
        .build(1)
        .unwrap();
    assert_eq!(twice.output(), (1, 2, 6).into());
    let x = Array2::from_shape_fn((1, 6), |(_, j)| j as f64);
    let want = [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 3.0, 4.0, 5.0];
    assert_eq!(twice.predict(x.view()).unwrap().as_slice().unwrap(), want);
}

/// Images with every kind of join, one inside another.
fn nested<T: Scalar>() -> NetworkBuilder<T> {
    let conv = |filters| Conv2dConfig::new(filters, 3).same().without_bias();
    NetworkBuilder::<T>::new((4, 4, 2))
        .weight_decay(0.01)
        .conv2d(conv(3))
        .batch_norm()
        .relu()
        .residual(move |b| {
            b.conv2d(conv(3))
                .batch_norm()
                .relu()
                .dropout(0.2)
                .residual(move |b| b.conv2d(conv(3)))
        })
        .relu()
        .residual_with(
            move |b| b.conv2d(conv(4).stride(2)).batch_norm(),
            |s| {
                s.conv2d(Conv2dConfig::new(4, 1).stride(2).without_bias())
                    .batch_norm()
            },
        )
        .relu()
        .concat(move |all| {
            all.branch(move |b| b.conv2d(conv(2)).batch_norm().relu())
                .branch(|b| b.conv2d(Conv2dConfig::new(3, 1)).tanh())
        })
        .global_avg_pool2d()
        .affine(3)
}

#[test]
fn the_gradients_agree_with_central_differences() {
    let mut network = nested::<f64>().build(5).unwrap();
    let report = GradientCheck::default()
        .check(&mut network, batch(6, 32).view())
        .unwrap();
    assert!(report.worst().relative < 1e-6, "{report}");
    assert_eq!(report.params.len(), 20 + 1, "{report}");
}

const LABELS: [usize; 6] = [0, 1, 2, 0, 1, 2];

fn train(network: &mut Network, optimizer: &mut dyn Optimizer<f32>, steps: usize) -> f64 {
    let (x, mut loss) = (batch(6, 32), SoftmaxWithLoss::new());
    let mut step = || network.train_step(x.view(), (&LABELS[..]).into(), &mut loss, optimizer);
    (0..steps).map(|_| step().unwrap()).last().unwrap()
}

#[test]
fn a_network_of_branches_is_described_saved_resumed_and_folded() {
    let (mut network, mut adam) = (nested().build(5).unwrap(), Adam::pytorch(0.01).unwrap());
    let before = train(&mut network, &mut adam, 1);
    assert!(train(&mut network, &mut adam, 60) < 0.6 * before);

    let spec = network.spec().unwrap();
    let text = serde_json::to_string(&spec).unwrap();
    let mut again: Network = serde_json::from_str::<NetworkSpec>(&text)
        .unwrap()
        .build()
        .unwrap();
    assert_eq!(again.spec().unwrap(), spec);
    let mut checkpoint = Checkpoint::new();
    checkpoint.add_network("network", &network).unwrap();
    checkpoint.add_optimizer("adam", &adam).unwrap();
    checkpoint.restore_network("network", &mut again).unwrap();
    let mut adam_again = Adam::pytorch(0.01).unwrap();
    checkpoint
        .restore_optimizer("adam", &mut adam_again, &again)
        .unwrap();
    train(&mut network, &mut adam, 5);
    train(&mut again, &mut adam_again, 5);
    assert_eq!(values(&network), values(&again));

    let x = batch(50, 32);
    let want = network.predict(x.view()).unwrap();
    let normalised = values(&network)
        .iter()
        .filter(|(name, _)| name.contains("gamma"))
        .count();
    assert_eq!(normalised, 5);
    let deviation = network.fold(x.view()).unwrap();
    assert!(deviation < 1e-5, "{deviation}");
    assert!(
        !values(&network)
            .iter()
            .any(|(name, _)| name.contains("gamma"))
    );
    let got = network.predict(x.view()).unwrap();
    assert!((got - want).iter().all(|d| f64::from(d.abs()) <= deviation));
}

#[test]
fn a_rectifier_after_a_block_is_computed_with_the_sum() {
    let with = |apart: bool| {
        let block = NetworkBuilder::<f32>::new(6).residual(body);
        // An identity in between keeps the two apart.
        let block = if apart { block.identity() } else { block };
        block.relu().affine(3).build(7).unwrap()
    };
    let (mut fused, mut apart) = (with(false), with(true));
    assert!(fused.activation(0).is_none());
    let (x, mut loss) = (batch(6, 6), SoftmaxWithLoss::new());
    let (mut a, mut b) = (Adam::pytorch(0.01).unwrap(), Adam::pytorch(0.01).unwrap());
    for _ in 0..5 {
        let t = (&LABELS[..]).into();
        let first = fused.train_step(x.view(), t, &mut loss, &mut a).unwrap();
        let second = apart.train_step(x.view(), t, &mut loss, &mut b).unwrap();
        assert_eq!(first.to_bits(), second.to_bits());
    }
    let only_values = |network: &Network| -> Vec<_> {
        values(network)
            .into_iter()
            .map(|(_, value)| value)
            .collect()
    };
    assert_eq!(only_values(&fused), only_values(&apart));
    assert_eq!(
        fused.predict(x.view()).unwrap(),
        apart.predict(x.view()).unwrap()
    );
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    for (builder, message) in [
        (
            Network::builder(6).residual(|b| b.affine(5)),
            "layer 0 (residual)",
        ),
        (
            Network::builder(6).residual_with(|b| b.affine(5), |s| s.affine(4)),
            "the body and the shortcut must have the same shapes",
        ),
        (Network::builder(6).residual(|b| b), "at least one layer"),
        (
            Network::builder(6).residual(|b| b.affine(0)),
            "layer 0 (affine)",
        ),
        (Network::builder(6).concat(|all| all), "at least one branch"),
        (
            Network::builder((4, 4, 1))
                .concat(|all| all.branch(|b| b.flatten()).branch(|b| b.relu())),
            "do not fit together",
        ),
        (
            Network::builder((4, 4, 1))
                .concat(|all| all.branch(|b| b.max_pool2d(2)).branch(|b| b.relu())),
            "do not fit together",
        ),
    ] {
        let error = builder.build(1).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let mut block = Network::builder(6).residual(body).build(1).unwrap();
    assert!(block.forward(batch(2, 5).view(), Mode::Eval).is_err());
    assert!(block.rows_are_independent(Mode::Eval));
}

#[test]
fn a_summary_has_a_line_for_each_layer_also_inside_blocks() {
    let network = Network::builder((8, 8, 1))
        .conv2d(Conv2dConfig::new(2, 3).same())
        .residual(|b| b.conv2d(Conv2dConfig::new(2, 1)).batch_norm())
        .relu()
        .affine(3)
        .build(1)
        .unwrap();
    let summary = network.summary();
    let rows: Vec<_> = summary
        .layers
        .iter()
        .map(|row| (&*row.place, &*row.name, row.params, row.multiply_adds))
        .collect();
    let (conv, inside, affine) = (64 * 9 * 2, 64 * 2 * 2, 128 * 3);
    assert_eq!(
        rows,
        [
            ("0", "conv2d", 20, conv),
            ("1", "residual", 10, inside),
            ("1.body.0", "conv2d", 6, inside),
            ("1.body.1", "batch_norm", 4, 0),
            ("2", "relu", 0, 0),
            ("3", "affine", 128 * 3 + 3, affine),
        ]
    );
    assert_eq!(summary.params(), network.param_count());
    assert_eq!(summary.multiply_adds(), conv + inside + affine);
    let printed = network.to_string();
    assert_eq!(printed, summary.to_string());
    assert!(printed.lines().last().unwrap().contains("417"), "{printed}");
}
