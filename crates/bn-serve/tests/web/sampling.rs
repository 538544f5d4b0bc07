//! The noise of a generator.

use crate::{check_logs, check_width, common::Server, open};
use bn_net::Network;

#[test]
#[ignore = "needs Chromium: make test-web"]
fn a_generator_is_sampled() {
    let network = Network::builder(16)
        .affine(7 * 7 * 8)
        .batch_norm()
        .relu()
        .reshape((7, 7, 8))
        .conv_transpose2d(bn_layers::Conv2dConfig::new(4, 4).stride(2).same())
        .batch_norm()
        .relu()
        .conv_transpose2d(bn_layers::Conv2dConfig::new(1, 4).stride(2).same())
        .tanh()
        .build(3)
        .unwrap();
    let server = Server::of(network);
    let browser = open(&server);
    browser.wait("images are shown", |b| {
        b.eval("document.querySelectorAll('#grid canvas').length") == 16
    });
    let image = || {
        browser
            .eval("image.toDataURL()")
            .as_str()
            .unwrap()
            .to_owned()
    };
    let mut last = image();
    let mut changes = |what: &str| {
        browser.wait(what, |_| image() != last);
        last = image();
    };
    browser.draw("#pad", "mouse", &[&[(0.5, 0.5), (0.6, 0.4), (0.8, 0.2)]]);
    changes("the image follows the mouse");
    browser.eval("along.focus()");
    browser.keys(&["\u{e012}", "\u{e012}", "\u{e012}"]);
    changes("the image follows the keys");
    browser.click("#grid button:nth-child(5)");
    changes("another image is chosen");
    browser.click("#again");
    changes("there is new noise");
    assert_eq!(browser.text("#sample-note"), "Seed 2");
    browser.picture("sample-light");
    browser.screen(375, true);
    check_width(&browser, 375);
    browser.picture("phone-sample");
    check_logs(&browser, &server);
}
