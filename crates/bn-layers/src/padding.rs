//! Windows in a layer's description.

use bn_tensor::Padding;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(remote = "Padding")]
enum SerializedPadding {
    Valid,
    Same,
    Explicit {
        top: usize,
        bottom: usize,
        left: usize,
        right: usize,
    },
}

pub(crate) fn serialize<S: Serializer>(padding: &Padding, to: S) -> Result<S::Ok, S::Error> {
    SerializedPadding::serialize(padding, to)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Padding, D::Error> {
    SerializedPadding::deserialize(from)
}

/// The dilation and the number of groups in descriptions that do not have them: those of older versions.
pub(crate) fn no_dilation() -> (usize, usize) {
    (1, 1)
}

pub(crate) fn one_group() -> usize {
    1
}
