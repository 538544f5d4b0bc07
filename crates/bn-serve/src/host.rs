//! For whom a server on a loopback address answers.

use crate::error::Error;
use axum::{
    extract::{Request, State},
    http::{Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{net::IpAddr, sync::Arc};

/// Refuses a request for another host, such as that of a web page whose name resolves to this machine.
pub(crate) async fn check_host(
    State(allowed): State<Arc<[String]>>,
    request: Request,
    next: Next,
) -> Response {
    let header = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = request.uri().authority().map(Authority::as_str).or(header);
    match host {
        Some(host) if is_local(host, &allowed) => next.run(request).await,
        host => Error::Host(host.unwrap_or("").to_owned()).into_response(),
    }
}

/// Whether a `Host` header names this machine.
fn is_local(host: &str, allowed: &[String]) -> bool {
    let Some(name) = host
        .parse::<Uri>()
        .ok()
        .and_then(|uri| uri.host().map(str::to_owned))
    else {
        return false;
    };
    let address = name
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    address.is_ok_and(|ip| ip.is_loopback())
        || name.eq_ignore_ascii_case("localhost")
        || allowed
            .iter()
            .any(|a| name.eq_ignore_ascii_case(a) || host.eq_ignore_ascii_case(a))
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_names_of_this_machine_are_local() {
        let allowed = ["models.example".to_owned()];
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:8000",
            "127.8.0.1",
            "[::1]:8000",
            "models.example:443",
        ] {
            assert!(is_local(host, &allowed), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1:8000",
            "[::2]",
            "127.0.0.1.evil.example",
            "a b",
        ] {
            assert!(!is_local(host, &allowed), "{host}");
        }
    }
}
