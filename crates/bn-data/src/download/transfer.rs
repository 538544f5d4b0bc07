//! Fetching one file from one mirror: resumed, bounded, and checked.

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

/// How often a mirror is asked for one file, as long as each answer brings something new.
const TRIES: usize = 5;
/// The largest packed file is Fashion-MNIST's training images, 26 MB; a larger one is not a known data set.
const MAX_PACKED: u64 = 64 << 20;
/// Unpacked, it is 47 MB.
const MAX_UNPACKED: u64 = 256 << 20;
/// How long to wait for the next sign of life. There is no limit on the whole: a slow line may take
/// its time, a dead one is noticed.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Why a file did not come.
pub(super) enum Failure {
    /// The mirror is at fault, or the way to it: another one may do better.
    Mirror(String),
    /// The file cannot be written here: no other mirror can help.
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

    /// Brings the whole and right file to `part`, going on from what is there.
    ///
    /// After a failure `part` holds the beginning of the file, if anything.
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
                        wrong // what was there before may be at fault: once more, whole
                    }
                },
                Err(Failure::Mirror(broken)) if length(part) > before => Failure::Mirror(broken),
                Err(other) => return Err(other),
            };
        }
        Err(failure)
    }

    /// Adds to the `have` bytes of `part`, or writes it anew if the server sends all. Says whether
    /// earlier bytes are part of it.
    fn transfer(&self, url: &str, part: &Path, have: u64) -> Result<bool, Failure> {
        let mut request = self.agent.get(url);
        if have > 0 {
            request = request.header(header::RANGE, format!("bytes={have}-"));
        }
        let mut response = request.call().map_err(mirror)?;
        let resumed = match response.status() {
            StatusCode::OK => false,
            // If it is another range than the requested one, the check fails.
            StatusCode::PARTIAL_CONTENT if have > 0 => true,
            // The part is already whole, or not a beginning of this file, and then the check fails.
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
            // Kept, it would be resumed.
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
        // On standard error; indicatif hides it where that is no terminal.
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
