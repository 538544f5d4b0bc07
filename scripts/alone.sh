#!/bin/sh
# Builds and runs, for each crate, a program outside the workspace that depends on it alone.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export CARGO_TARGET_DIR="$root/target/alone"

try() { # crate, further dependencies; the program on standard input
    crate=$1
    mkdir -p "$folder/$crate/src"
    cat >"$folder/$crate/src/main.rs"
    cat >"$folder/$crate/Cargo.toml" <<TOML
[package]
name = "depends-on-$crate"
edition = "2024"
[dependencies]
$crate = { path = "$root/crates/$crate" }
ndarray = "0.17"
[workspace]
TOML
    cp "$root/Cargo.lock" "$folder/$crate/Cargo.lock"
    printf '%s: ' "$crate"
    cargo run -q --manifest-path "$folder/$crate/Cargo.toml"
}

try bn-tensor <<'RUST'
use bn_tensor::{Moments, matmul_backend};
fn main() {
    let x = ndarray::Array3::from_shape_fn((1000, 2, 1), |(i, c, _)| (i % 5 * (c + 1)) as f32);
    let variance: Vec<f64> = Moments::of(x.view()).unwrap().variance().unwrap().collect();
    assert!(variance.iter().zip([2.0, 8.0]).all(|(got, want)| (got - want).abs() < 1e-6));
    println!("variances {variance:?}, {}", matmul_backend());
}
RUST

try bn-layers <<'RUST'
use bn_layers::{BatchNormConfig, BatchNormalization, Mode};
fn main() {
    let x = ndarray::array![[1.0f32, 10.0], [3.0, 30.0]];
    let mut bn = BatchNormalization::new(2, BatchNormConfig::book()).unwrap();
    let y = bn.forward(x.view(), Mode::Train).unwrap();
    let dx = bn.backward(x.view(), y.view()).unwrap();
    assert!((y[[1, 0]] - 1.0).abs() < 1e-5 && dx.iter().all(|d| d.abs() < 1e-5));
    println!("xn {:?}", y.row(1).to_vec());
}
RUST

try bn-net <<'RUST'
use bn_net::{Network, Sgd, SoftmaxWithLoss};
fn main() {
    let mut net = Network::builder(2).affine(8).batch_norm().relu().affine(2).build(1).unwrap();
    let x = ndarray::array![[0.0f32, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
    let (labels, mut loss, mut sgd) = ([0, 1, 1, 0], SoftmaxWithLoss::new(), Sgd::new(0.5).unwrap());
    for _ in 0..200 {
        net.train_step(x.view(), (&labels[..]).into(), &mut loss, &mut sgd).unwrap();
    }
    println!("exclusive or: accuracy {}", net.accuracy(x.view(), &labels).unwrap());
}
RUST

try bn-data <<'RUST'
use bn_data::{Batches, Digits};
fn main() {
    let (train, test) = Digits::load().unwrap().into_parts();
    let mut batches = Batches::new(&train, 100, 1).unwrap();
    let first = batches.next_batch().unwrap();
    assert_eq!(first.images.dim(), (100, 64));
    println!("{} and {} digits", train.len(), test.len());
}
RUST

printf 'bn-tensor without default features: %s crates\n' \
    "$(cargo tree --manifest-path "$root/Cargo.toml" -p bn-tensor --no-default-features -e normal --prefix none | sort -u | wc -l)"
