use super::history::Record;
use crate::network::Network;
use std::ops::ControlFlow;

/// Functions that a training run calls; each may end it with [`ControlFlow::Break`]. A
/// closure `FnMut(&Record, &Network) -> ControlFlow<()>` is called for each evaluation.
pub trait Callback: Send {
    /// After each step: its number, from 1 on, and its loss.
    fn on_step(&mut self, iteration: u64, loss: f64) -> ControlFlow<()> {
        let _ = (iteration, loss);
        ControlFlow::Continue(())
    }

    /// After each evaluation.
    fn on_record(&mut self, record: &Record, network: &Network) -> ControlFlow<()>;
}

impl<F: FnMut(&Record, &Network) -> ControlFlow<()> + Send> Callback for F {
    fn on_record(&mut self, record: &Record, network: &Network) -> ControlFlow<()> {
        self(record, network)
    }
}
