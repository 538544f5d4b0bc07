//! Two networks that are trained in turn: `networks` holds them and their steps, `noise` draws what
//! the generator starts from, `run` trains over a data set.

mod networks;
mod noise;
mod run;

pub use networks::{DiscriminatorStep, Gan};
pub use run::{GanCallback, GanRecord};
