//! Downloads one file from one mirror: resumed, limited in size, and checked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::Path;
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use ureq::Agent;
use ureq::http::{StatusCode, header};

use crate::source::SourceFile;

/// How often one file is requested from a mirror, as long as each answer adds bytes.
const TRIES: usize = 5;
/// The largest packed file is Fashion-MNIST's training images, 26 MB; a larger one is not a known data set.
const MAX_PACKED: u64 = 64 << 20;
/// Unpacked, it is 47 MB.
const MAX_UNPACKED: u64 = 256 << 20;
/// How long to wait for the next bytes. The whole download has no time limit, so a slow connection
/// succeeds and a dead one is noticed.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Why a file could not be downloaded.
pub(super) enum Failure {
    /// The mirror or the connection failed; another mirror may work.
    Mirror(String),
    /// The file cannot be written; no other mirror can help.
    Cache(io::Error),
}

pub(super) struct Transfer {
    agent: Agent,
    progress: bool,
}

impl Transfer {
    pub(super) fn new(progress: bool, patience: Duration) -> Self {
        let agent = Agent::config_builder()
            .user_agent(concat!("bn-data/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .timeout_resolve(Some(patience))
            .timeout_connect(Some(patience))
            .timeout_recv_response(Some(patience))
            .timeout_per_read(Some(patience))
            .build()
            .into();
        Transfer { agent, progress }
    }

    /// Downloads the file to `part` and checks it, resuming from the bytes that `part` holds.
    ///
    /// After a failure `part` holds the beginning of the file, or does not exist.
    pub(super) fn fetch(&self, url: &str, file: &SourceFile, part: &Path) -> Result<(), Failure> {
        let mut failure = Failure::Mirror("no answer".to_owned());
        for _ in 0..TRIES {
            let before = length(part);
            failure = match self.transfer(url, part, before) {
                Ok(resumed) => match check(part, file.sha256) {
                    Ok(()) => return Ok(()),
                    Err(wrong) => {
                        fs::remove_file(part).map_err(Failure::Cache)?;
                        if !resumed {
                            return Err(wrong);
                        }
                        wrong // perhaps the earlier bytes were wrong: download all of it again
                    }
                },
                Err(Failure::Mirror(broken)) if length(part) > before => Failure::Mirror(broken),
                Err(other) => return Err(other),
            };
        }
        Err(failure)
    }

    /// Appends to the `have` bytes of `part`, or replaces them if the server sends the whole file.
    /// Returns whether the earlier bytes were kept.
    fn transfer(&self, url: &str, part: &Path, have: u64) -> Result<bool, Failure> {
        let mut request = self.agent.get(url);
        if have > 0 {
            request = request.header(header::RANGE, format!("bytes={have}-"));
        }
        let mut response = request.call().map_err(mirror)?;
        let resumed = match response.status() {
            StatusCode::OK => false,
            // If the range is not the requested one, the check fails.
            StatusCode::PARTIAL_CONTENT if have > 0 => true,
            // The part is already complete, or it is not a part of this file and the check fails.
            StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => return Ok(true),
            status => return Err(Failure::Mirror(format!("HTTP {status}"))),
        };
        let from = if resumed { have } else { 0 };
        let bar = self.progress_bar(url, from, response.body().content_length());

        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(!resumed)
            .append(resumed)
            .open(part)
            .map_err(Failure::Cache)?;
        let mut reader = response.body_mut().as_reader().take(MAX_PACKED - from + 1);
        let mut buffer = vec![0; 64 << 10];
        let mut written = from;
        loop {
            let n = match reader.read(&mut buffer) {
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(mirror(error)),
            };
            if n == 0 {
                break;
            }
            file.write_all(&buffer[..n]).map_err(Failure::Cache)?;
            written += n as u64;
            bar.set_position(written);
        }
        bar.finish_and_clear();
        if written > MAX_PACKED {
            // If it were kept, it would be resumed.
            fs::remove_file(part).map_err(Failure::Cache)?;
            return Err(Failure::Mirror(format!(
                "sends more than {MAX_PACKED} bytes"
            )));
        }
        file.sync_all().map_err(Failure::Cache)?;
        Ok(resumed)
    }

    fn progress_bar(&self, url: &str, from: u64, rest: Option<u64>) -> ProgressBar {
        if !self.progress {
            return ProgressBar::hidden();
        }
        // indicatif draws on standard error, and only on a terminal.
        let bar = match rest {
            Some(rest) => ProgressBar::new(from + rest),
            None => ProgressBar::no_length(),
        };
        let style = ProgressStyle::with_template("{msg} {bytes}/{total_bytes} {wide_bar} {eta}");
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            .with_message(url.to_owned())
            .with_position(from)
    }
}

fn mirror(error: impl std::error::Error) -> Failure {
    Failure::Mirror(error.to_string())
}

fn length(part: &Path) -> u64 {
    fs::metadata(part).map_or(0, |metadata| metadata.len())
}

/// Whether the file unpacks to bytes of this SHA-256.
fn check(part: &Path, sha256: &str) -> Result<(), Failure> {
    let file = File::open(part).map_err(Failure::Cache)?;
    let mut unpacked = MultiGzDecoder::new(BufReader::new(file)).take(MAX_UNPACKED);
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match unpacked.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => hasher.update(&buffer[..n]),
            Err(error) => return Err(Failure::Mirror(format!("damaged gzip data ({error})"))),
        }
    }
    let got: String = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if got == sha256 {
        Ok(())
    } else {
        Err(Failure::Mirror(format!(
            "the unpacked bytes have SHA-256 {got} in place of {sha256}"
        )))
    }
}
