//! `bn train --watch`.

use super::{Fit, NetworkKind, Run, Settings};
use crate::{error::Error, interrupt, output::Output};
use bn_serve::{Content, Event, Live, Options, serve};
use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

const WITH: &str = "with Batch Normalization";
const WITHOUT: &str = "without";

/// How often Ctrl-C is looked for.
const POLL: Duration = Duration::from_millis(50);

/// Trains, and shows the run on a page, beside the same run without Batch Normalization. After the report the page stays
/// until Ctrl-C.
pub(super) fn train(
    run: Run<'_>,
    (listener, url): (TcpListener, String),
    output: Output,
) -> Result<(), Error> {
    let compared = without_batch_norm(&run)?;
    output.note(format!("watch it at {url}"))?;
    let (live, end) = (Live::new(), Arc::new(AtomicBool::new(false)));
    thread::scope(|scope| {
        let content = Content::new().live(live.clone());
        let flag = Arc::clone(&end);
        let server = scope.spawn(move || serve(listener, content, &Options::default(), flag));
        if let Some(mut fit) = compared {
            let live = &live;
            scope.spawn(move || {
                let result = fit.fit(&mut live.callback(WITHOUT));
                live.finished(WITHOUT, result.as_ref().err());
            });
        }
        let result = watched(run, &live, output);
        end.store(true, Ordering::Relaxed);
        match server.join() {
            Ok(served) => result.and(served.map_err(Error::from)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn watched(run: Run<'_>, live: &Live, output: Output) -> Result<(), Error> {
    let settings = run.settings;
    let name = match settings.has_batch_norm() {
        true => WITH,
        false => WITHOUT,
    };
    let result = run.train(Some(&mut live.callback(name)));
    live.publish(&Event::Finished {
        run: name.to_owned(),
        error: result.as_ref().err().map(ToString::to_string),
    });
    let trained = result?;
    output.report(&trained.to_json(settings), || trained.to_text(settings))?;
    output.note("the page stays until Ctrl-C")?;
    let stop = interrupt::handle();
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(POLL);
    }
    Ok(())
}

/// The same run without Batch Normalization, which writes no files. `None` if the run has none itself, or is a residual
/// network, which cannot do without.
fn without_batch_norm(run: &Run<'_>) -> Result<Option<Fit>, Error> {
    if !run.settings.has_batch_norm() || run.settings.network == NetworkKind::Resnet {
        return Ok(None);
    }
    let settings = Settings {
        batch_norm: false,
        ..run.settings.clone()
    };
    Fit::new(&settings, Arc::clone(&run.fit.split)).map(Some)
}
