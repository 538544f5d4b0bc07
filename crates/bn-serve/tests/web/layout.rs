//! On small screens, in both colour schemes, and for screen readers.

use crate::{
    check_logs, check_width, open, server,
    strokes::{FOUR, ONE, draws},
};
use serde_json::json;
use std::time::Instant;

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
