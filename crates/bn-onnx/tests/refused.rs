use crate::networks::export_only;
use bn_layers::{BatchNormConfig, Pool2dConfig};
use bn_net::Network;
use bn_onnx::{from_bytes, to_bytes};

#[test]
fn a_layer_without_an_operator_is_refused_by_name() {
    let own_batch = BatchNormConfig {
        track_running_stats: false,
        ..BatchNormConfig::pytorch()
    };
    let network = Network::builder(4)
        .affine(3)
        .batch_norm_with(own_batch)
        .build(1)
        .unwrap();
    let error = to_bytes(&network).unwrap_err().to_string();
    assert!(
        error.starts_with("layers.1 (BatchNormalization) cannot be exported: it keeps no running"),
        "{error}"
    );

    let pool = Pool2dConfig::new(2).ceil_mode().counting_padding();
    let network = Network::builder((5, 5, 1))
        .avg_pool2d_with(pool)
        .build(1)
        .unwrap();
    let error = to_bytes(&network).unwrap_err().to_string();
    assert!(error.starts_with("layers.0 (AvgPool2d)"), "{error}");
}

#[test]
fn an_operator_without_a_layer_is_refused_by_name() {
    for case in export_only() {
        let bytes = to_bytes(&case.network).unwrap();
        let error = from_bytes(&bytes).unwrap_err().to_string();
        assert!(
            error.contains("\"layers.1\" (Mul) cannot be imported"),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path(), std::path::Path::new("/dev/zero")] {
        if path.exists() {
            let error = bn_onnx::load(path).unwrap_err();
            assert!(matches!(error, bn_onnx::Error::Read { .. }), "{error}");
        }
    }
}
