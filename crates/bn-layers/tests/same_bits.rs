//! The same bits on 1, 2, 3 and 8 threads, for batches that are large enough to use several threads.

use crate::common::{AnyShape, bits, evaluated, random, random_row, state};
use bn_layers::{
    Affine, BatchNormConfig, BatchNormalization, Conv2d, Conv2dConfig, ConvTranspose2d, Dropout,
    Init, Interpolation, Layer, LayerExt, Layout, MaxPool2d, Mode, Pool2dConfig, ReflectPad2d,
    Resize2d, Tanh,
};
use bn_tensor::{Pool, Scalar, threads};
use ndarray::Array2;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// Everything that `layer` computes for a batch of `(n, d)`, as bits, on each number of threads.
fn check<T: Scalar>((n, d): (usize, usize), make: impl Fn() -> Box<dyn Layer<T>> + Sync) {
    let x = random::<T>((n, d), 1).mapv(|v| v + T::from_f64(3.0));
    let run = |x: &Array2<T>| {
        let mut layer = make();
        let mut all = Vec::new();
        for mode in [Mode::Train, Mode::BatchStats, Mode::Eval] {
            let y = layer.forward(x.view(), mode).unwrap();
            let dout = random::<T>(y.dim(), 2);
            let dx = layer.backward(x.view(), y.view(), dout.view()).unwrap();
            let again = evaluated(&*layer, x.view(), y.ncols());
            all.extend([bits(&y), bits(&dx), bits(&again)]);
            for (_, value, grad) in state(&*layer) {
                all.extend([value, grad]);
            }
        }
        all
    };
    let one = Pool::new(1).unwrap().install(|| run(&x));
    for count in [1, 2, 3, 8] {
        let pool = Pool::new(count).unwrap();
        let (got, seen) = pool.install(|| (run(&x), threads()));
        assert_eq!(seen, if cfg!(feature = "parallel") { count } else { 1 });
        assert!(got == one, "{n}×{d} on {count} threads");
    }
}

fn batch_norm<T: Scalar>(channels: usize, layout: Layout) -> Box<dyn Layer<T>> {
    let bn = BatchNormalization::new(channels, BatchNormConfig::pytorch()).unwrap();
    let (gamma, beta) = (random_row(channels, 1.5, 3), random_row(channels, 0.0, 4));
    let bn = bn.with_layout(layout).with_gamma_beta(gamma, beta);
    Box::new(AnyShape(bn.unwrap()))
}

fn check_all<T: Scalar>() {
    check::<T>((3000, 70), || batch_norm(70, Layout::ChannelsLast));
    check::<T>((40_000, 1), || batch_norm(1, Layout::ChannelsLast));
    let images = (64, 16 * 14 * 14);
    check::<T>(images, || batch_norm(16, Layout::ChannelsFirst));
    check::<T>(images, || batch_norm(16, Layout::ChannelsLast));
    check::<T>(images, || batch_norm(images.1, Layout::PerPosition));
    check::<T>((3000, 70), || Box::new(Dropout::new(0.3, 5).unwrap()));
    check::<T>((3000, 70), || Box::new(Dropout::book(0.3, 5).unwrap()));
    check::<T>((3000, 70), || Box::new(Tanh));
    check::<T>((3000, 70), || {
        Box::new(Affine::new(random((70, 90), 6), random_row(90, 0.0, 7)).unwrap())
    });
}

fn check_images<T: Scalar>() {
    let (image, dim) = ((14, 14, 16), (64, 16 * 14 * 14));
    let rng = || Xoshiro256PlusPlus::seed_from_u64(8);
    for config in [
        Conv2dConfig::new(24, 3).same().dilation(2),
        Conv2dConfig::new(24, 3).same().groups(4).stride(2),
        Conv2dConfig::depthwise(16, 1, 3).same(),
        Conv2dConfig::depthwise(16, 3, 3).same().dilation(3),
    ] {
        check::<T>(dim, || {
            Box::new(Conv2d::init(image, config, Init::He, &mut rng()).unwrap())
        });
        check::<T>(dim, || {
            Box::new(ConvTranspose2d::init(image, config, Init::He, &mut rng()).unwrap())
        });
    }
    let pool = Pool2dConfig::new(3).stride(2).dilation(2).ceil_mode();
    check::<T>(dim, || {
        Box::new(MaxPool2d::with_config(image, pool).unwrap())
    });
    check::<T>(dim, || {
        Box::new(Resize2d::new(image, (20, 9), Interpolation::Bilinear).unwrap())
    });
    check::<T>(dim, || {
        Box::new(ReflectPad2d::new(image, (3, 2), (1, 0)).unwrap())
    });
}

#[test]
fn images() {
    check_images::<f32>();
    check_images::<f64>();
}

#[test]
fn in_f32() {
    check_all::<f32>();
}

#[test]
fn in_f64() {
    check_all::<f64>();
}
