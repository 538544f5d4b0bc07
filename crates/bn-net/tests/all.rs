//! All integration tests of this crate except `allocations` and `same_bits`, as one program, so that each generic layer
//! and kernel is compiled once instead of once per file. `.ci/run` checks that no file is missing here.

mod accumulate;
#[path = "../../bn-layers/tests/common/all_reduce.rs"]
mod all_reduce;
mod bad_input;
mod binary_cross_entropy;
mod branches;
mod builder;
mod checkpoint;
mod checkpoint_killed;
mod checkpoint_optimizer;
mod checkpoint_refused;
mod classes;
mod common;
mod every_size;
mod finite;
mod freeze;
mod gan;
mod golden_book;
mod golden_residual;
mod golden_torch;
mod golden_training;
mod gradients;
mod images;
mod inference;
mod losses;
#[path = "../../bn-tensor/tests/common/memory_limit.rs"]
mod memory_limit;
mod metrics;
mod metrics_input;
mod model_file;
#[cfg(feature = "npz")]
mod npz;
mod numpy_seed;
mod one_network;
mod outside;
mod prelude;
mod resume;
mod resume_settings;
mod shards;
mod small_errors;
mod threads;
mod trainer;
mod trainer_losses;
mod trainer_output;
mod trainer_tasks;
mod transaction;
