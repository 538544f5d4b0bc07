//! The parameters after training have the same bits on any number of threads.

use bn_layers::LayerExt;
use bn_net::{NetworkBuilder, Sgd, SoftmaxWithLoss};
use bn_tensor::{Pool, Scalar, matmul_backend};
use ndarray::Array2;
use proptest::prelude::*;
use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
};

/// Bits of all parameters and running statistics after `steps` steps.
fn train<T: Scalar>(
    threads: usize,
    sizes: &[usize],
    batch: usize,
    steps: usize,
) -> (Vec<u64>, f64) {
    let (input, output) = (sizes[0], sizes[sizes.len() - 1]);
    let mut builder = NetworkBuilder::<T>::new(input);
    for &hidden in &sizes[1..sizes.len() - 1] {
        builder = builder.affine(hidden).batch_norm().relu().dropout(0.3);
    }
    let mut network = builder.affine(output).build(7).unwrap();
    let x = Array2::from_shape_fn((batch, input), |(n, d)| {
        T::from_f64(((n * input + d) as f64 * 0.7).sin())
    });
    let labels: Vec<usize> = (0..batch).map(|n| n % output).collect();
    let mut last = 0.0;
    Pool::new(threads).unwrap().install(|| {
        let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1).unwrap());
        for _ in 0..steps {
            let t = (&labels).into();
            last = network
                .train_step(x.view(), t, &mut loss, &mut sgd)
                .unwrap();
        }
    });
    let mut bits = Vec::new();
    network.visit(&mut |p| bits.extend(p.value.iter().map(|v| v.as_f64().to_bits())));
    (bits, last)
}

/// Runs 50 steps on each number of threads. Writes a digest to `target/tmp` that the script
/// `scripts/same-bits.sh` compares between builds.
fn check<T: Scalar>(name: &str, sizes: &[usize], batch: usize) {
    let one = train::<T>(1, sizes, batch, 50);
    assert!(one.1.is_finite());
    for threads in [2, 3, 4, 8] {
        let many = train::<T>(threads, sizes, batch, 50);
        assert!(many == one, "{threads} threads");
    }
    let mut digest = DefaultHasher::new();
    one.0.hash(&mut digest);
    let name = format!("same_bits-{name}-{}", std::any::type_name::<T>());
    let line = format!("{} {:016x}\n", matmul_backend(), digest.finish());
    fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), line).unwrap();
}

const BOOK: [usize; 7] = [784, 100, 100, 100, 100, 100, 10];
const MID: [usize; 5] = [784, 512, 512, 512, 10];

#[test]
fn the_books_network_in_f32() {
    check::<f32>("book", &BOOK, 100);
}

#[test]
fn the_books_network_in_f64() {
    check::<f64>("book", &BOOK, 100);
}

#[test]
fn a_wider_network_in_f32() {
    check::<f32>("mid", &MID, 256);
}

#[test]
fn a_wider_network_in_f64() {
    check::<f64>("mid", &MID, 256);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 16,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_shapes(
        input in 1usize..900, hidden in 1usize..400, output in 2usize..40, batch in 2usize..300,
    ) {
        let sizes = [input, hidden, output];
        prop_assert_eq!(train::<f32>(3, &sizes, batch, 2), train::<f32>(1, &sizes, batch, 2));
    }
}
