//! `bn convert`.

mod book;
mod format;

use crate::{
    error::Error,
    model,
    output::{Output, check_writable},
};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

use format::Format;

/// Which format a file has follows from its name: `.safetensors` is bn's, `.onnx` ONNX, `.npz` Keras' weights or, with
/// `--book`, the arrays of the book's programs.
#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// The model: a .safetensors file of bn, or an .onnx or .npz file
    from: PathBuf,
    /// The file to write: .safetensors, .onnx or .npz
    to: PathBuf,
    /// A model with the layers of the Keras weights in an .npz file, which have none themselves
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
    /// An .npz file has the names of the book "Deep Learning from Scratch" (W1, b1, gamma1, …), not Keras' order
    #[arg(long)]
    book: bool,
}

pub(crate) fn report(args: &ConvertArgs, output: Output) -> Result<(), Error> {
    let from = Format::of(&args.from, args.book)?;
    let to = Format::of(&args.to, args.book)?;
    check_writable(&args.to)?;
    let template = args.network.as_deref().map(model::load).transpose()?;
    let loaded = from.read(&args.from, template)?;
    let lost = to.write(&args.to, &loaded)?;
    let parameters = loaded.model.network.param_count();
    let json = json!({ "from": args.from, "to": args.to, "parameters": parameters, "lost": lost });
    output.report(&json, || {
        let (from, to) = (args.from.display(), args.to.display());
        let mut text = format!("{from} -> {to}: {parameters} parameters");
        if !lost.is_empty() {
            text += &format!("\nnot part of the new file: {}", lost.join(", "));
        }
        text
    })
}
