//! The page without a mouse.

use crate::{check_logs, open, server};

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
