//! Reading the body of a request.

use crate::{error::Error, options::Options};
use axum::{
    body::{Body, BodyDataStream, Bytes},
    extract::Request,
    http::{HeaderMap, header},
};
use futures_util::StreamExt;

/// A body that is too large is still read this far, and forgotten, so that a client that writes all of it before it reads
/// gets the answer.
const DISCARDED: usize = 16 << 20;

/// Work on this many bytes or less is done on the executor: it takes less than a millisecond.
const SHORT: usize = 1 << 16;

/// The body, which must be announced as JSON.
pub(crate) async fn read(request: Request, options: &Options) -> Result<Bytes, Error> {
    let (head, body) = request.into_parts();
    if !is_json(&head.headers) {
        return Err(Error::MediaType);
    }
    let limit = options.body_timeout;
    let read = tokio::time::timeout(limit, read_up_to(body, options.max_body_bytes));
    read.await
        .unwrap_or(Err(Error::SlowBody(limit.as_secs_f64())))
}

async fn read_up_to(body: Body, max: usize) -> Result<Bytes, Error> {
    let mut stream = body.into_data_stream();
    // Most bodies are one piece, which is not copied.
    let Some(first) = next(&mut stream).await? else {
        return Ok(Bytes::new());
    };
    let Some(second) = next(&mut stream).await? else {
        return if first.len() > max {
            Err(Error::BodyTooLarge(max))
        } else {
            Ok(first)
        };
    };
    let mut bytes = [first, second].concat();
    while bytes.len() <= max {
        match next(&mut stream).await? {
            Some(piece) => bytes.extend_from_slice(&piece),
            None => return Ok(bytes.into()),
        }
    }
    let mut read = bytes.len();
    drop(bytes);
    while read < DISCARDED
        && let Ok(Some(piece)) = next(&mut stream).await
    {
        read += piece.len();
    }
    Err(Error::BodyTooLarge(max))
}

async fn next(stream: &mut BodyDataStream) -> Result<Option<Bytes>, Error> {
    stream
        .next()
        .await
        .transpose()
        .map_err(|_| Error::Incomplete)
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok());
    let media_type = media_type.and_then(|v| v.split(';').next());
    media_type.is_some_and(|v| v.trim().eq_ignore_ascii_case("application/json"))
}

/// Runs `f`, which works on `bytes` bytes, on a thread for long work if it may take long.
pub(crate) async fn off_executor<R: Send + 'static>(
    bytes: usize,
    f: impl FnOnce() -> R + Send + 'static,
) -> Result<R, Error> {
    if bytes <= SHORT {
        return Ok(f());
    }
    tokio::task::spawn_blocking(f)
        .await
        .map_err(|_| Error::Internal)
}
