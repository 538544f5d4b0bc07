//! `bn predict`.

use crate::{
    error::Error,
    eval::most_probable,
    model,
    model::Loaded,
    output::{Output, percent},
    picture,
};
use clap::Args;
use serde_json::{Value, json};
use std::{
    io::{Write, stderr},
    path::{Path, PathBuf},
};

/// The classes of which the probabilities are printed.
const TOP: usize = 3;

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// PNG or JPEG files
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// The model: a file of bn train, a checkpoint, or an ONNX file
    #[arg(long, short, value_name = "MODEL", default_value = model::DEFAULT)]
    model: PathBuf,
    /// Only resize the pictures, as those of a network for colours always are: do not invert, crop and centre them as
    /// the images that the network was trained on
    #[arg(long)]
    raw: bool,
}

/// The classes of a picture, most probable first, and how it was prepared.
struct Prediction {
    top: Vec<(String, f32)>,
    label: usize,
    note: String,
    preparation: Value,
}

/// Returns the exit code: that of the first picture that could not be used.
pub(crate) fn report(args: &PredictArgs, output: Output) -> Result<u8, Error> {
    let loaded = model::load(&args.model)?;
    let (mut code, mut texts, mut jsons) = (0, Vec::new(), Vec::new());
    for path in &args.images {
        match Prediction::of(path, &loaded, args.raw) {
            Ok(prediction) => {
                texts.push(prediction.to_text(path, output.quiet));
                jsons.push(prediction.to_json(path));
            }
            Err(error) => {
                // It concerns the model, and so every picture.
                if matches!(error, Error::Usage { .. }) {
                    return Err(error);
                }
                code = if code == 0 { error.exit_code() } else { code };
                let _ = writeln!(stderr(), "bn: error: {error}\nhint: {}", error.hint());
                jsons.push(json!({ "file": path, "error": error.to_json() }));
            }
        }
    }
    if output.json || !texts.is_empty() {
        let json = json!({ "model": args.model, "images": jsons });
        output.report(&json, || texts.join("\n"))?;
    }
    Ok(code)
}

impl Prediction {
    fn of(path: &Path, loaded: &Loaded, raw: bool) -> Result<Self, Error> {
        let prepared = picture::prepare(path, loaded, raw)?;
        let p = loaded.model.network.predict_proba(prepared.row.view())?;
        let label = most_probable(p.iter().copied()).ok_or_else(|| {
            Error::input(
                format!(
                    "{}: the output of the network is not a number",
                    path.display()
                ),
                "train the model again, with a lower --lr",
            )
        })?;
        let mut all: Vec<(String, f32)> = match p.len() {
            1 => vec![
                (loaded.class(0), 1.0 - p[[0, 0]]),
                (loaded.class(1), p[[0, 0]]),
            ],
            _ => p
                .iter()
                .enumerate()
                .map(|(class, &p)| (loaded.class(class), p))
                .collect(),
        };
        all.sort_by(|(_, a), (_, b)| b.total_cmp(a)); // stable, so the first of equal ones is first
        all.truncate(TOP);
        Ok(Self {
            top: all,
            label,
            note: prepared.note,
            preparation: prepared.json,
        })
    }

    fn to_text(&self, path: &Path, quiet: bool) -> String {
        let top = self
            .top
            .iter()
            .map(|(class, p)| format!("{class} ({})", percent(f64::from(*p))));
        let top: Vec<String> = top.collect();
        let mut text = format!("{}: {}", path.display(), top.join(", "));
        if !quiet {
            text += &format!("\n  {}", self.note);
        }
        text
    }

    fn to_json(&self, path: &Path) -> Value {
        let top = self
            .top
            .iter()
            .map(|(class, p)| json!({ "class": class, "probability": p }));
        json!({
            "file": path,
            "class": self.top.first().map(|(class, _)| class),
            "label": self.label,
            "probability": self.top.first().map(|(_, p)| p),
            "top": top.collect::<Vec<_>>(),
            "preparation": self.preparation,
        })
    }
}
