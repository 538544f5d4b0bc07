//! One program of all tests, so that generic code is compiled once. `web.rs` is a program of its own.

mod common;

mod activations;
mod batching;
mod events;
mod http;
mod limits;
mod sample;
mod shutdown;
mod training;
