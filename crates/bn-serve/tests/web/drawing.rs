//! Digits are drawn with a mouse.

use crate::{
    check_logs, check_width,
    common::Server,
    open, server,
    strokes::{FOUR, ONE, SEVEN, draws, three, zero},
};
use bn_net::Network;

#[test]
#[ignore = "needs Chromium: make test-web"]
fn digits_are_drawn_and_recognised() {
    let server = server();
    let browser = open(&server);
    assert_eq!(browser.text("#guess"), "–");
    // The probabilities change while it is drawn.
    let seen = "(() => { window.seen = new Set(); new MutationObserver(() => seen.add(sure.textContent)).\
                observe(sure, { childList: true }); })()";
    browser.eval(seen);
    draws(&browser, "mouse", ONE, "1");
    assert!(browser.eval("seen.size").as_u64().unwrap() >= 2);
    draws(&browser, "mouse", FOUR, "4");
    draws(&browser, "mouse", SEVEN, "7");
    draws(&browser, "mouse", &[&zero()], "0");
    draws(&browser, "mouse", &[&three()], "3");
    browser.wait("a screen reader says it", |b| {
        b.eval("spoken.textContent")
            .as_str()
            .unwrap()
            .starts_with("3, ")
    });
    // Inside the network: every Batch Normalization before and after.
    browser.wait("the layers are shown", |b| {
        b.eval("document.querySelectorAll('.layer.norm').length") == 3
    });
    let text = browser.text(".layer.norm");
    assert!(
        text.contains("before Batch Normalization") && text.contains("after Batch Normalization"),
        "{text}"
    );
    assert_eq!(
        browser.eval("document.querySelectorAll('.layer.norm .maps')[0].children.length"),
        8
    );
    browser.wait("the picture is whole", |b| b.text("#guess") == "3");
    browser.picture("draw-light");
    browser.dark(true);
    std::thread::sleep(std::time::Duration::from_millis(500)); // it is drawn in the other colours
    browser.picture("draw-dark");
    check_logs(&browser, &server);
}

#[test]
#[ignore = "needs Chromium: make test-web"]
fn a_drawing_is_prepared_as_the_images_of_mnist() {
    let network = Network::builder((28, 28, 1)).affine(10).build(1).unwrap();
    let server = Server::of(network);
    let browser = open(&server);
    // Small, and in a corner.
    browser.draw(
        "#paper",
        "mouse",
        &[&[(0.1, 0.1), (0.1, 0.2), (0.1, 0.3), (0.2, 0.3)]],
    );
    browser.wait("it is classified", |b| b.text("#guess") != "–");
    let ink = browser.eval(
        "(() => {
            const { data, width, height } = seen.getContext('2d').getImageData(0, 0, seen.width, seen.height);
            const ink = (i) => Math.abs(data[4 * i] - data[0]);
            let [sum, mx, my, rows, columns] = [0, 0, 0, new Set(), new Set()];
            for (let i = 0; i < width * height; i++) {
                const [x, y] = [i % width, Math.floor(i / width)];
                if (ink(i) > 10) { rows.add(y); columns.add(x); }
                sum += ink(i); mx += ink(i) * (x + 0.5); my += ink(i) * (y + 0.5);
            }
            return [width, height, rows.size, columns.size, mx / sum, my / sum];
        })()",
    );
    let ink: Vec<f64> = serde_json::from_value(ink).unwrap();
    assert_eq!(ink[..2], [28.0, 28.0]);
    assert!(
        (19.0..=21.0).contains(&ink[2]) && (9.0..=13.0).contains(&ink[3]),
        "{ink:?}"
    );
    assert!(
        (ink[4] - 14.0).abs() < 0.3 && (ink[5] - 14.0).abs() < 0.3,
        "{ink:?}"
    );
    check_logs(&browser, &server);
}

#[test]
#[ignore = "needs Chromium: make test-web"]
fn inside_a_residual_block_every_batch_normalization_is_shown() {
    let conv = || bn_layers::Conv2dConfig::new(4, 3).same();
    let network = Network::builder((8, 8, 1))
        .conv2d(conv())
        .batch_norm()
        .relu()
        .residual(move |body| {
            let body = body.conv2d(conv()).batch_norm().relu();
            body.conv2d(conv()).batch_norm()
        })
        .relu()
        .flatten()
        .affine(10)
        .build(1)
        .unwrap();
    let server = Server::of(network);
    let browser = open(&server);
    browser.draw("#paper", "mouse", ONE);
    browser.wait("the layers are shown", |b| {
        b.eval("document.querySelectorAll('.layer.norm').length") == 3
    });
    let titles =
        browser.eval("[...document.querySelectorAll('.layer.norm h3')].map(e => e.textContent)");
    let expected = [
        "0 conv2d → 1 batch_norm",
        "3 residual › body › 0 conv2d → 1 batch_norm",
        "3 residual › body › 3 conv2d → 4 batch_norm",
    ];
    assert_eq!(titles, serde_json::json!(expected));
    browser.picture("draw-residual");
    browser.screen(375, true);
    check_width(&browser, 375);
    browser.picture("phone-residual");
    check_logs(&browser, &server);
}
