//! `bn serve`, and the page of `bn train --watch`.

use crate::{error::Error, interrupt, model, output::Output};
use bn_data::Preprocessing;
use bn_layers::Shape;
use bn_net::Model;
use bn_serve::{Content, Options};
use clap::Args;
use serde_json::json;
use std::{net::TcpListener, path::PathBuf};

/// Where a server listens unless another address is given; only programs on this machine reach it.
pub(crate) const ADDRESS: &str = "127.0.0.1:8080";

const USE: &str = "\
The page needs nothing from the internet. Programs send images or rows:
  curl -H 'Content-Type: application/json' -d '{\"rows\": [[0, 12, ...]]}' http://127.0.0.1:8080/v1/predict
/v1/model describes the model, /healthz is for probes, /metrics for Prometheus. Pixels are from 0 to 255.
Ctrl-C or SIGTERM ends the server after it has answered the requests that have arrived.";

#[derive(Debug, Args)]
#[command(after_help = USE)]
pub(crate) struct ServeArgs {
    /// A model to draw for, or the generator of a GAN: a file of bn, a checkpoint, or an .onnx file
    #[arg(default_value = model::DEFAULT)]
    model: PathBuf,
    /// The network of a checkpoint with several [default: averaged_generator, generator or network]
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// Listen on this address. Other machines can reach 0.0.0.0:8080; nothing asks them for a password
    #[arg(long, value_name = "HOST:PORT", default_value = ADDRESS)]
    address: String,
    /// Answer also for this name of the host, such as that of a proxy; may be given several times
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
}

pub(crate) fn report(args: &ServeArgs, output: Output) -> Result<(), Error> {
    let model = servable(args)?;
    let (listener, url) = listen(&args.address)?;
    output.report(&json!({ "url": url, "model": args.model }), || {
        format!("{} is served at {url} until Ctrl-C", args.model.display())
    })?;
    let options = Options {
        allowed_hosts: args.allow_host.clone(),
        ..Options::default()
    };
    let content = Content::new().model(model);
    bn_serve::serve(listener, content, &options, interrupt::handle())?;
    Ok(())
}

/// The model, which takes pixels from 0 to 255 if it takes images.
fn servable(args: &ServeArgs) -> Result<Model, Error> {
    if args.network.is_none()
        && let Ok(loaded) = model::load(&args.model)
    {
        let mut model = loaded.model;
        if let Shape::Image { .. } = model.network.input() {
            let given = &model.preprocessing;
            model.preprocessing = Preprocessing::new(1.0 / 255.0, given.mean(), given.std())?;
        }
        return Ok(model);
    }
    let (_, network) = model::named_network(&args.model, args.network.as_deref())?;
    Ok(network.into())
}

/// A listener, and the address of its page.
pub(crate) fn listen(address: &str) -> Result<(TcpListener, String), Error> {
    let bound = TcpListener::bind(address).and_then(|l| l.local_addr().map(|at| (l, at)));
    let (listener, at) = bound.map_err(|error| {
        Error::usage(
            format!("cannot listen on {address}: {error}"),
            "give another host or port with HOST:PORT; port 0 is one that is free",
        )
    })?;
    Ok((listener, format!("http://{at}")))
}
