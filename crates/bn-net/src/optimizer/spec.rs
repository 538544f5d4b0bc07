use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// The kind of an optimizer and its settings. The learning rate is not part of it, because a
/// schedule changes it during training.
///
/// A checkpoint stores it, so that the state of one optimizer is not restored into another.
///
/// ```
/// use bn_net::{Adam, Optimizer};
/// let spec = Optimizer::<f32>::describe(&Adam::book(0.01)?).unwrap();
/// assert_eq!(spec.to_string(), "Adam::book (beta1 0.9, beta2 0.999, eps 1e-7, weight_decay 0.0)");
/// # Ok::<(), bn_net::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OptimizerSpec {
    /// The optimizer's type, such as `AdamW`, with the constructor where formulas differ:
    /// `Adam::book`.
    pub optimizer: String,
    /// Its settings by name.
    pub settings: BTreeMap<String, f64>,
}

impl OptimizerSpec {
    /// A description from the optimizer's type and its settings.
    pub fn new(optimizer: &str, settings: &[(&str, f64)]) -> Self {
        let settings = settings.iter();
        Self {
            optimizer: optimizer.to_owned(),
            settings: settings
                .map(|&(name, value)| (name.to_owned(), value))
                .collect(),
        }
    }
}

impl fmt::Display for OptimizerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.optimizer)?;
        for (i, (name, value)) in self.settings.iter().enumerate() {
            let before = if i == 0 { " (" } else { ", " };
            write!(f, "{before}{name} {value:?}")?;
        }
        match self.settings.is_empty() {
            true => Ok(()),
            false => f.write_str(")"),
        }
    }
}
