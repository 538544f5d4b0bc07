//! A batch in shards, each on its own thread, is normalised as a whole.

use crate::common::{
    Compare,
    all_reduce::{AllReduce, Rank},
    bits,
    every_layer::every_layer,
    random, random_row, state,
};
use bn_layers::{
    BatchNormConfig, BatchNormalization, Error, Io, Layer, LayerExt, Layout, Mode, Moments,
    Outcome, Pass, Relu, RunningStats, Scalar, ShardReduction, Wanted, fusion,
};
use ndarray::{Array1, Array2, Axis, Slice, concatenate};

/// What one shard computes for its rows.
#[derive(Debug)]
struct Share<T> {
    y: Array2<T>,
    dx: Array2<T>,
    dgamma: Array1<T>,
    dbeta: Array1<T>,
    running: RunningStats<T>,
}

fn run<T: Scalar>(
    mut bn: BatchNormalization<T>,
    x: &Array2<T>,
    dout: &Array2<T>,
    pass: &Pass<'_>,
) -> Result<Share<T>, Error> {
    let (mut y, mut dx) = (Array2::zeros(x.dim()), Array2::zeros(x.dim()));
    bn.forward_into(x.view(), y.view_mut(), pass)?;
    let wanted = Wanted {
        dx: Some(dx.view_mut()),
        params: true,
    };
    let (x, dout) = (x.view(), dout.view());
    let y_view = y.view();
    bn.backward_into(Io { x, y: y_view, dout }, wanted, pass)?;
    bn.settle(Outcome::Stands);
    let running = bn.running().unwrap().clone();
    let (dgamma, dbeta) = (
        bn.dgamma().unwrap().to_owned(),
        bn.dbeta().unwrap().to_owned(),
    );
    Ok(Share {
        y,
        dx,
        dgamma,
        dbeta,
        running,
    })
}

/// Computes the share of each shard; `rows` has the number of rows of each.
fn in_shards<T: Scalar>(
    bn: &BatchNormalization<T>,
    [x, dout]: [&Array2<T>; 2],
    rows: &[usize],
    mode: Mode,
) -> Vec<Result<Share<T>, Error>> {
    let each: Vec<_> = rows.iter().map(|&rows| vec![rows]).collect();
    let all_reduce = AllReduce::new(&each);
    let mut begin = 0;
    std::thread::scope(|scope| {
        let threads: Vec<_> = rows
            .iter()
            .enumerate()
            .map(|(rank, &rows)| {
                let cut = Slice::from(begin..begin + rows);
                let [x, dout] = [x, dout].map(|all| all.slice_axis(Axis(0), cut).to_owned());
                begin += rows;
                let shard = Rank {
                    all_reduce: &all_reduce,
                    rank,
                };
                let bn = bn.clone();
                scope.spawn(move || run(bn, &x, &dout, &Pass::sharded(mode, &shard)))
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

fn batch_norm<T: Scalar>(layout: Layout, rectified: bool) -> BatchNormalization<T> {
    let bn = BatchNormalization::new(4, BatchNormConfig::pytorch()).unwrap();
    let (gamma, beta) = (random_row(4, 1.5, 1), random_row(4, 0.0, 2));
    let bn = bn.with_layout(layout).with_gamma_beta(gamma, beta);
    let mut bn = bn.unwrap();
    assert!(!rectified || fusion::fuse(&mut bn, &Relu));
    bn
}

fn wide<T: Scalar>(values: &Array2<T>) -> Array2<f64> {
    values.mapv(|v| v.as_f64())
}

/// Compares with one pass over the whole batch. dx is compared in units of its largest value.
fn check<T: Scalar>(
    bn: &BatchNormalization<T>,
    [x, dout]: [&Array2<T>; 2],
    rows: &[usize],
    mode: Mode,
    tolerance: f64,
) {
    let whole = run(bn.clone(), x, dout, &Pass::new(mode)).unwrap();
    let shares = in_shards(bn, [x, dout], rows, mode);
    let shares: Vec<_> = shares.into_iter().map(Result::unwrap).collect();
    let joined = |part: fn(&Share<T>) -> &Array2<T>| {
        let parts: Vec<_> = shares.iter().map(|share| part(share).view()).collect();
        concatenate(Axis(0), &parts).unwrap()
    };
    let mut compare = Compare::to(tolerance);
    compare.same("y", &joined(|s| &s.y), &wide(&whole.y));
    let dx = wide(&whole.dx);
    let largest = dx.fold(0.0f64, |m, v| m.max(v.abs()));
    let got = wide(&joined(|s| &s.dx)) / largest;
    compare.same("dx", &got, &(dx / largest));
    let total = |part: fn(&Share<T>) -> &Array1<T>| {
        let zero = Array1::<f64>::zeros(4);
        shares
            .iter()
            .fold(zero, |sum, share| sum + part(share).mapv(|v| v.as_f64()))
    };
    let want = |part: &Array1<T>| part.mapv(|v| v.as_f64());
    compare.same("dgamma", &total(|s| &s.dgamma), &want(&whole.dgamma));
    compare.same("dbeta", &total(|s| &s.dbeta), &want(&whole.dbeta));
    compare.same("mean", &shares[0].running.mean, &want(&whole.running.mean));
    compare.same("var", &shares[0].running.var, &want(&whole.running.var));
    for share in &shares {
        assert_eq!(share.running, shares[0].running, "the same on each shard");
    }
    let updates = u64::from(mode == Mode::Train);
    assert_eq!(shares[0].running.updates, updates);
}

fn batch<T: Scalar>(width: usize) -> [Array2<T>; 2] {
    let x = random::<T>((12, width), 3).mapv(|v| v + T::from_f64(0.5));
    [x, random((12, width), 4)]
}

/// The numbers of rows of the shards. Some shards have no rows.
const CUTS: [&[usize]; 4] = [&[5, 1, 6], &[12], &[4, 0, 8], &[0, 1, 1, 10]];

#[test]
fn a_batch_in_shards_is_normalised_as_a_whole() {
    for rows in CUTS {
        for mode in [Mode::Train, Mode::BatchStats, Mode::Eval] {
            for rectified in [false, true] {
                let [x, dout] = &batch::<f64>(4);
                let bn = batch_norm(Layout::ChannelsLast, rectified);
                check(&bn, [x, dout], rows, mode, 1e-12);
                let [x, dout] = &batch::<f64>(4 * 7);
                for layout in [Layout::ChannelsLast, Layout::ChannelsFirst] {
                    check(&batch_norm(layout, rectified), [x, dout], rows, mode, 1e-12);
                }
            }
        }
        let [x, dout] = &batch::<f32>(4);
        let bn = batch_norm(Layout::ChannelsLast, false);
        check(&bn, [x, dout], rows, Mode::Train, 1e-5);
    }
}

/// Values whose squares f32 cannot hold. In one case, they vary only between shards, not within one.
#[test]
fn extreme_values_in_shards() {
    let [x, dout] = &batch::<f32>(4);
    let mut within = x.clone();
    let mut between = x.clone();
    for i in 0..12 {
        within[[i, 1]] = if i % 2 == 0 { 1e30 } else { -1e30 };
        between[[i, 1]] = if i < 5 { 1e30 } else { -1e30 };
    }
    let bn = batch_norm(Layout::ChannelsLast, false);
    for x in [&within, &between] {
        let column = |values: &Array2<f32>, c| values.column(c).insert_axis(Axis(1)).to_owned();
        let shares = in_shards(&bn, [x, dout], &[5, 1, 6], Mode::BatchStats);
        let shares: Vec<_> = shares.into_iter().map(Result::unwrap).collect();
        let mut compare = Compare::to(1e-5);
        let whole = run(bn.clone(), x, dout, &Pass::new(Mode::BatchStats)).unwrap();
        for c in 0..4 {
            let of = |part: fn(&Share<f32>) -> &Array2<f32>| {
                let parts: Vec<_> = shares.iter().map(|share| part(share).view()).collect();
                column(&concatenate(Axis(0), &parts).unwrap(), c)
            };
            compare.same("y", &of(|s| &s.y), &wide(&column(&whole.y, c)));
            let dx = wide(&column(&whole.dx, c));
            let largest = dx.fold(0.0f64, |m, v| m.max(v.abs()));
            compare.same("dx", &(wide(&of(|s| &s.dx)) / largest), &(dx / largest));
        }
        // Training fails on every shard, although a shard may hold only ordinary values.
        for share in in_shards(&bn, [x, dout], &[5, 1, 6], Mode::Train) {
            let error = share.unwrap_err();
            assert!(
                matches!(error, Error::Statistics { channel: 1, .. }),
                "{error}"
            );
        }
    }
}

#[test]
fn a_batch_of_one_row_in_total_is_refused_on_every_shard() {
    let [x, dout] = &batch::<f64>(4);
    let bn = batch_norm(Layout::ChannelsLast, false);
    for share in in_shards(&bn, [x, dout], &[0, 1, 0], Mode::Train) {
        let error = share.unwrap_err();
        assert!(
            matches!(error, Error::TooFewValues { got: 1, .. }),
            "{error}"
        );
    }
    for share in in_shards(&bn, [x, dout], &[0, 0], Mode::Train) {
        let error = share.unwrap_err();
        assert!(matches!(error, Error::EmptyBatch { .. }), "{error}");
    }
}

/// A reduction that has lost its connection, in the forward pass or only in the backward pass.
#[derive(Debug)]
struct Gone {
    in_forward: bool,
}

impl ShardReduction for Gone {
    fn rows(&self) -> &[usize] {
        &[12]
    }

    fn first_shard(&self) -> usize {
        0
    }

    fn first_row(&self) -> usize {
        0
    }

    fn moments(&self, shards: &[Moments], whole: &mut Moments) -> Result<(), Error> {
        whole.clone_from(&shards[0]);
        match self.in_forward {
            true => Err(gone()),
            false => Ok(()),
        }
    }

    fn sums(&self, _: &[f64], whole: &mut [f64]) -> Result<(), Error> {
        whole.fill(f64::NAN);
        Err(gone())
    }

    fn counts_whole(&self) -> bool {
        true
    }
}

fn gone() -> Error {
    let reason = "the connection was closed".to_owned();
    Error::Shards { reason }
}

#[test]
fn an_error_of_the_reduction_is_passed_on_and_changes_nothing() {
    let [x, dout] = &batch::<f64>(4);
    for in_forward in [true, false] {
        let mut bn = batch_norm(Layout::ChannelsLast, false);
        let y = LayerExt::forward(&mut bn, x.view(), Mode::Train).unwrap();
        LayerExt::backward(&mut bn, x.view(), y.view(), dout.view()).unwrap();
        let (mut untouched, before) = (bn.clone(), state::<f64>(&bn));
        let shards = Gone { in_forward };
        let pass = Pass::sharded(Mode::Train, &shards);
        let (mut y, mut dx) = (Array2::zeros(x.dim()), Array2::zeros(x.dim()));
        let other = random((12, 4), 5);
        let result = bn.forward_into(x.view(), y.view_mut(), &pass);
        let error = match in_forward {
            true => result.unwrap_err(),
            false => {
                result.unwrap();
                let io = Io {
                    x: x.view(),
                    y: y.view(),
                    dout: other.view(),
                };
                let wanted = Wanted {
                    dx: Some(dx.view_mut()),
                    params: true,
                };
                bn.backward_into(io, wanted, &pass).unwrap_err()
            }
        };
        assert_eq!(error, gone());
        assert!(error.to_string().contains("connection"), "{error}");
        bn.settle(Outcome::TakenBack);
        assert_eq!(state::<f64>(&bn), before);
        let [got, want] = [&mut bn, &mut untouched].map(|bn| {
            let y = LayerExt::forward(bn, other.view(), Mode::Train).unwrap();
            let dx = LayerExt::backward(bn, other.view(), y.view(), dout.view());
            (bits(&y), bits(&dx.unwrap()), state::<f64>(bn))
        });
        assert_eq!(got, want);
    }
}

/// Every layer without batch statistics accepts a shard without rows; the gradients are those of none.
#[test]
fn a_shard_may_have_no_rows() {
    for (mut layer, width) in every_layer::<f64>() {
        if format!("{layer:?}").starts_with("BatchNormalization") {
            continue; // it needs the other shards, which the tests above have
        }
        let all_reduce = AllReduce::new(&[vec![0]]);
        let rank = Rank {
            all_reduce: &all_reduce,
            rank: 0,
        };
        let pass = Pass::sharded(Mode::Train, &rank);
        let out = layer.output_shape(width.into()).unwrap().size();
        let (x, mut y) = (Array2::zeros((0, width)), Array2::zeros((0, out)));
        layer.forward_into(x.view(), y.view_mut(), &pass).unwrap();
        let mut dx = Array2::zeros((0, width));
        let wanted = Wanted {
            dx: Some(dx.view_mut()),
            params: true,
        };
        let (x, y) = (x.view(), y.view());
        layer
            .backward_into(Io { x, y, dout: y }, wanted, &pass)
            .unwrap();
        layer.settle(Outcome::Stands);
        layer.visit(&mut |p| assert!(p.grad.iter().all(|&g| g == 0.0), "{layer:?}"));
    }
}
