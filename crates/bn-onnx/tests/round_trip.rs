use crate::networks::{all, batch};
use bn_onnx::{from_bytes, load, save, to_bytes};

#[test]
fn an_imported_network_predicts_the_same_and_is_exported_to_the_same_bytes() {
    for case in all() {
        let name = case.name;
        let bytes = to_bytes(&case.network).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = from_bytes(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let x = batch(&case.network, 3);
        let (expected, got) = (
            case.network.predict(x.view()).unwrap(),
            again.predict(x.view()).unwrap(),
        );
        assert_eq!(got.dim(), expected.dim(), "{name}");
        let worst = (&got - &expected)
            .iter()
            .fold(0.0, |worst: f32, d| worst.max(d.abs()));
        assert!(worst <= 1e-6, "{name}: the outputs differ by {worst}");
        assert!(
            to_bytes(&again).unwrap() == bytes,
            "{name}: the second export differs"
        );
    }
}

#[test]
fn a_file_is_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.onnx");
    let network = &all()[0].network;
    save(network, &path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), to_bytes(network).unwrap());
    let x = batch(network, 2);
    assert_eq!(
        load(&path).unwrap().predict(x.view()).unwrap(),
        network.predict(x.view()).unwrap()
    );

    let missing = load(folder.path().join("missing.onnx"))
        .unwrap_err()
        .to_string();
    assert!(
        missing.starts_with("cannot read") && missing.contains("missing.onnx"),
        "{missing}"
    );
    let nowhere = save(network, folder.path().join("no/network.onnx"))
        .unwrap_err()
        .to_string();
    assert!(nowhere.starts_with("cannot write"), "{nowhere}");
}

#[test]
fn a_network_in_double_precision_is_exported_in_single_precision() {
    for case in all() {
        let doubled = case.network.to::<f64>().unwrap();
        assert!(
            to_bytes(&doubled).unwrap() == to_bytes(&case.network).unwrap(),
            "{}",
            case.name
        );
    }
}

#[test]
fn a_scale_that_f32_would_round_keeps_its_size() {
    for columns in [1 << 24, (1 << 24) + 1, (1 << 40) + 1] {
        let network = bn_net::Network::<f32>::builder((1, 1, 1))
            .resize2d((1, columns), bn_layers::Interpolation::Nearest)
            .build(1)
            .unwrap();
        let again = bn_onnx::from_bytes(&bn_onnx::to_bytes(&network).unwrap()).unwrap();
        assert_eq!(again.output(), network.output());
    }
}
