//! The page in a browser, used as a person would: `make test-web`. It needs Chromium and chromedriver, so these tests
//! are ignored otherwise. Pictures are in `target/web`.

#[allow(dead_code)] // what only the other tests use
#[path = "../common/mod.rs"]
mod common;
mod driver;
#[allow(dead_code)] // its main function
#[path = "../../examples/serve.rs"]
mod example;

use bn_net::{Model, Network};
use bn_serve::{Content, Options};
use common::Server;
use driver::Browser;
use serde_json::json;
use std::{sync::OnceLock, time::Instant};

type Stroke<'a> = &'a [(f64, f64)];

const ONE: &[Stroke<'_>] = &[&[(0.5, 0.15), (0.5, 0.4), (0.5, 0.65), (0.5, 0.85)]];
const SEVEN: &[Stroke<'_>] = &[
    &[
        (0.25, 0.2),
        (0.5, 0.2),
        (0.75, 0.2),
        (0.65, 0.4),
        (0.55, 0.6),
        (0.48, 0.85),
    ],
    &[(0.4, 0.52), (0.72, 0.52)],
];
const FOUR: &[Stroke<'_>] = &[
    &[
        (0.4, 0.15),
        (0.33, 0.35),
        (0.27, 0.55),
        (0.5, 0.57),
        (0.75, 0.57),
    ],
    &[(0.6, 0.38), (0.58, 0.6), (0.56, 0.85)],
];

/// Points of an arc around `(x, y)`, from an angle to another in degrees; 0 is to the right, 90 below.
fn arc((x, y): (f64, f64), [width, height]: [f64; 2], [from, to]: [f64; 2]) -> Vec<(f64, f64)> {
    let point = |i: i32| {
        let angle = (from + (to - from) * f64::from(i) / 20.0).to_radians();
        (x + width * angle.cos(), y + height * angle.sin())
    };
    (0..=20).map(point).collect()
}

fn zero() -> Vec<(f64, f64)> {
    arc((0.5, 0.5), [0.2, 0.33], [-90.0, -450.0])
}

fn three() -> Vec<(f64, f64)> {
    let top = arc((0.48, 0.32), [0.2, 0.17], [-150.0, 80.0]);
    let bottom = arc((0.48, 0.67), [0.22, 0.18], [-80.0, 150.0]);
    [top, bottom].concat()
}

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

fn draws(browser: &Browser, pointer: &str, strokes: &[Stroke<'_>], digit: &str) {
    browser.click("#clear");
    browser.wait("the paper is empty", |b| b.text("#guess") == "–");
    browser.draw("#paper", pointer, strokes);
    browser.wait(&format!("a {digit} is recognised"), |b| {
        b.text("#guess") == digit
    });
    browser.wait("its bar is the longest", |b| {
        b.text("#bars .top").starts_with(digit)
    });
    let percent = browser.text("#bars .top .value");
    let percent: f64 = percent.trim_end_matches(" %").parse().unwrap();
    assert!(percent > 20.0, "{percent}");
}

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
fn everything_works_by_keyboard() {
    let [tab, left, up, right, down, delete]: [&str; 6] = [
        "\u{e004}", "\u{e012}", "\u{e013}", "\u{e014}", "\u{e015}", "\u{e017}",
    ];
    let server = server();
    let browser = open(&server);
    let focus = || {
        browser
            .eval("document.activeElement.id")
            .as_str()
            .unwrap()
            .to_owned()
    };
    browser.keys(&[tab]);
    assert_eq!(focus(), "tab-draw");
    browser.keys(&[tab]);
    assert_eq!(focus(), "paper");
    browser.keys(&[up; 7]);
    browser.keys(&[" "]);
    browser.keys(&[down; 14]);
    browser.keys(&[" "]);
    browser.keys(&[left, right]);
    browser.wait("a 1 is recognised", |b| b.text("#guess") == "1");
    browser.picture("draw-keyboard");
    assert_eq!(browser.labels("#paper")[0].1, "Drawing area, 1 stroke");
    browser.keys(&[delete]);
    browser.wait("the paper is empty", |b| b.text("#guess") == "–");
    browser.keys(&[tab]);
    assert_eq!(focus(), "clear");
    browser.eval("document.querySelector('#tab-draw').focus()");
    browser.keys(&[right]);
    assert_eq!(focus(), "tab-training");
    assert!(browser.text("#training").contains("Accuracy"));
    browser.keys(&[left]);
    assert_eq!(focus(), "tab-draw");
    // What has the focus can be seen.
    assert_ne!(
        browser.eval("getComputedStyle(document.activeElement).outlineStyle"),
        "none"
    );
    check_logs(&browser, &server);
}

#[test]
#[ignore = "needs Chromium: make test-web"]
fn a_training_run_is_watched() {
    let server = server();
    let browser = open(&server);
    browser.click("#tab-training");
    assert_eq!(browser.text("#state"), "Waiting for a training run.");
    let disabled = |[start, stop]: [bool; 2]| {
        format!(
            "document.querySelector('#start').disabled == {start} && document.querySelector('#stop').disabled == {stop}"
        )
    };
    browser.click("#start");
    let curve = |chart: &str| {
        let curve = browser.eval(&format!(
            "document.querySelector('#{chart} path.s0')?.getAttribute('d') ?? ''"
        ));
        curve.as_str().unwrap().to_owned()
    };
    browser.wait("the curves have begun", |_| {
        curve("loss").len() > 100 && curve("accuracy").len() > 10
    });
    let (loss, accuracy) = (curve("loss"), curve("accuracy"));
    browser.wait("the curves move", |_| {
        curve("loss") != loss && curve("accuracy") != accuracy
    });
    assert!(browser.eval(&disabled([true, false])) == true);
    let value = |row: usize| {
        let cell = format!(
            "document.querySelector('#runs tbody tr:nth-child({row}) td:last-child')?.textContent"
        );
        let text = browser.eval(&cell); // the row is often another element by the next request
        let text = text.as_str().unwrap_or_default();
        text.trim_end_matches(" %").parse::<f64>().unwrap_or(0.0)
    };
    browser.wait("it learns with Batch Normalization", |_| {
        value(1) > 80.0 || value(2) > 80.0
    });
    assert_eq!(
        browser.eval("document.querySelectorAll('#loss path').length"),
        2
    );
    assert!(
        browser
            .eval("document.querySelectorAll('#histogram-list .histogram').length")
            .as_u64()
            .unwrap()
            > 10
    );
    browser.picture("training-light");
    browser.dark(true);
    browser.picture("training-dark");
    browser.dark(false);
    browser.eval("(what.value = 'weights', what.dispatchEvent(new Event('change')))");
    browser.wait("the weights are shown", |b| {
        b.eval("document.querySelectorAll('#histogram-list .one').length") == 12
    });
    browser.click("#stop");
    browser.wait("it has stopped", |b| {
        b.eval(&disabled([false, true])) == true
    });
    browser.wait("the page says so", |b| b.text("#state") == "Finished.");
    let curve_at_end = curve("loss");
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert_eq!(curve("loss"), curve_at_end);
    // Who comes later sees the same.
    browser.open(&format!("http://{}/#training", server.address));
    browser.wait("the curve is there again", |_| {
        curve("loss") == curve_at_end
    });
    check_logs(&browser, &server);
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

#[test]
#[ignore = "needs Chromium: make test-web"]
fn a_phone_shows_everything() {
    let server = server();
    let browser = open(&server);
    browser.screen(375, true);
    draws(&browser, "touch", ONE, "1");
    draws(&browser, "touch", FOUR, "4");
    browser.wait("the layers are shown", |b| {
        b.eval("document.querySelectorAll('.layer.norm').length") == 3
    });
    check_width(&browser, 375);
    browser.picture("phone-draw");
    browser.click("#tab-training");
    browser.click("#start");
    browser.wait("the histograms are shown", |b| {
        b.eval("document.querySelectorAll('.one').length").as_u64() > Some(10)
    });
    check_width(&browser, 375);
    browser.click("#stop");
    browser.wait("it has stopped", |b| b.text("#state") == "Finished.");
    browser.dark(true);
    browser.picture("phone-training-dark");
    browser.screen(320, true);
    check_width(&browser, 320);
    // Fingers need 44 pixels.
    let small = browser.eval(
        "[...document.querySelectorAll('button, select')].filter(e => e.offsetParent && e.getBoundingClientRect().height < 44).map(e => e.id)",
    );
    assert_eq!(small, json!([]));
    check_logs(&browser, &server);
}

#[test]
#[ignore = "needs Chromium: make test-web"]
fn a_drawing_is_prepared_as_the_images_of_mnist() {
    let network = Network::builder((28, 28, 1)).affine(10).build(1).unwrap();
    let server = Server::start(
        Content::new().model(Model::from(network)),
        Options::default(),
    );
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
    let server = Server::start(
        Content::new().model(Model::from(network)),
        Options::default(),
    );
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

#[test]
#[ignore = "needs Chromium: make test-web"]
fn everything_has_a_name_and_enough_contrast() {
    let server = server();
    let browser = open(&server);
    let start = Instant::now();
    browser.draw("#paper", "mouse", ONE);
    browser.wait("the layers are shown", |b| b.eval("layers.hidden") == false);
    for tab in ["draw", "training"] {
        browser.click(&format!("#tab-{tab}"));
        for (role, label) in
            browser.labels("button, input, select, canvas[role], svg[role], main section")
        {
            assert!(!label.is_empty(), "a {role} in {tab} has no name");
        }
    }
    for is_dark in [false, true] {
        browser.dark(is_dark);
        // The contrast of WCAG 2.2 between text and background, of each colour of text that is shown.
        let worst = browser.eval(
            "(() => {
                const rgb = (c) => c.match(/[\\d.]+/g).slice(0, 3).map((v) => {
                    const s = v / 255;
                    return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
                });
                const light = (c) => { const [r, g, b] = rgb(c); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
                const behind = (e) => {
                    while (e) {
                        const c = getComputedStyle(e).backgroundColor;
                        if (!c.endsWith(', 0)')) return c;
                        e = e.parentElement;
                    }
                };
                let worst = 21;
                for (const e of document.querySelectorAll('body *')) {
                    const hasText = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
                    if (!hasText || !e.offsetParent || e.disabled) continue;
                    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
                    worst = Math.min(worst, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
                }
                return worst;
            })()",
        );
        assert!(worst.as_f64().unwrap() >= 4.5, "{worst}");
    }
    assert!(start.elapsed().as_secs() < 60);
    check_logs(&browser, &server);
}
