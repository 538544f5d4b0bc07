//! The paths and what answers them.

use crate::{
    activations::LayerByLayer,
    body,
    content::{Content, is_generator},
    engine::{Engine, prepare},
    error::Error,
    events,
    live::Live,
    metrics::{MEDIA_TYPE, Metrics},
    model_info::ModelInfo,
    options::Options,
    page,
    predict::{PredictRequest, Predictions},
    sample::{SampleRequest, sample},
    training::Training,
};
use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bn_net::Model;
use serde::Serialize;
use std::{sync::Arc, time::Instant};
use tokio::sync::{Semaphore, watch};

/// What the requests share.
pub(crate) struct App {
    pub(crate) options: Options,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) live: Option<Live>,
    pub(crate) watchers: Arc<Semaphore>,
    pub(crate) closing: watch::Sender<bool>, // true once the server stops
    pub(crate) training: Option<Training>,
    model: Option<Served>,
}

/// A model and the thread that evaluates it.
struct Served {
    model: Arc<Model>,
    layers: Option<Arc<LayerByLayer>>, // none if a layer cannot describe itself
    engine: Engine,
}

type Shared = State<Arc<App>>;

impl App {
    pub(crate) fn new(content: Content, options: &Options) -> Result<Arc<Self>, Error> {
        options.check()?;
        let Content { model, live, train } = content;
        if model.is_none() && live.is_none() && train.is_none() {
            return Err(Error::Empty);
        }
        let metrics = Arc::new(Metrics::new());
        let model = match model {
            None => None,
            Some(model) => {
                let model = Arc::new(model);
                Some(Served {
                    layers: LayerByLayer::new(&model.network).ok().map(Arc::new),
                    engine: Engine::start(Arc::clone(&model), options, Arc::clone(&metrics))?,
                    model,
                })
            }
        };
        let live = live.or_else(|| train.is_some().then(Live::new));
        let training = train
            .zip(live.clone())
            .map(|(train, live)| Training::new(train, live));
        Ok(Arc::new(Self {
            options: options.clone(),
            metrics,
            live,
            watchers: Arc::new(Semaphore::new(options.max_watchers)),
            closing: watch::channel(false).0,
            training,
            model,
        }))
    }

    fn classifier(&self) -> Result<&Served, Error> {
        let served = self
            .model
            .as_ref()
            .filter(|s| !is_generator(&s.model.network));
        served.ok_or_else(|| Error::NotFound("no classifier is served here".to_owned()))
    }

    fn generator(&self) -> Result<&Served, Error> {
        let served = self
            .model
            .as_ref()
            .filter(|s| is_generator(&s.model.network));
        served.ok_or_else(|| Error::NotFound("no generator is served here".to_owned()))
    }

    fn training(&self) -> Result<&Training, Error> {
        let none = || Error::NotFound("no training run can be started here".to_owned());
        self.training.as_ref().ok_or_else(none)
    }
}

/// The page and the API as a router of axum, for a program that has a server of its own. The limits on
/// connections, heads and writing are then those of that server, and it does not check the `Host`; [`serve`](crate::serve)
/// does all of this.
///
/// | path | |
/// |---|---|
/// | `GET /` | the page |
/// | `GET /v1` | what is offered |
/// | `GET /v1/model` | layers, shapes, classes and preprocessing |
/// | `POST /v1/predict` | probabilities: [`PredictRequest`] |
/// | `POST /v1/activations` | the output of each layer for one image |
/// | `POST /v1/sample` | images of a generator: `{"noise": [[…]]}` or `{"count": 16, "seed": 7}` |
/// | `GET /v1/train`, `POST`, `DELETE` | whether a training run is running; starts one; stops it |
/// | `GET /events` | training runs, as server-sent events |
/// | `GET /healthz`, `GET /metrics` | for probes and for Prometheus |
///
/// # Errors
/// [`Error::Empty`], [`Error::Setting`]; [`Error::Io`] if the thread for the network cannot be started.
pub fn router(content: Content, options: &Options) -> Result<Router, Error> {
    Ok(of_app(App::new(content, options)?))
}

pub(crate) fn of_app(app: Arc<App>) -> Router {
    let mut router = Router::new()
        .route("/healthz", get(|| async { json(&Health { status: "ok" }) }))
        .route("/metrics", get(metrics))
        .route("/events", get(events::events))
        .route("/v1", get(offers))
        .route("/v1/model", get(model))
        .route("/v1/predict", post(predict))
        .route("/v1/activations", post(activations))
        .route("/v1/sample", post(samples))
        .route("/v1/train", get(training).post(start).delete(stop));
    for (path, media_type, content) in page::FILES {
        router = router.route(
            path,
            get(move || async move { page::answer(media_type, content) }),
        );
    }
    router
        .fallback(|uri: Uri| async move {
            Error::NotFound(format!("there is nothing at {}", uri.path()))
        })
        .method_not_allowed_fallback(
            |method: Method| async move { Error::Method(method.to_string()) },
        )
        .layer(from_fn_with_state(Arc::clone(&app), around))
        .with_state(app)
}

/// Counts each answer, and gives it the headers that protect the page.
async fn around(State(app): Shared, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    let path = path.as_ref().map_or("other", MatchedPath::as_str);
    let status = response.status().as_u16();
    app.metrics.answered(path, status, start.elapsed());
    const HEADERS: [(HeaderName, &str); 3] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ];
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The answer with a value as JSON.
fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => Error::Internal.into_response(),
    }
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[derive(Serialize)]
struct Offers {
    predict: bool,
    activations: bool,
    sample: bool,
    events: bool,
    train: bool,
}

async fn offers(State(app): Shared) -> Response {
    let classifier = app.classifier().ok();
    json(&Offers {
        predict: classifier.is_some(),
        activations: classifier.is_some_and(|served| served.layers.is_some()),
        sample: app.generator().is_ok(),
        events: app.live.is_some(),
        train: app.training.is_some(),
    })
}

async fn metrics(State(app): Shared) -> Response {
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], app.metrics.text()).into_response()
}

async fn model(State(app): Shared) -> Result<Response, Error> {
    let none = || Error::NotFound("no model is served here".to_owned());
    let served = app.model.as_ref().ok_or_else(none)?;
    Ok(json(&ModelInfo::new(
        &served.model,
        is_generator(&served.model.network),
    )))
}

async fn predict(State(app): Shared, request: Request) -> Result<Response, Error> {
    let served = app.classifier()?;
    let body = body::read(request, &app.options).await?;
    let (input, max) = (served.model.network.input(), app.options.max_images);
    let size = body.len();
    let parse = move || PredictRequest::parse(&body, input, max);
    let request = body::off_executor(size, parse).await??;
    let rows = request.x.nrows() as u64;
    let y = served.engine.predict(request).await?;
    app.metrics.rows.inc_by(rows);
    let model = Arc::clone(&served.model);
    let size = y.len().saturating_mul(10); // digits
    let write = move || json(&Predictions::new(&y, &model.classes));
    body::off_executor(size, write).await
}

async fn activations(State(app): Shared, request: Request) -> Result<Response, Error> {
    let served = app.classifier()?;
    let none = "a layer of this model does not describe itself, so the layers cannot be separated";
    let layers = served.layers.clone();
    let layers = layers.ok_or_else(|| Error::NotFound(none.to_owned()))?;
    let body = body::read(request, &app.options).await?;
    let (input, size) = (served.model.network.input(), body.len());
    let parse = move || PredictRequest::parse(&body, input, 1);
    let PredictRequest { mut x, is_prepared } = body::off_executor(size, parse).await??;
    let run = move |model: &Model| {
        prepare(model, &mut x, is_prepared)?;
        Ok(json(&layers.activations(x)?))
    };
    served.engine.run(1, run).await
}

async fn samples(State(app): Shared, request: Request) -> Result<Response, Error> {
    let served = app.generator()?;
    let body = body::read(request, &app.options).await?;
    let (width, max) = (served.model.network.input().size(), app.options.max_images);
    let size = body.len();
    let parse = move || SampleRequest::parse(&body, width, max);
    let SampleRequest { noise } = body::off_executor(size, parse).await??;
    let rows = noise.nrows();
    let run = move |model: &Model| Ok(json(&sample(model, &noise)?));
    served.engine.run(rows, run).await
}

#[derive(Serialize)]
struct IsRunning {
    running: bool,
}

async fn training(State(app): Shared) -> Result<Response, Error> {
    let running = app.training()?.is_running();
    Ok(json(&IsRunning { running }))
}

async fn start(State(app): Shared, request: Request) -> Result<Response, Error> {
    let training = app.training()?;
    body::read(request, &app.options).await?; // announced as JSON, so no other page can start a run
    training.start()?;
    Ok((StatusCode::ACCEPTED, json(&IsRunning { running: true })).into_response())
}

async fn stop(State(app): Shared) -> Result<Response, Error> {
    let training = app.training()?;
    training.stop();
    let running = training.is_running();
    Ok((StatusCode::ACCEPTED, json(&IsRunning { running })).into_response())
}
