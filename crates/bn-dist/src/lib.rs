//! Data-parallel training on several machines: Batch Normalization over the whole batch, and the same bits at any
//! number of ranks.
//!
//! # The design decision
//!
//! **A batch is cut into a fixed number of shards, and every sum is formed in one binary tree over them.** A rank,
//! which is a process that `mpirun` has started or a thread of this process, has some of the shards, adds up its
//! part of the tree, and exchanges the rest. So the statistics of Batch Normalization, the loss and the
//! gradients do not depend on which rank has which rows: a run on one rank and a run on four end with the same file.
//!
//! ```
//! use bn_data::Digits;
//! use bn_dist::{DataParallel, World};
//! use bn_net::{Network, Sgd, SoftmaxWithLoss, Trainer};
//!
//! /// What every rank does. With MPI: `World::mpi(train)`.
//! fn train(world: &World) -> Result<f64, bn_net::Error> {
//!     let (train, test) = Digits::load()?.into_parts();
//!     let mut network = Network::builder(64).affine(32).batch_norm().relu().affine(10).build(1)?;
//!     let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1)?);
//!     let trainer = Trainer::new(64).epochs(5).progress(false);
//!     let mut parallel = DataParallel::new(world)?;
//!     let history = parallel.fit(&trainer, &mut network, &mut loss, &mut sgd, &train, Some(&test))?;
//!     Ok(history.last().unwrap().test_accuracy().unwrap())
//! }
//!
//! let accuracies = World::simulate(2, train);
//! for accuracy in accuracies {
//!     assert!(accuracy? > 0.85);
//! }
//! # Ok::<(), bn_net::Error>(())
//! ```

mod data_parallel;
mod digest;
mod error;
mod exchange;
mod header;
mod layout;
mod reduction;
mod timing;
mod watchdog;
mod world;

pub use data_parallel::{BUCKET_BYTES, CHECK_EVERY, DataParallel, SHARDS};
pub use error::Error;
pub use world::{WATCHDOG, World};

/// Runs the README's program as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
