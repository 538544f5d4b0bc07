//! The parameters after training are the same bits on any number of threads.

use bn_layers::Layer;
use bn_net::{Network, Sgd, SoftmaxWithLoss};
use bn_tensor::{Pool, Scalar};
use ndarray::Array2;
use proptest::prelude::*;

/// Bits of all parameters and running statistics after `steps` steps.
fn train<T: Scalar>(
    threads: usize,
    sizes: &[usize],
    batch: usize,
    steps: usize,
) -> (Vec<u64>, f64) {
    let (input, output) = (sizes[0], sizes[sizes.len() - 1]);
    let mut builder = Network::<T>::builder(input);
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

#[test]
fn the_books_network_trains_to_the_same_bits_on_any_number_of_threads() {
    let sizes = [784, 100, 100, 100, 100, 100, 10];
    let one = train::<f32>(1, &sizes, 100, 50);
    assert!(one.1.is_finite());
    for threads in [2, 3, 4, 8] {
        assert_eq!(
            train::<f32>(threads, &sizes, 100, 50),
            one,
            "{threads} threads"
        );
    }
}

#[test]
fn a_wider_network_in_both_precisions() {
    let sizes = [784, 512, 512, 10];
    let (single, double) = (
        train::<f32>(1, &sizes, 256, 3),
        train::<f64>(1, &sizes, 256, 3),
    );
    for threads in [2, 3, 8] {
        assert_eq!(
            train::<f32>(threads, &sizes, 256, 3),
            single,
            "{threads} threads, f32"
        );
        assert_eq!(
            train::<f64>(threads, &sizes, 256, 3),
            double,
            "{threads} threads, f64"
        );
    }
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
