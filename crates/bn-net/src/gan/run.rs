use super::networks::{DiscriminatorStep, Gan};
use crate::error::Error;
use bn_data::{BatchState, Batches};
use std::ops::ControlFlow;

/// One iteration of [`Gan::train`].
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GanRecord {
    /// Its number, from 1 on.
    pub iteration: u64,
    /// The discriminator's last step in it.
    pub discriminator: DiscriminatorStep,
    /// The generator's loss before its step.
    pub generator_loss: f64,
    /// The place among the mini-batches after it, for a checkpoint.
    pub batches: BatchState,
}

/// Functions that [`Gan::train`] calls; each may end it with [`ControlFlow::Break`]. A closure
/// `FnMut(&GanRecord, &Gan) -> ControlFlow<()>` is called after each iteration.
pub trait GanCallback: Send {
    /// After each step of the discriminator.
    fn on_discriminator_step(&mut self, step: &DiscriminatorStep) -> ControlFlow<()> {
        let _ = step;
        ControlFlow::Continue(())
    }

    /// After each iteration, which ends with a step of the generator.
    fn on_iteration(&mut self, record: &GanRecord, gan: &Gan) -> ControlFlow<()>;
}

impl<F: FnMut(&GanRecord, &Gan) -> ControlFlow<()> + Send> GanCallback for F {
    fn on_iteration(&mut self, record: &GanRecord, gan: &Gan) -> ControlFlow<()> {
        self(record, gan)
    }
}

impl Gan {
    /// Trains until `iterations` iterations are finished, those of a restored checkpoint included.
    /// An iteration is the discriminator's steps, each on the next batch, and one step of the
    /// generator by as many fakes as the last batch has images.
    ///
    /// # Errors
    /// [`Error::Step`].
    pub fn train(
        &mut self,
        batches: &mut Batches<'_>,
        iterations: u64,
        callback: &mut dyn GanCallback,
    ) -> Result<(), Error> {
        while self.iteration < iterations {
            let mut last = None;
            for _ in 0..self.discriminator_steps {
                let (step, n) = loop {
                    // An epoch ends with `None`; the next one has a batch.
                    if let Some(batch) = batches.next_batch() {
                        break (self.discriminator_step(batch.images)?, batch.len());
                    }
                };
                if callback.on_discriminator_step(&step).is_break() {
                    return Ok(());
                }
                last = Some((step, n));
            }
            let Some((discriminator, n)) = last else {
                continue; // there is at least one step
            };
            let generator_loss = self.generator_step(n)?;
            self.iteration += 1;
            let record = GanRecord {
                iteration: self.iteration,
                discriminator,
                generator_loss,
                batches: batches.state(),
            };
            if callback.on_iteration(&record, self).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }
}
