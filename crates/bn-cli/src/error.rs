//! What can go wrong, and the exit code of each.

use serde_json::{Value, json};
use std::{
    io,
    path::{Path, PathBuf},
};

/// The table of exit codes in the help.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    success
  1    the work failed, for example because training diverged
  2    usage: an option or a setting that does not exist, or with such a value
  3    bad input: data or a picture that do not fit or cannot be used
  4    a file is missing, damaged or of another format
  5    an output cannot be written
  130  interrupted by Ctrl-C; what was trained so far is saved";

/// A failure of a subcommand. Its message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option or a setting with such a value.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Data that cannot be used.
    #[error("{message}")]
    Input {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A file that cannot be read as what it should be.
    #[error("{message}")]
    File {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// An output that cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Standard output or standard error cannot be written.
    #[error("cannot write to the terminal or the pipe: {0}")]
    Stream(#[from] io::Error),
    /// Ctrl-C.
    #[error("interrupted{saved}")]
    Interrupted {
        /// What was saved first, such as `; the model is in model.safetensors`.
        saved: String,
    },
    /// A network, a data set or training failed.
    #[error(transparent)]
    Net(#[from] bn_net::Error),
    /// A model could not be read from ONNX, or written to it.
    #[error(transparent)]
    Onnx(#[from] bn_onnx::Error),
    /// A model could not be read from a state_dict of PyTorch, or written to one.
    #[error(transparent)]
    Torch(#[from] bn_torch::Error),
    /// The server could not start.
    #[cfg(feature = "serve")]
    #[error(transparent)]
    Serve(#[from] bn_serve::Error),
}

impl From<bn_data::Error> for Error {
    fn from(error: bn_data::Error) -> Self {
        Self::Net(error.into())
    }
}

impl From<bn_tensor::Error> for Error {
    fn from(error: bn_tensor::Error) -> Self {
        Self::Net(error.into())
    }
}

impl Error {
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let (message, hint) = (message.into(), hint.into());
        Self::Usage { message, hint }
    }

    pub(crate) fn input(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let (message, hint) = (message.into(), hint.into());
        Self::Input { message, hint }
    }

    pub(crate) fn file(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let (message, hint) = (message.into(), hint.into());
        Self::File { message, hint }
    }

    /// That `path` cannot be read.
    pub(crate) fn read(path: &Path, error: &io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "give the path of a file that exists",
            _ => "give a file that can be read",
        };
        Self::file(format!("cannot read {}: {error}", path.display()), hint)
    }

    /// The exit code of the process: the rows of [`EXIT_CODES`].
    ///
    /// ```
    /// let missing = bn_data::read_whole("missing").unwrap_err();
    /// let error = bn_cli::Error::from(bn_data::Error::from(missing));
    /// assert_eq!(error.exit_code(), 4);
    /// ```
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            Self::Input { .. } => 3,
            Self::File { .. } => 4,
            Self::Output { .. } | Self::Stream(_) => 5,
            Self::Interrupted { .. } => 130,
            Self::Net(error) => of_net(error),
            Self::Onnx(error) => match error {
                bn_onnx::Error::Network(error) => of_net(error),
                bn_onnx::Error::Write { .. } => 5,
                bn_onnx::Error::NoOperator { .. } => 3,
                _ => 4,
            },
            Self::Torch(error) => match error {
                bn_torch::Error::Network(error) => of_net(error),
                bn_torch::Error::Write { .. } => 5,
                bn_torch::Error::NoModule { .. } => 3,
                _ => 4,
            },
            #[cfg(feature = "serve")]
            Self::Serve(_) => 1,
        }
    }

    /// What to do, if the message does not say it.
    pub fn hint(&self) -> &str {
        match self {
            Self::Usage { hint, .. } | Self::Input { hint, .. } | Self::File { hint, .. } => hint,
            Self::Output { .. } => {
                "give the name of a file in a folder that exists and can be written"
            }
            Self::Net(bn_net::Error::NonFinite { .. }) => {
                "the training diverged: lower --lr, or check the data"
            }
            Self::Net(bn_net::Error::Checkpoint { .. }) => {
                "give a file that bn has written, or import another model with bn convert"
            }
            Self::Net(bn_net::Error::Data(error)) => hint_of_data(error),
            _ => "",
        }
    }

    /// As `bn` prints it with `--json`.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "code": self.exit_code(), "message": self.to_string(), "hint": self.hint() })
    }
}

fn of_net(error: &bn_net::Error) -> u8 {
    use bn_net::Error as E;
    match error {
        E::Layer { .. } | E::Layers(_) | E::Tensor(_) | E::EmptyNetwork { .. } => 2,
        E::LabelOutOfRange { .. } | E::Targets { .. } | E::NoSpec { .. } => 3,
        E::Read { .. } | E::Checkpoint { .. } | E::Arrays { .. } => 4,
        E::Write { .. } => 5,
        E::Data(error) => of_data(error),
        _ => 1,
    }
}

fn of_data(error: &bn_data::Error) -> u8 {
    use bn_data::Error as E;
    match error {
        E::InFile { problem, .. } => of_data(problem),
        E::Setting { .. } | E::Tensor(_) => 2,
        E::Io(_)
        | E::NotIdx { .. }
        | E::UnknownElementType { .. }
        | E::Truncated { .. }
        | E::TrailingBytes { .. }
        | E::TooLarge { .. }
        | E::NotNpy { .. }
        | E::NotImage { .. }
        | E::Gzip(_)
        | E::NotFound { .. }
        | E::OtherDataset { .. }
        | E::Download { .. }
        | E::CacheFolder { .. }
        | E::NoCacheFolder => 4,
        _ => 3,
    }
}

fn hint_of_data(error: &bn_data::Error) -> &'static str {
    use bn_data::Error as E;
    match error {
        E::InFile { problem, .. } => hint_of_data(problem),
        E::NotFound { .. } | E::Download { .. } | E::CacheFolder { .. } | E::NoCacheFolder => {
            "or give the folder of the files with --data-dir"
        }
        E::Csv { .. } | E::NotFinite { .. } => {
            "correct the data; --label-column names the column of the labels, and --no-header reads the first \
             line as data"
        }
        E::Empty { .. } => "give data that have at least one row, or one image in each class",
        _ => "",
    }
}
