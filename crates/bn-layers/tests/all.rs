//! All integration tests of this crate, as one program, so that each generic layer and kernel
//! is compiled once instead of once per file. `.ci/run` checks that no file is missing here.

mod agreement;
mod bad_input;
mod bad_input_functional;
mod bad_input_layers;
mod common;
mod convolution_gradients;
mod describe;
mod every_size;
mod extreme_values;
mod fused;
mod golden_book;
mod golden_convolution;
mod golden_images;
mod golden_keras;
mod golden_layers;
mod golden_torch;
mod gradient_check;
mod gradients;
mod gradients_layers;
mod image_layers;
#[path = "../../bn-tensor/tests/common/memory_limit.rs"]
mod memory_limit;
mod not_a_number;
mod outside;
mod prelude;
mod raw_calls;
mod running_stats;
mod same_bits;
mod settle;
mod shards;
mod small_errors;
