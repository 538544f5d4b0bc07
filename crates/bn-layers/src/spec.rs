use crate::error::Error;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The description of a layer: its name and settings, without its state. The layer can be rebuilt
/// from this and its state ([`Layer::state`](crate::Layer::state)).
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
    /// Creates a description from the layer's name and settings. Settings that JSON cannot represent
    /// are stored as null; [`build`](Self::build) then fails.
    pub fn new(layer: &str, settings: impl Serialize) -> Self {
        Self {
            layer: layer.to_owned(),
            settings: serde_json::to_value(settings).unwrap_or_default(),
        }
    }

    /// The settings as a value of the layer's own type; see [`settings`](crate::settings).
    ///
    /// # Errors
    /// [`Error::Spec`] if they do not have this type.
    pub fn settings<S: DeserializeOwned>(&self) -> Result<S, Error> {
        S::deserialize(&self.settings).map_err(|error| Error::Spec {
            layer: self.layer.clone(),
            reason: error.to_string(),
        })
    }

    /// Whether each value of the output depends only on the value of the input at the same position, by a rule that
    /// is the same at all positions.
    ///
    /// ```
    /// use bn_layers::{LayerSpec, Shape};
    /// assert!(LayerSpec::new("Relu", ()).is_element_wise());
    /// assert!(!LayerSpec::new("Reshape", Shape::Flat(4)).is_element_wise());
    /// ```
    pub fn is_element_wise(&self) -> bool {
        const ELEMENT_WISE: [&str; 10] = [
            "Dropout",
            "Elu",
            "Gelu",
            "Identity",
            "LeakyRelu",
            "Relu",
            "Relu6",
            "Sigmoid",
            "Silu",
            "Tanh",
        ];
        ELEMENT_WISE.contains(&&*self.layer)
    }
}
