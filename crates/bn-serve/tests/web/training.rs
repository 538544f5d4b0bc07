//! A training run is watched.

use crate::{check_logs, open, server};

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
