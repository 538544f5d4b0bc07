//! What can go wrong, in the program and in a request.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// The errors of a server. Those of a request are answered as JSON,
/// `{"error": {"code": "invalid_input", "message": "…"}}`, with the [status](Self::status) and the
/// [code](Self::code) of the error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The content has no model, no training run and no trainer.
    #[error("there is nothing to serve; give the content a model, a training run or a trainer")]
    Empty,
    /// A setting is out of its range.
    #[error("{what} is {value}; it must be {must_be}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        must_be: &'static str,
    },
    /// The operating system refused the listener or a thread.
    #[error("cannot serve: {0}")]
    Io(#[from] std::io::Error),
    /// A network refused its input.
    #[error(transparent)]
    Network(#[from] bn_net::Error),
    /// The body is not JSON.
    #[error("the body is not JSON: {0}")]
    Json(serde_json::Error),
    /// The body is JSON, but not what the path takes.
    #[error("{0}")]
    Input(String),
    /// A number of the input or a result is NaN or infinite.
    #[error("{0} is not finite; numbers must be below 3.4e38 in magnitude")]
    NotFinite(String),
    /// The body ended early.
    #[error("the body ended before its announced length")]
    Incomplete,
    /// The request names another host than the server.
    #[error("the server does not answer for the host {0:?}; add it to the allowed hosts")]
    Host(String),
    /// The path is not served.
    #[error("{0}")]
    NotFound(String),
    /// The path does not have this method.
    #[error("this path does not have the method {0}")]
    Method(String),
    /// The body took too long to arrive.
    #[error("the body took longer than {0} s to arrive")]
    SlowBody(f64),
    /// A training run is running already.
    #[error("a training run is running; stop it first")]
    Running,
    /// The body is larger than the limit.
    #[error("the body is larger than {0} bytes; send fewer images in a request")]
    BodyTooLarge(usize),
    /// The request has more rows than the limit.
    #[error("{got} rows in a request; at most {max} are allowed")]
    TooMany {
        /// The number of rows.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// The body is not announced as JSON.
    #[error("the Content-Type must be application/json")]
    MediaType,
    /// Too many rows are waiting, or too many watch.
    #[error("the server is busy; try again in a second")]
    Busy,
    /// The computation took too long.
    #[error("the answer took longer than {0} s; send fewer images in a request")]
    Timeout(f64),
    /// The server failed.
    #[error("the server failed to compute the answer")]
    Internal,
}

impl Error {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.answer().0
    }

    /// A word for programs, such as `invalid_input`.
    pub fn code(&self) -> &'static str {
        self.answer().1
    }

    fn answer(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Json(_) => (StatusCode::BAD_REQUEST, "invalid_json"),
            Self::Incomplete => (StatusCode::BAD_REQUEST, "incomplete_body"),
            Self::Host(_) => (StatusCode::FORBIDDEN, "forbidden_host"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::SlowBody(_) => (StatusCode::REQUEST_TIMEOUT, "slow_body"),
            Self::Running => (StatusCode::CONFLICT, "already_running"),
            Self::BodyTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::TooMany { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_many_rows"),
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json"),
            Self::Input(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_input"),
            Self::NotFinite(_) => (StatusCode::UNPROCESSABLE_ENTITY, "not_finite"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::Timeout(_) => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            Self::Empty
            | Self::Setting { .. }
            | Self::Io(_)
            | Self::Network(_)
            | Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

#[derive(Serialize)]
struct Body {
    error: Message,
}

#[derive(Serialize)]
struct Message {
    code: &'static str,
    message: String,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code) = self.answer();
        let message = self.to_string();
        let body = Body {
            error: Message { code, message },
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let media_type = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (status, media_type, body).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let second = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, second);
        }
        response
    }
}
