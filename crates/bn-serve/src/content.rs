//! What a server offers.

use crate::live::Live;
use bn_layers::Shape;
use bn_net::{Model, Network};
use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
};

/// A function that trains: it publishes to the hub, and returns soon after the flag becomes true.
pub(crate) type Train = Box<dyn Fn(Live, Arc<AtomicBool>) + Send + Sync>;

/// What a server offers: a model, a training run to follow, a trainer to start, or several of them.
///
/// ```
/// use bn_net::{Model, Network};
/// use bn_serve::{Content, Live};
/// let network = Network::builder((8, 8, 1)).affine(16).batch_norm().relu().affine(10).build(1)?;
/// let content = Content::new().model(Model::from(network)).live(Live::new());
/// let router = bn_serve::router(content, &bn_serve::Options::default())?;
/// # let _ = router;
/// # Ok::<(), bn_serve::Error>(())
/// ```
#[derive(Default)]
pub struct Content {
    pub(crate) model: Option<Model>,
    pub(crate) live: Option<Live>,
    pub(crate) train: Option<Train>,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("model", &self.model)
            .field("live", &self.live)
            .field("train", &self.train.as_ref().map(|_| "…"))
            .finish()
    }
}

impl Content {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers a model. One that makes images of vectors, such as the generator of a GAN, is offered to sample from;
    /// any other as a classifier.
    #[must_use]
    pub fn model(mut self, model: Model) -> Self {
        self.model = Some(model);
        self
    }

    /// Offers the events of this hub.
    #[must_use]
    pub fn live(mut self, live: Live) -> Self {
        self.live = Some(live);
        self
    }

    /// Offers to start a training run, one at a time. `train` runs on a thread of its own; it publishes to the
    /// [hub](Self::live), and should return soon after the flag becomes true
    /// ([`Trainer::stop_when`](bn_net::Trainer::stop_when)).
    #[must_use]
    pub fn trainer(mut self, train: Box<dyn Fn(Live, Arc<AtomicBool>) + Send + Sync>) -> Self {
        self.train = Some(train);
        self
    }
}

/// Whether a network makes images of vectors.
pub(crate) fn is_generator(network: &Network) -> bool {
    matches!(
        (network.input(), network.output()),
        (Shape::Flat(_), Shape::Image { .. })
    )
}
