//! The page, which is part of the program.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

/// Its files: path, media type, content.
pub(crate) const FILES: [(&str, &str, &str); 9] = [
    ("/", HTML, include_str!("../page/index.html")),
    (
        "/page.css",
        "text/css; charset=utf-8",
        include_str!("../page/page.css"),
    ),
    (
        "/icon.svg",
        "image/svg+xml",
        include_str!("../page/icon.svg"),
    ),
    ("/page.js", JS, include_str!("../page/page.js")),
    ("/api.js", JS, include_str!("../page/api.js")),
    ("/draw.js", JS, include_str!("../page/draw.js")),
    ("/layers.js", JS, include_str!("../page/layers.js")),
    ("/sample.js", JS, include_str!("../page/sample.js")),
    ("/training.js", JS, include_str!("../page/training.js")),
];

const HTML: &str = "text/html; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// The answer with a file. A browser asks for it again each time, so that it never has an older page than the server.
pub(crate) fn answer(media_type: &'static str, content: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, content).into_response()
}
