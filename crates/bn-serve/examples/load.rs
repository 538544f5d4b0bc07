//! Sends the same request over many connections, and prints requests per second, the median and the 99th percentile of
//! their times, and what went wrong. Each connection has one request at a time, so the load is bounded. It works with any
//! server whose answers have a Content-Length, so that two can be compared:
//!
//! ```sh
//! cargo run --release -p bn-serve --example load -- http://127.0.0.1:8000/v1/predict body.json 64 30
//! ```
//!
//! The arguments are the address, the file with the JSON body, the number of connections and the seconds.

use anyhow::{Context, anyhow, bail};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// What a connection has seen.
#[derive(Default)]
struct Seen {
    micros: Vec<u32>,                  // of the answered requests
    problems: BTreeMap<String, usize>, // how often
}

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, body, rest @ ..] = &args[..] else {
        bail!("usage: load URL BODY.json [CONNECTIONS] [SECONDS]");
    };
    let number = |i: usize, default: u64| rest.get(i).map_or(Ok(default), |text| text.parse());
    let (connections, seconds) = (number(0, 64)?, number(1, 30)?);
    let url = url
        .strip_prefix("http://")
        .context("the address must begin with http://")?;
    let (host, path) = url.split_once('/').unwrap_or((url, ""));
    let body = std::fs::read(body).with_context(|| format!("cannot read {body}"))?;
    let mut request = format!(
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);

    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    let seen: Vec<Seen> = std::thread::scope(|scope| {
        let one = |_| scope.spawn(|| keep_asking(host, &request, end));
        let threads: Vec<_> = (0..connections).map(one).collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    let elapsed = start.elapsed().as_secs_f64();
    let mut problems: BTreeMap<String, usize> = BTreeMap::new();
    let mut micros: Vec<u32> = Vec::new();
    for one in seen {
        micros.extend(one.micros);
        for (problem, count) in one.problems {
            *problems.entry(problem).or_default() += count;
        }
    }
    micros.sort_unstable();
    let at = |share: f64| {
        let place = (micros.len() as f64 * share) as usize;
        micros
            .get(place.min(micros.len().saturating_sub(1)))
            .map_or(f64::NAN, |&t| f64::from(t) / 1000.0)
    };
    println!(
        "{} requests in {elapsed:.1} s over {connections} connections: {:.0} per second, p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
        micros.len(),
        micros.len() as f64 / elapsed,
        at(0.5),
        at(0.99),
        at(1.0),
    );
    println!("{} errors", problems.values().sum::<usize>());
    for (problem, count) in problems {
        println!("  {count}× {problem}");
    }
    Ok(())
}

/// Asks again and again over one connection, and over another one if it fails.
fn keep_asking(host: &str, request: &[u8], end: Instant) -> Seen {
    let mut seen = Seen::default();
    while Instant::now() < end {
        if let Err(problem) = ask_over_one(host, request, end, &mut seen) {
            *seen.problems.entry(problem.to_string()).or_default() += 1;
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    seen
}

fn ask_over_one(host: &str, request: &[u8], end: Instant, seen: &mut Seen) -> anyhow::Result<()> {
    let stream = TcpStream::connect(host)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut stream = BufReader::new(stream);
    let mut body = Vec::new();
    while Instant::now() < end {
        let start = Instant::now();
        stream.get_mut().write_all(request)?;
        let status = read_answer(&mut stream, &mut body)?;
        if status == 200 {
            seen.micros.push(start.elapsed().as_micros().try_into()?);
        } else {
            *seen.problems.entry(format!("status {status}")).or_default() += 1;
        }
    }
    Ok(())
}

fn read_answer(stream: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> anyhow::Result<u16> {
    let (mut line, mut status, mut length) = (String::new(), None, None);
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            bail!("the server closed the connection");
        }
        let text = line.trim_end();
        if status.is_none() {
            let code = text.split(' ').nth(1).context("no status")?;
            status = Some(code.parse()?);
        } else if let Some((name, value)) = text.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = Some(value.trim().parse()?);
        } else if text.is_empty() {
            break;
        }
    }
    body.resize(length.context("no Content-Length")?, 0);
    stream.read_exact(body)?;
    status.ok_or_else(|| anyhow!("no status"))
}
