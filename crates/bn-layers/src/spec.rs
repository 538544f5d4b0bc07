use crate::error::Error;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A layer's description of itself: its name and its settings, without its state. From this and
/// the state ([`Layer::state`](crate::Layer::state)) the layer can be made again.
///
/// ```
/// use bn_layers::{Dropout, Layer, LayerSpec};
/// let spec = Layer::<f32>::describe(&Dropout::new(0.5, 7)?).unwrap();
/// assert_eq!(spec.layer, "Dropout");
/// let again = spec.build::<f32>()?;
/// assert_eq!(again.describe(), Some(spec));
/// # Ok::<(), bn_layers::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerSpec {
    /// The layer's type, such as `Affine`.
    pub layer: String,
    /// Its settings, as JSON.
    pub settings: serde_json::Value,
}

impl LayerSpec {
    /// A description from the layer's name and its settings. Settings that JSON cannot hold are
    /// stored as null, and are refused when the layer is made again.
    pub fn new(layer: &str, settings: impl Serialize) -> Self {
        Self {
            layer: layer.to_owned(),
            settings: serde_json::to_value(settings).unwrap_or_default(),
        }
    }

    /// The settings as the layer's own type.
    ///
    /// # Errors
    /// [`Error::Spec`] when they are not of this type.
    pub fn settings<S: DeserializeOwned>(&self) -> Result<S, Error> {
        S::deserialize(&self.settings).map_err(|error| Error::Spec {
            layer: self.layer.clone(),
            reason: error.to_string(),
        })
    }
}
