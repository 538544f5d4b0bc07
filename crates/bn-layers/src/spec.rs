use crate::error::Error;
use bn_tensor::Scalar;
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

    /// The settings as a value of the layer's own type.
    ///
    /// # Errors
    /// [`Error::Spec`] if they do not have this type.
    pub fn settings<S: DeserializeOwned>(&self) -> Result<S, Error> {
        S::deserialize(&self.settings).map_err(|error| Error::Spec {
            layer: self.layer.clone(),
            reason: error.to_string(),
        })
    }
}

/// Checks that there is memory for an array of these sizes. A description from a file may contain
/// any sizes.
pub(crate) fn check_memory<T: Scalar>(layer: &str, sizes: &[usize]) -> Result<(), Error> {
    // The product must not overflow even if one of the sizes is 0.
    let len = (sizes.iter()).try_fold(1usize, |len, &size| len.checked_mul(size.max(1)));
    match len.map(|len| Vec::<T>::new().try_reserve_exact(len)) {
        Some(Ok(())) => Ok(()),
        _ => Err(Error::Spec {
            layer: layer.to_owned(),
            reason: format!("there is not enough memory for an array of shape {sizes:?}"),
        }),
    }
}
