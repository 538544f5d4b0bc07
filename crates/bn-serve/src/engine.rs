//! The thread that evaluates the network.

use crate::{error::Error, metrics::Metrics, options::Options, predict::PredictRequest};
use bn_net::{Model, Workspace};
use ndarray::{Array2, ArrayView2, Axis, Slice, concatenate};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};
use tokio::sync::oneshot;

/// Passes rows to the thread, and waits for their results. A clone passes them to the same thread, which ends with the
/// last clone.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    work: mpsc::Sender<Work>,
    waiting: Arc<Waiting>,
    timeout: Duration,
}

/// The rows that wait.
#[derive(Debug)]
struct Waiting {
    rows: AtomicUsize,
    max: usize,
    metrics: Arc<Metrics>,
}

impl Waiting {
    fn add(&self, rows: usize) -> Result<(), Error> {
        let add = |now: usize| now.checked_add(rows).filter(|&sum| sum <= self.max);
        let old = self
            .rows
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        old.map_err(|_| Error::Busy)?;
        self.show();
        Ok(())
    }

    fn remove(&self, rows: usize) {
        self.rows.fetch_sub(rows, Ordering::Relaxed);
        self.show();
    }

    fn show(&self) {
        let rows = self.rows.load(Ordering::Relaxed);
        self.metrics.queue.set(rows as i64);
    }
}

/// What the thread does next.
enum Work {
    Predict(Request),
    Other {
        rows: usize,
        run: Box<dyn FnOnce(&Model) + Send>,
    },
}

/// Rows, and where their probabilities go.
struct Request {
    x: Array2<f32>,
    is_prepared: bool,
    reply: oneshot::Sender<Result<Array2<f32>, Error>>,
}

impl Engine {
    /// Starts the thread.
    pub(crate) fn start(
        model: Arc<Model>,
        options: &Options,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Error> {
        let (work, queue) = mpsc::channel();
        let waiting = Arc::new(Waiting {
            rows: AtomicUsize::new(0),
            max: options.max_queue,
            metrics,
        });
        let mut worker = Worker {
            model,
            queue,
            waiting: Arc::clone(&waiting),
            max_batch: options.max_batch,
            workspace: Workspace::by_rows(),
        };
        let name = "bn-serve compute".to_owned();
        thread::Builder::new()
            .name(name)
            .spawn(move || worker.run())?;
        Ok(Self {
            work,
            waiting,
            timeout: options.compute_timeout,
        })
    }

    /// The probabilities `(N, E)` of rows `(N, D)`, evaluated together with what else waits.
    pub(crate) async fn predict(
        &self,
        PredictRequest { x, is_prepared }: PredictRequest,
    ) -> Result<Array2<f32>, Error> {
        let rows = x.nrows();
        let (reply, result) = oneshot::channel();
        let request = Request {
            x,
            is_prepared,
            reply,
        };
        self.submit(rows, Work::Predict(request))?;
        self.wait(result).await
    }

    /// The result of a function of the model, which counts as this many rows.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        rows: usize,
        f: impl FnOnce(&Model) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        let (reply, result) = oneshot::channel();
        let run = Box::new(move |model: &Model| {
            if !reply.is_closed() {
                let _ = reply.send(f(model));
            }
        });
        self.submit(rows, Work::Other { rows, run })?;
        self.wait(result).await
    }

    fn submit(&self, rows: usize, work: Work) -> Result<(), Error> {
        self.waiting.add(rows)?;
        self.work.send(work).map_err(|_| Error::Internal)
    }

    async fn wait<R>(&self, result: oneshot::Receiver<Result<R, Error>>) -> Result<R, Error> {
        match tokio::time::timeout(self.timeout, result).await {
            Ok(result) => result.unwrap_or(Err(Error::Internal)),
            Err(_) => Err(Error::Timeout(self.timeout.as_secs_f64())),
        }
    }
}

/// The thread.
struct Worker {
    model: Arc<Model>,
    queue: mpsc::Receiver<Work>,
    waiting: Arc<Waiting>,
    max_batch: usize,
    workspace: Workspace<f32>,
}

impl Worker {
    fn run(&mut self) {
        while let Ok(work) = self.queue.recv() {
            // A panic would be an error of the library; its requests are answered with 500, and the next ones as usual.
            if catch_unwind(AssertUnwindSafe(|| self.work(work))).is_err() {
                self.workspace = Workspace::by_rows();
            }
        }
    }

    /// Does this and, after a prediction, all predictions that wait, as far as they fit in a batch.
    fn work(&mut self, first: Work) {
        let (mut batch, mut rows) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(work) = next {
            match work {
                Work::Predict(request) => {
                    rows += request.x.nrows();
                    batch.push(request);
                }
                Work::Other { rows, run } => {
                    self.predict(std::mem::take(&mut batch));
                    self.waiting.remove(rows);
                    return run(&self.model);
                }
            }
            next = (rows < self.max_batch)
                .then(|| self.queue.try_recv().ok())
                .flatten();
        }
        self.predict(batch);
    }

    fn predict(&mut self, mut batch: Vec<Request>) {
        batch
            .iter()
            .for_each(|request| self.waiting.remove(request.x.nrows()));
        batch.retain(|request| !request.reply.is_closed()); // the client has gone
        let prepared: Vec<Request> = batch
            .into_iter()
            .filter_map(|request| self.prepare(request))
            .collect();
        let views: Vec<ArrayView2<'_, f32>> = prepared.iter().map(|r| r.x.view()).collect();
        let Ok(x) = concatenate(Axis(0), &views) else {
            return; // of no requests
        };
        self.waiting.metrics.batches.observe(x.nrows() as f64);
        let result = self
            .model
            .network
            .predict_proba_with(x.view(), &mut self.workspace);
        let mut first = 0;
        for Request { x, reply, .. } in prepared {
            let rows = Slice::from(first..first + x.nrows());
            first += x.nrows();
            let answer = match &result {
                Ok(y) => finite(y.slice_axis(Axis(0), rows).to_owned()),
                Err(error) => Err(Error::Input(error.to_string())),
            };
            let _ = reply.send(answer);
        }
    }

    /// Prepares the pixels of a request; answers it if that fails.
    fn prepare(&self, mut request: Request) -> Option<Request> {
        match prepare(&self.model, &mut request.x, request.is_prepared) {
            Ok(()) => Some(request),
            Err(error) => {
                let _ = request.reply.send(Err(error));
                None
            }
        }
    }
}

/// Makes of pixels what the network takes.
pub(crate) fn prepare(model: &Model, x: &mut Array2<f32>, is_prepared: bool) -> Result<(), Error> {
    if !is_prepared {
        let result = model.preprocessing.apply(x.view_mut());
        result.map_err(|error| Error::Input(error.to_string()))?;
    }
    Ok(())
}

/// Returns what is finite, and otherwise names the first row that is not.
pub(crate) fn finite(y: Array2<f32>) -> Result<Array2<f32>, Error> {
    let bad = y
        .rows()
        .into_iter()
        .position(|row| row.iter().any(|v| !v.is_finite()));
    match bad {
        None => Ok(y),
        Some(row) => Err(Error::NotFinite(format!("the output for row {row}"))),
    }
}
