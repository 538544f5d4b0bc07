#!/bin/sh
# For each crate, builds and runs a program outside the workspace that depends only on this crate and on those below it
# whose types it names.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export CARGO_TARGET_DIR="$root/target/alone"
# Neither do the programs need line tables, nor every layer compiled in advance, as a debug build does.
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_DEBUG_ASSERTIONS=false

try() { # the crate, another crate that the program names, if there is one; the program on standard input
    crate=$1
    below=
    if [ -n "${2-}" ]; then below="$2 = { path = \"$root/crates/$2\" }"; fi
    mkdir -p "$folder/$crate/src"
    cat >"$folder/$crate/src/main.rs"
    cat >"$folder/$crate/Cargo.toml" <<TOML
[package]
name = "depends-on-$crate"
edition = "2024"
[dependencies]
$crate = { path = "$root/crates/$crate" }
$below
ndarray = "0.17"
[workspace]
TOML
    # The layers in the documentation become modules of the program.
    for module in "$root/crates/$crate"/docs/*.rs; do
        if [ -e "$module" ]; then cp "$module" "$folder/$crate/src/"; fi
    done
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
mod gelu;
mod layer_norm;
use bn_layers::{BatchNormConfig, BatchNormalization, GradientCheck, Layer, LayerExt, Mode, Scalar};

/// Everything that a generic layer needs is exported, including `Scalar`.
fn twice<T: Scalar>(layer: &mut dyn Layer<T>, x: ndarray::ArrayView2<'_, T>) -> ndarray::Array2<T> {
    let y = layer.forward(x, Mode::Train).unwrap();
    layer.forward(y.view(), Mode::Train).unwrap()
}

fn main() {
    let x = ndarray::array![[1.0f32, 10.0], [3.0, 30.0]];
    let mut bn = BatchNormalization::new(2, BatchNormConfig::book()).unwrap();
    let y = bn.forward(x.view(), Mode::Train).unwrap();
    let dx = bn.backward(x.view(), y.view()).unwrap();
    assert!((y[[1, 0]] - 1.0).abs() < 1e-5 && dx.iter().all(|d| d.abs() < 1e-5));
    println!("xn {:?}", y.row(1).to_vec());

    let x = ndarray::array![[1.0, 2.0, 4.0], [-1.0, 0.0, 0.5]];
    let check = GradientCheck::default();
    for layer in [&mut layer_norm::LayerNorm::new(3) as &mut dyn Layer<f64>, &mut gelu::Gelu] {
        let report = check.check(layer, x.view()).unwrap();
        assert!(report.worst().relative < 1e-6, "{report}");
        assert!(twice(layer, x.view()).iter().all(|y| y.is_finite()));
    }
    println!("Layer Normalization and GELU from outside: gradients checked");
}
RUST

try bn-net bn-layers <<'RUST'
#[path = "residual.rs"]
mod residual;
use bn_layers::{GradientCheck, LayerExt};
use bn_net::{Adam, Checkpoint, IdentityWithLoss, Network, NetworkBuilder, Sgd, SoftmaxWithLoss};
use ndarray::Array2;

fn with_residual_block() -> Network<f64> {
    let body = NetworkBuilder::<f64>::new(8).affine_without_bias(8).batch_norm().relu().affine(8);
    let shortcut = NetworkBuilder::<f64>::new(8).affine(8);
    let block = residual::Residual::new(body.build(1).unwrap(), shortcut.build(2).unwrap());
    let builder = NetworkBuilder::<f64>::new(2).affine(8).layer("residual", block).relu();
    builder.affine(1).build(3).unwrap()
}

fn train(network: &mut Network<f64>, adam: &mut Adam<f64>, steps: usize) -> f64 {
    let x = Array2::from_shape_fn((32, 2), |(n, d)| ((n * 2 + d) as f64 * 0.7).sin());
    let t = x.map_axis(ndarray::Axis(1), |x| x[0] * x[1]).insert_axis(ndarray::Axis(1));
    let mut loss = IdentityWithLoss::default();
    let step = |_| network.train_step(x.view(), t.view().into(), &mut loss, adam).unwrap();
    (0..steps).map(step).last().unwrap()
}

fn bits(network: &Network<f64>) -> Vec<u64> {
    let mut bits = Vec::new();
    network.visit(&mut |p| bits.extend(p.value.iter().map(|v| v.to_bits())));
    bits
}

fn main() {
    let mut net = Network::builder(2).affine(8).batch_norm().relu().affine(2).build(1).unwrap();
    let x = ndarray::array![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
    let (labels, mut loss, mut sgd) = ([0, 1, 1, 0], SoftmaxWithLoss::new(), Sgd::new(0.5).unwrap());
    for _ in 0..200 {
        net.train_step(x.view(), (&labels[..]).into(), &mut loss, &mut sgd).unwrap();
    }
    println!("exclusive or: accuracy {}", net.accuracy(x.view(), &labels).unwrap());

    let (mut network, mut adam) = (with_residual_block(), Adam::book(0.01).unwrap());
    let x = Array2::from_shape_fn((6, 2), |(n, d)| ((n * 2 + d) as f64).cos());
    let report = GradientCheck::default().check(&mut network, x.view()).unwrap();
    assert!(report.worst().relative < 1e-6, "{report}");
    let first = train(&mut network, &mut adam, 1);
    train(&mut network, &mut adam, 200);
    let mut checkpoint = Checkpoint::new();
    checkpoint.add_network("network", &network).unwrap();
    checkpoint.add_optimizer("adam", &adam).unwrap();
    let path = std::env::temp_dir().join(format!("residual-{}.safetensors", std::process::id()));
    checkpoint.save(&path).unwrap();
    let last = train(&mut network, &mut adam, 100);
    let (mut resumed, mut adam) = (with_residual_block(), Adam::book(0.01).unwrap());
    let checkpoint = Checkpoint::load(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    checkpoint.restore_network("network", &mut resumed).unwrap();
    checkpoint.restore_optimizer("adam", &mut adam, &resumed).unwrap();
    train(&mut resumed, &mut adam, 100);
    assert_eq!(bits(&resumed), bits(&network));
    println!("residual block from outside: loss {first:.4} to {last:.6}, resumed to the same bits");
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

try bn-dist bn-net <<'RUST'
use bn_dist::{DataParallel, World};
use bn_net::{Adam, Error, Network, SoftmaxWithLoss};
use ndarray::{Array2, Axis, Slice};

/// The losses of ten steps on a batch of 50, of which each rank has its part.
fn train(world: &World) -> Result<Vec<f64>, Error> {
    let x = Array2::from_shape_fn((50, 4), |(n, d)| ((n * 4 + d) as f32).sin());
    let labels: Vec<usize> = (0..50).map(|n| n % 3).collect();
    let mut network = Network::builder(4).affine(8).batch_norm().relu().affine(3).build(1)?;
    let (mut loss, mut adam) = (SoftmaxWithLoss::new(), Adam::pytorch(0.01)?);
    let mut parallel = DataParallel::new(world)?;
    let mine = parallel.rows(50);
    let x = x.slice_axis(Axis(0), Slice::from(mine.clone()));
    let mut step = || parallel.train_step(&mut network, x, (&labels[mine.clone()]).into(), &mut loss, &mut adam);
    (0..10).map(|_| step()).collect()
}

fn main() {
    let [one, three] = [1, 3].map(|ranks| World::simulate(ranks, train).remove(0).unwrap());
    assert_eq!(one, three);
    assert!(one[9] < one[0]);
    println!("three ranks have the bits of one: {:.4} to {:.4}", one[0], one[9]);
}
RUST

try bn-onnx bn-net <<'RUST'
use bn_net::Network;

fn main() {
    let network = Network::builder(4).affine(8).batch_norm().relu().affine(3).build(1).unwrap();
    let bytes = bn_onnx::to_bytes(&network).unwrap();
    let again = bn_onnx::from_bytes(&bytes).unwrap();
    let x = ndarray::array![[1.0f32, 2.0, 3.0, 4.0]];
    assert_eq!(again.predict(x.view()).unwrap(), network.predict(x.view()).unwrap());
    println!("{} bytes of ONNX, and back: {:?}", bytes.len(), again.spec().unwrap().layers.len());
}
RUST

try bn-serve bn-net <<'RUST'
use bn_net::{Model, Network};
use bn_serve::{Content, Options, serve};
use std::io::{Read, Write};
use std::sync::{Arc, atomic::{AtomicBool, Ordering}};

fn main() {
    let network = Network::builder(4).affine(8).batch_norm().relu().affine(3).build(1).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let content = Content::new().model(Model::from(network));
    let server = std::thread::spawn(move || serve(listener, content, &Options::default(), flag));
    client.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"));
    stop.store(true, Ordering::Relaxed);
    server.join().unwrap().unwrap();
    println!("{}", answer.lines().last().unwrap());
}
RUST

try bn-torch bn-net <<'RUST'
use bn_net::Network;

fn main() {
    let build = |seed| Network::builder(4).affine(8).batch_norm().relu().affine(3).build(seed).unwrap();
    let (network, mut again): (Network, Network) = (build(1), build(2));
    bn_torch::from_bytes(&bn_torch::to_bytes(&network).unwrap(), &mut again).unwrap();
    let x = ndarray::array![[1.0f32, 2.0, 3.0, 4.0]];
    assert_eq!(again.predict(x.view()).unwrap(), network.predict(x.view()).unwrap());
    println!("{}", bn_torch::sequential(&again).unwrap());
}
RUST
