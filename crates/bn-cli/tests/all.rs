//! All integration tests of this crate, as one program. They run the command `bn`.

mod common;

mod careless;
mod config;
mod data;
mod interrupted;
mod pages;
mod pictures;
#[cfg(feature = "serve")]
mod served;
mod terminal;
mod whole_path;
