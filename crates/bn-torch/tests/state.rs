//! What a state_dict written here holds, and that loading it gives the same network.

use crate::{cases::supported, networks::batch};
use bn_layers::{Layer, LayerExt, Mode, Outcome, Pass};
use bn_net::Network;
use bn_torch::{from_bytes, load, save, to_bytes};

#[test]
fn every_network_is_the_same_after_a_round_trip() {
    for case in supported() {
        let bytes = to_bytes(&case.network).unwrap();
        let mut again: Network = case.network.spec().unwrap().build().unwrap();
        from_bytes(&bytes, &mut again).unwrap();
        let x = batch(&case.network, 3);
        let [expected, got] = [&case.network, &again].map(|n| n.predict(x.view()).unwrap());
        assert_eq!(got, expected, "{}", case.name);
        assert!(to_bytes(&again).unwrap() == bytes, "{}", case.name);
    }
}

#[test]
fn a_file_is_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let build = |seed| Network::builder(4).affine(3).batch_norm().build(seed);
    let (network, mut again): (Network, Network) = (build(1).unwrap(), build(2).unwrap());
    save(&network, &path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), to_bytes(&network).unwrap());
    load(&path, &mut again).unwrap();
    assert_eq!(to_bytes(&again).unwrap(), to_bytes(&network).unwrap());

    let missing = load(folder.path().join("missing"), &mut again).unwrap_err();
    assert!(missing.to_string().starts_with("cannot read"), "{missing}");
    assert!(load(folder.path(), &mut again).is_err());
    let nowhere = save(&network, folder.path().join("no/model")).unwrap_err();
    assert!(nowhere.to_string().starts_with("cannot write"), "{nowhere}");
}

#[test]
fn an_open_step_is_undone_first() {
    let build = |seed| Network::builder(4).affine(3).batch_norm().build(seed);
    let (network, mut open): (Network, Network) = (build(1).unwrap(), build(2).unwrap());
    let bytes = to_bytes(&network).unwrap();
    let (x, mut y) = (batch(&network, 6), ndarray::Array2::zeros((6, 3)));
    let pass = Pass::new(Mode::Train);
    open.forward_into(x.view(), y.view_mut(), &pass).unwrap();
    from_bytes(&bytes, &mut open).unwrap();
    open.settle(Outcome::Stands);
    assert!(to_bytes(&open).unwrap() == bytes);
}

#[test]
fn a_count_that_is_missing_stays() {
    let mut network: Network = Network::builder(2).batch_norm().build(1).unwrap();
    network.visit_counters_mut(&mut |_, value| *value = 7);
    let bytes = to_bytes(&network).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let others = file.iter().filter(|(name, _)| !name.contains("tracked"));
    let without = safetensors::serialize(others, None).unwrap();
    from_bytes(&without, &mut network).unwrap();
    assert_eq!(to_bytes(&network).unwrap(), bytes);
}

#[test]
fn a_network_in_double_precision_is_written_in_f64() {
    let network: Network = Network::builder(2).affine(2).build(1).unwrap();
    let doubled = network.to::<f64>().unwrap();
    let bytes = to_bytes(&doubled).unwrap();
    let mut again = doubled.spec().unwrap().build::<f64>().unwrap();
    from_bytes(&bytes, &mut again).unwrap();
    assert_eq!(to_bytes(&again).unwrap(), bytes);
    let mut single: Network = network.spec().unwrap().build().unwrap();
    from_bytes(&bytes, &mut single).unwrap();
    assert_eq!(to_bytes(&single).unwrap(), to_bytes(&network).unwrap());
}

#[test]
fn a_value_that_f32_cannot_hold_is_refused() {
    let network: Network = Network::builder(2).affine(2).build(1).unwrap();
    let mut doubled = network.to::<f64>().unwrap();
    doubled.visit_mut(&mut |p| p.value[1] = 1e300);
    let bytes = to_bytes(&doubled).unwrap();
    from_bytes(&bytes, &mut doubled).unwrap();
    let mut single: Network = network.spec().unwrap().build().unwrap();
    let error = from_bytes(&bytes, &mut single).unwrap_err().to_string();
    let expected = "0.weight has a value that f32 cannot hold";
    assert!(error.contains(expected), "{error}");
    doubled.visit_mut(&mut |p| p.value[1] = f64::INFINITY);
    from_bytes(&to_bytes(&doubled).unwrap(), &mut single).unwrap();
}
