//! All integration tests of this crate but the count of allocations, as one program: each generic layer and kernel is
//! compiled once instead of once a file. `.ci/run` checks that no file is missing here.

mod bad_input;
mod binary_cross_entropy;
mod builder;
mod checkpoint;
mod checkpoint_killed;
mod checkpoint_optimizer;
mod checkpoint_refused;
mod common;
mod finite;
mod gan;
mod golden_book;
mod golden_torch;
mod gradients;
mod images;
mod inference;
mod one_network;
mod outside;
mod same_bits;
mod trainer;
mod trainer_losses;
mod transaction;
