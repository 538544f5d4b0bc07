//! Training runs, for those who follow them.

use crate::histogram::Histogram;
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// The most events that are kept for those who come later.
const HISTORY: usize = 4096;
/// The most events that a subscriber may be behind.
const BEHIND: usize = 256;

/// An event of a training run. In JSON it has a field `type`, such as `step`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A run begins. What is known of an earlier run of the same name is forgotten.
    Started {
        /// The name of the run.
        run: String,
    },
    /// The mean training loss of the steps since the last such event.
    Step {
        /// The name of the run.
        run: String,
        /// The number of steps so far.
        iteration: u64,
        /// The mean loss.
        loss: f64,
    },
    /// An evaluation.
    Evaluation {
        /// The name of the run.
        run: String,
        /// The number of steps so far.
        iteration: u64,
        /// The number of epochs so far.
        epoch: f64,
        /// The mean training loss since the last evaluation.
        train_loss: f64,
        /// The loss on the test set.
        test_loss: Option<f64>,
        /// The accuracy on the training set, from 0 to 1.
        train_accuracy: Option<f64>,
        /// The accuracy on the test set.
        test_accuracy: Option<f64>,
    },
    /// The weights and activations of each layer.
    Layers {
        /// The name of the run.
        run: String,
        /// The number of steps so far.
        iteration: u64,
        /// The layers in order.
        layers: Vec<LayerHistograms>,
    },
    /// A run has ended.
    Finished {
        /// The name of the run.
        run: String,
        /// Why it failed, if it did.
        error: Option<String>,
    },
}

impl Event {
    fn run(&self) -> &str {
        match self {
            Self::Started { run }
            | Self::Step { run, .. }
            | Self::Evaluation { run, .. }
            | Self::Layers { run, .. }
            | Self::Finished { run, .. } => run,
        }
    }
}

/// The distributions of a layer, or of layers that are computed together, such as a Batch Normalization and the rectifier
/// after it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerHistograms {
    /// Place and name in the builder, such as `0 affine` or `1 batch_norm, 2 relu`.
    pub name: String,
    /// The weights; none for a layer without.
    pub weights: Option<Histogram>,
    /// The output for the last batch.
    pub activations: Histogram,
}

/// The hub of training runs: whoever trains publishes, and any number of clients follow. A clone is the same hub.
///
/// Publishing never waits. A client that comes later gets the history first: the last histograms of each run, and at most
/// 4,096 events; of a long run every second step is forgotten as often as necessary. A client that cannot follow is
/// disconnected, and gets the history when it connects again.
///
/// ```
/// use bn_serve::{Event, Live};
/// let live = Live::new();
/// live.publish(&Event::Step { run: "with".into(), iteration: 1, loss: 2.3 });
/// assert_eq!(live.history(), [r#"{"type":"step","run":"with","iteration":1,"loss":2.3}"#]);
/// ```
#[derive(Debug, Clone)]
pub struct Live(Arc<Hub>);

#[derive(Debug)]
struct Hub {
    history: Mutex<Vec<Past>>,
    sender: broadcast::Sender<Arc<str>>,
}

#[derive(Debug, Clone)]
struct Past {
    run: String,
    kind: Kind,
    json: Arc<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Step,
    Layers,
    Other,
}

impl Default for Live {
    fn default() -> Self {
        Self(Arc::new(Hub {
            history: Mutex::default(),
            sender: broadcast::channel(BEHIND).0,
        }))
    }
}

impl Live {
    /// A hub without events.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event and sends it to all clients.
    pub fn publish(&self, event: &Event) {
        let Ok(json) = serde_json::to_string(event) else {
            return; // only a map with other keys than strings cannot be written
        };
        let kind = match event {
            Event::Step { .. } => Kind::Step,
            Event::Layers { .. } => Kind::Layers,
            _ => Kind::Other,
        };
        let (run, json) = (event.run().to_owned(), Arc::<str>::from(json));
        let mut history = self.lock();
        match event {
            Event::Started { .. } => history.retain(|past| past.run != run),
            Event::Layers { .. } => {
                history.retain(|past| past.kind != Kind::Layers || past.run != run);
            }
            _ => {}
        }
        if history.len() >= HISTORY {
            thin(&mut history);
        }
        let sent = Arc::clone(&json);
        history.push(Past { run, kind, json });
        // Under the lock, so that a new subscriber misses nothing and gets nothing twice.
        let _ = self.0.sender.send(sent);
    }

    /// The events that a new client gets first, as JSON.
    pub fn history(&self) -> Vec<String> {
        self.lock()
            .iter()
            .map(|past| past.json.to_string())
            .collect()
    }

    /// The history, and what comes after it.
    pub(crate) fn subscribe(&self) -> (Vec<Arc<str>>, broadcast::Receiver<Arc<str>>) {
        let history = self.lock();
        let past = history.iter().map(|past| Arc::clone(&past.json)).collect();
        (past, self.0.sender.subscribe())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Past>> {
        self.0
            .history
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets every second step; if that is too little, the older half of everything.
fn thin(history: &mut Vec<Past>) {
    let mut forget = false;
    history.retain(|past| {
        forget ^= past.kind == Kind::Step;
        past.kind != Kind::Step || forget
    });
    if history.len() > HISTORY * 3 / 4 {
        history.drain(..HISTORY / 2);
    }
}
