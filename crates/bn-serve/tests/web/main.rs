//! The page in a browser, used as a person would: `make test-web`. It needs Chromium and chromedriver, so these tests
//! are ignored otherwise. Pictures are in `target/web`.

#[allow(dead_code)] // what only the other tests use
#[path = "../common/mod.rs"]
mod common;
mod drawing;
mod driver;
#[allow(dead_code)] // its main function
#[path = "../../examples/serve.rs"]
mod example;
mod keyboard;
mod layout;
mod sampling;
mod strokes;
mod training;

use bn_net::Model;
use bn_serve::{Content, Options};
use common::Server;
use driver::Browser;
use serde_json::json;
use std::sync::OnceLock;

/// The server of the example, which learns the digits once.
fn server() -> Server {
    static MODEL: OnceLock<Model> = OnceLock::new();
    let model = MODEL
        .get_or_init(|| example::learn_digits().unwrap())
        .clone();
    let content = Content::new()
        .model(model)
        .trainer(Box::new(example::compare));
    Server::start(content, Options::default())
}

fn open(server: &Server) -> Browser {
    let browser = Browser::start();
    browser.dark(false);
    browser.screen(1280, false);
    browser.open(&format!("http://{}/", server.address));
    browser.wait("the page is ready", |b| {
        b.text("#summary").contains("layers")
    });
    browser
}

/// No error on the console, and no request to anybody else.
fn check_logs(browser: &Browser, server: &Server) {
    let (errors, requests) = browser.logs();
    assert!(errors.is_empty(), "{errors:#?}");
    let own = format!("http://{}/", server.address);
    let (own, others): (Vec<_>, Vec<_>) = requests
        .into_iter()
        .filter(|url| !url.starts_with("chrome:") && !url.starts_with("data:")) // the browser's empty tab
        .partition(|url| url.starts_with(&own));
    assert!(own.len() > 5 && others.is_empty(), "{others:?}");
}

/// Nothing is wider than the screen.
fn check_width(browser: &Browser, width: u32) {
    assert_eq!(
        browser.eval("document.documentElement.scrollWidth"),
        json!(width)
    );
    let outside = browser.eval(
        "[...document.querySelectorAll('button, input, select, canvas, p, h2, svg')].filter(e => e.offsetParent && \
         !e.closest('.scroll, .unseen') && !e.matches('.unseen') && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)",
    );
    assert_eq!(outside, json!([]));
}
