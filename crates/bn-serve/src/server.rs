//! Connections: accepting them, bounding their number and time, and ending them.

use crate::{
    content::Content,
    error::Error,
    host::check_host,
    options::Options,
    router::{App, of_app},
};
use axum::middleware::from_fn_with_state;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener as AsyncListener, TcpStream},
    runtime,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;

/// How often the flag is read.
const POLL: Duration = Duration::from_millis(20);
/// The longest head of a request.
const HEAD: usize = 16 << 10;

/// Serves the page and the API until `stop` becomes true, for example in a handler of Ctrl-C. It then accepts no more
/// connections, answers the requests that have arrived, ends the streams of events, asks the training run to stop, and
/// returns, at the latest after [`Options::grace`].
///
/// The call has threads of its own and blocks. It serves HTTP/1.1; [`router`](crate::router) lists the paths.
///
/// ```
/// use bn_net::{Model, Network};
/// use bn_serve::{Content, Options, serve};
/// use std::sync::{Arc, atomic::{AtomicBool, Ordering}};
///
/// let network = Network::builder((8, 8, 1)).affine(16).batch_norm().relu().affine(10).build(1)?;
/// let content = Content::new().model(Model::from(network));
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// println!("http://{}", listener.local_addr()?);
/// let stop = Arc::new(AtomicBool::new(false));
/// let server = std::thread::spawn({
///     let stop = Arc::clone(&stop);
///     move || serve(listener, content, &Options::default(), stop)
/// });
/// stop.store(true, Ordering::Relaxed);
/// server.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Empty`], [`Error::Setting`]; [`Error::Io`] if the listener or a thread is refused.
pub fn serve(
    listener: TcpListener,
    content: Content,
    options: &Options,
    stop: Arc<AtomicBool>,
) -> Result<(), Error> {
    let app = App::new(content, options)?;
    listener.set_nonblocking(true)?;
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(options.threads)
        .thread_name("bn-serve")
        .enable_all()
        .build()?;
    let result = runtime.block_on(accept(listener, app, stop));
    runtime.shutdown_timeout(Duration::ZERO);
    result
}

async fn accept(listener: TcpListener, app: Arc<App>, stop: Arc<AtomicBool>) -> Result<(), Error> {
    let listener = AsyncListener::from_std(listener)?;
    let options = &app.options;
    let mut router = of_app(Arc::clone(&app));
    if listener.local_addr()?.ip().is_loopback() {
        let hosts: Arc<[String]> = options.allowed_hosts.clone().into();
        router = router.layer(from_fn_with_state(hosts, check_host));
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .max_header_size(HEAD);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(options.max_connections));
    loop {
        let (stream, place) = tokio::select! {
            () = is_set(&stop) => break,
            accepted = next(&listener, &places) => accepted,
        };
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(options.write_timeout));
        let service = TowerToHyperService::new(router.clone());
        let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), service);
        let connection = graceful.watch(connection);
        let metrics = Arc::clone(&app.metrics);
        tokio::spawn(async move {
            metrics.connections.inc();
            let _ = connection.await; // the client's errors are not ours
            metrics.connections.dec();
            drop(place);
        });
    }
    drop(listener);
    app.closing.send_replace(true);
    if let Some(training) = &app.training {
        training.stop();
    }
    let end = Instant::now() + options.grace;
    let _ = timeout(options.grace, graceful.shutdown()).await;
    while let Some(training) = &app.training
        && training.is_running()
        && Instant::now() < end
    {
        sleep(POLL).await;
    }
    Ok(())
}

async fn is_set(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        sleep(POLL).await;
    }
}

/// The next connection, once there is a place for it.
async fn next(
    listener: &AsyncListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    let place = Arc::clone(places).acquire_owned().await.ok(); // it is never closed
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            // The client has gone again, or the process has too many files open.
            Err(_) => sleep(POLL).await,
        }
    }
}
