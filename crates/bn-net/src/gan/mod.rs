//! Two networks that are trained in turn: `networks` has the networks and their steps, `noise` draws the
//! input of the generator, `run` trains over a data set.

mod networks;
mod noise;
mod run;

pub use networks::{DiscriminatorStep, Gan};
pub use run::{GanCallback, GanRecord};
