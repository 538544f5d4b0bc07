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

const FORMATS: &str = "\
Which format a file has follows from its name:
  .safetensors  bn's; with --pytorch (to write) or --network (to read) a state_dict of PyTorch
  .onnx         ONNX
  .npz          Keras' weights; with --book the arrays of the programs of \"Deep Learning from Scratch\"";

#[derive(Debug, Args)]
#[command(after_help = FORMATS)]
pub(crate) struct ConvertArgs {
    /// The model: a .safetensors file of bn or of PyTorch (a state_dict), or an .onnx or .npz file
    from: PathBuf,
    /// The file to write: .safetensors, .onnx or .npz
    to: PathBuf,
    /// A model with the layers of a state_dict or of Keras' weights, which have none themselves
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
    /// An .npz file has the names of the book "Deep Learning from Scratch" (W1, b1, gamma1, …), not Keras' order
    #[arg(long)]
    book: bool,
    /// Write a state_dict for PyTorch, which safetensors.torch.load_file reads, and print the nn.Sequential that it fits
    #[arg(long, conflicts_with = "book")]
    pytorch: bool,
}

pub(crate) fn report(args: &ConvertArgs, output: Output) -> Result<(), Error> {
    let to = match (Format::of(&args.to, args.book)?, args.pytorch) {
        (Format::Bn, true) => Format::PyTorch,
        (_, true) => {
            return Err(Error::usage(
                format!("{} is no name of a state_dict", args.to.display()),
                "give --pytorch a name that ends in .safetensors",
            ));
        }
        (format, false) => format,
    };
    let from = match (Format::of(&args.from, args.book)?, &args.network) {
        (Format::Bn, Some(_)) => Format::PyTorch, // bn's files have their layers
        (format, _) => format,
    };
    check_writable(&args.to)?;
    let template = args.network.as_deref().map(model::load).transpose()?;
    let loaded = from.read(&args.from, template)?;
    let lost = to.write(&args.to, &loaded)?;
    let parameters = loaded.model.network.param_count();
    let network = &loaded.model.network;
    let module = (to == Format::PyTorch).then(|| bn_torch::sequential(network));
    let module = module.transpose()?;
    let json = json!({
        "from": args.from, "to": args.to, "parameters": parameters, "lost": lost, "module": module,
    });
    output.report(&json, || {
        let (from, to) = (args.from.display(), args.to.display());
        let mut text = format!("{from} -> {to}: {parameters} parameters");
        if !lost.is_empty() {
            text += &format!("\nnot part of the new file: {}", lost.join(", "));
        }
        if let Some(module) = &module {
            text += &format!(
                "\n\n{module}\n# from safetensors.torch import load_file\n\
                 # model.load_state_dict(load_file({:?}))",
                args.to
            );
        }
        text
    })
}
