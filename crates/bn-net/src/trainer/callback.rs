use super::history::{History, Record};
use crate::network::Network;
use std::ops::ControlFlow;

/// Functions that [`Trainer::fit_with`](super::Trainer::fit_with) calls. Each may end the run with
/// [`ControlFlow::Break`].
///
/// A closure `FnMut(&Record, &Network) -> ControlFlow<()>` is a callback that is called after each
/// evaluation. A [`History`] is a callback that keeps every record.
pub trait Callback: Send {
    /// Called after each step with the number of steps so far and the step's loss.
    fn on_step(&mut self, iteration: u64, loss: f64) -> ControlFlow<()> {
        let _ = (iteration, loss);
        ControlFlow::Continue(())
    }

    /// Called after each evaluation.
    fn on_record(&mut self, record: &Record, network: &Network) -> ControlFlow<()>;
}

impl<F: FnMut(&Record, &Network) -> ControlFlow<()> + Send> Callback for F {
    fn on_record(&mut self, record: &Record, network: &Network) -> ControlFlow<()> {
        self(record, network)
    }
}

/// Keeps every record, also those of a run that fails later.
impl Callback for History {
    fn on_record(&mut self, record: &Record, _: &Network) -> ControlFlow<()> {
        self.records.push(*record);
        ControlFlow::Continue(())
    }
}
