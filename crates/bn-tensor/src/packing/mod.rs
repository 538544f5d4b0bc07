//! The memory into which a product packs blocks of its operands. Each thread has its own.

mod blocks;
mod buffers;

pub(crate) use blocks::{BLOCK_M, block_columns, block_depth, blocks};
#[cfg(feature = "parallel")]
pub(crate) use buffers::allocate;
pub(crate) use buffers::{BUFFERS_F32, BUFFERS_F64, Buffers, aligned, with_alignment};
