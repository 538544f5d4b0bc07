//! Training runs as server-sent events.

use crate::{error::Error, router::App};
use axum::{
    extract::State,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::stream;
use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};

/// What a client gets: the past, then each event until it cannot follow or the server stops.
struct Watcher {
    past: VecDeque<Arc<str>>,
    events: broadcast::Receiver<Arc<str>>,
    closing: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    async fn next(&mut self) -> Option<Arc<str>> {
        if let Some(event) = self.past.pop_front() {
            return Some(event);
        }
        tokio::select! {
            _ = self.closing.wait_for(|&closing| closing) => None,
            event = self.events.recv() => event.ok(),
        }
    }
}

/// `GET /events`.
pub(crate) async fn events(State(app): State<Arc<App>>) -> Result<Response, Error> {
    let none = || Error::NotFound("no training run is served here".to_owned());
    let live = app.live.as_ref().ok_or_else(none)?;
    let place = Arc::clone(&app.watchers).try_acquire_owned();
    let place = place.map_err(|_| Error::Busy)?;
    let (past, events) = live.subscribe();
    let watcher = Watcher {
        past: past.into(),
        events,
        closing: app.closing.subscribe(),
        _place: place,
    };
    let stream = stream::unfold(watcher, |mut watcher| async {
        let event = Event::default().data(watcher.next().await?);
        Some((Ok::<_, Infallible>(event), watcher))
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(5));
    Ok(Sse::new(stream).keep_alive(keep_alive).into_response())
}
