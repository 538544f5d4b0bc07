//! Downloads from servers that work and from servers that fail. Each server runs in the test itself.

mod server;

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use super::*;
use crate::{
    mnist::Mnist,
    mnist_format::{self, LoadOptions},
    source::{MNIST, data_dir},
};
use server::{Answer, Fixture, Server, gzip, names_in, nobody, ranges};

#[test]
fn a_download_is_whole_and_happens_once() {
    let (fixture, cache) = (Fixture::new(), tempfile::tempdir().unwrap());
    let server = fixture.server();
    let folder = fixture.download(cache.path(), &[&server.url]).unwrap();
    assert_eq!(folder, cache.path().join("mnist"));
    fixture.check(cache.path());
    assert_eq!(ranges(&server), [None; 4]);

    // From now on the files come from the cache, without a mirror and without a write.
    fs::remove_file(folder.join("download.lock")).unwrap();
    assert_eq!(
        fixture.download(cache.path(), &[&nobody()]).unwrap(),
        folder
    );
    assert!(!folder.join("download.lock").exists());
    assert_eq!(server.requests().len(), 4);

    // Only missing files are downloaded.
    fs::remove_file(folder.join("t10k-labels-idx1-ubyte.gz")).unwrap();
    fixture.download(cache.path(), &[&server.url]).unwrap();
    assert_eq!(server.requests().len(), 5);
    fixture.check(cache.path());
}

#[test]
fn the_next_mirror_steps_in() {
    let (fixture, cache) = (Fixture::new(), tempfile::tempdir().unwrap());
    let forbids = Server::start(|_| Answer::status("403 Forbidden"));
    let server = fixture.server();
    let without_slash = server.url.trim_end_matches('/');
    fixture
        .download(cache.path(), &[&nobody(), &forbids.url, without_slash])
        .unwrap();
    fixture.check(cache.path());
    assert_eq!((forbids.requests().len(), server.requests().len()), (4, 4));
}

#[test]
fn a_mirror_may_pack_anew() {
    let (fixture, cache) = (Fixture::new(), tempfile::tempdir().unwrap());
    let files = fixture.files();
    let server = Server::start(move |request| {
        let mut unpacked = Vec::new();
        let packed = files(request);
        io::copy(
            &mut flate2::read::GzDecoder::new(packed.as_slice()),
            &mut unpacked,
        )
        .unwrap();
        Answer::ok(&gzip(&unpacked, 0))
    });
    fixture.download(cache.path(), &[&server.url]).unwrap();
    assert!(
        mnist_format::load(&fixture.source.place, cache.path(), LoadOptions::default()).is_ok()
    );
}

#[test]
fn wrong_bytes_never_reach_the_cache() {
    let fixture = Fixture::new();
    let first = &fixture.packed[0].1;
    let garbage = [
        ("SHA-256", gzip(b"something else", 6)),
        ("damaged gzip", b"<html>Please log in</html>".to_vec()),
        ("damaged gzip", Vec::new()),
        ("damaged gzip", [first.as_slice(), &[0]].concat()),
    ];
    for (word, body) in garbage {
        let cache = tempfile::tempdir().unwrap();
        let server = Server::start(move |_| Answer::ok(&body));
        let error = fixture.download(cache.path(), &[&server.url]).unwrap_err();
        assert!(
            matches!(&error, Error::Download { file, .. } if file == "train-images-idx3-ubyte.gz")
        );
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(
            names_in(&cache.path().join("mnist")),
            HashSet::from(["download.lock".into()])
        );
        // The same wrong bytes are not requested again.
        assert_eq!(ranges(&server), [None]);
    }
}

#[test]
fn an_interrupted_download_is_resumed() {
    let (fixture, cache) = (Fixture::new(), tempfile::tempdir().unwrap());
    let files = fixture.files();
    // Every answer ends after 3,000 bytes.
    let server = Server::start(move |request| match request.range {
        None => Answer::ok(&files(request)).cut(3000),
        Some(from) => Answer::range(&files(request), from).cut(3000),
    });
    let size = fixture.packed[0].1.len();
    assert!(size > 6000 && size < 15_000, "{size}");
    fixture.download(cache.path(), &[&server.url]).unwrap();
    fixture.check(cache.path());
    let asked = ranges(&server);
    assert_eq!(asked[..3], [None, Some(3000), Some(6000)]);
}

#[test]
fn the_next_call_and_the_next_mirror_resume_too() {
    let (fixture, cache) = (Fixture::new(), tempfile::tempdir().unwrap());
    let files = fixture.files();
    // Sends a beginning and then nothing more.
    let breaks = Server::start(move |request| match request.range {
        None => Answer::ok(&files(request)).cut(1000),
        Some(from) => Answer::range(&files(request), from).cut(0),
    });
    let error = fixture.download(cache.path(), &[&breaks.url]).unwrap_err();
    assert!(matches!(error, Error::Download { .. }));
    let part = cache.path().join("mnist/train-images-idx3-ubyte.gz.part");
    assert_eq!(fs::read(&part).unwrap(), fixture.packed[0].1[..1000]);
    assert_eq!(ranges(&breaks), [None, Some(1000)]);

    let server = fixture.server();
    fixture
        .download(cache.path(), &[&breaks.url, &server.url])
        .unwrap();
    fixture.check(cache.path());
    assert_eq!(ranges(&server)[0], Some(1000));
}

#[test]
fn a_server_that_ignores_ranges_sends_all() {
    let whole = Fixture::new().packed[0].1.len();
    for have in [1000, whole + 1000] {
        let (fixture, cache) = (Fixture::new(), tempfile::tempdir().unwrap());
        fs::create_dir(cache.path().join("mnist")).unwrap();
        let part = cache.path().join("mnist/train-images-idx3-ubyte.gz.part");
        fs::write(part, vec![7; have]).unwrap();
        let files = fixture.files();
        let server = Server::start(move |request| Answer::ok(&files(request)));
        fixture.download(cache.path(), &[&server.url]).unwrap();
        fixture.check(cache.path());
        assert_eq!(ranges(&server), [Some(have), None, None, None]);
    }
}

#[test]
fn a_part_that_does_not_fit_is_dropped() {
    let whole = Fixture::new().packed[0].1.len();
    for wrong in [vec![7; 100], vec![7; whole], vec![7; whole + 100]] {
        let (fixture, cache) = (Fixture::new(), tempfile::tempdir().unwrap());
        fs::create_dir(cache.path().join("mnist")).unwrap();
        let part = cache.path().join("mnist/train-images-idx3-ubyte.gz.part");
        fs::write(part, &wrong).unwrap();
        let server = fixture.server();
        fixture.download(cache.path(), &[&server.url]).unwrap();
        fixture.check(cache.path());
        assert_eq!(ranges(&server)[..2], [Some(wrong.len()), None]);
    }
}

#[test]
fn a_part_is_removed_when_the_files_are_there() {
    let (fixture, cache) = (Fixture::new(), tempfile::tempdir().unwrap());
    let folder = cache.path().join("mnist");
    fs::create_dir(&folder).unwrap();
    for (name, bytes) in &fixture.packed {
        fs::write(folder.join(name), bytes).unwrap();
        fs::write(folder.join(format!("{name}.part")), &bytes[..10]).unwrap();
    }
    fixture.download(cache.path(), &[&nobody()]).unwrap();
    let names: HashSet<_> = fixture
        .packed
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    assert_eq!(names_in(&folder), names);
}

#[test]
fn a_part_that_is_already_whole_is_taken() {
    let (fixture, cache) = (Fixture::new(), tempfile::tempdir().unwrap());
    fs::create_dir(cache.path().join("mnist")).unwrap();
    let (name, bytes) = &fixture.packed[0];
    fs::write(cache.path().join(format!("mnist/{name}.part")), bytes).unwrap();
    let server = fixture.server();
    fixture.download(cache.path(), &[&server.url]).unwrap();
    fixture.check(cache.path());
    assert_eq!(ranges(&server), [Some(bytes.len()), None, None, None]);
}

#[test]
fn an_answer_of_another_range_is_not_appended() {
    let (fixture, cache) = (Fixture::new(), tempfile::tempdir().unwrap());
    fs::create_dir(cache.path().join("mnist")).unwrap();
    let (name, bytes) = &fixture.packed[0];
    fs::write(
        cache.path().join(format!("mnist/{name}.part")),
        &bytes[..1000],
    )
    .unwrap();
    let files = fixture.files();
    let server = Server::start(move |request| match request.range {
        None => Answer::ok(&files(request)),
        Some(from) => Answer::range(&files(request), from + 1),
    });
    fixture.download(cache.path(), &[&server.url]).unwrap();
    fixture.check(cache.path());
}

#[test]
fn an_error_without_a_network_says_where_to_put_the_files() {
    let (fixture, cache) = (Fixture::new(), tempfile::tempdir().unwrap());
    let (first, second) = (nobody(), nobody());
    let message = fixture
        .download(cache.path(), &[&first, &second])
        .unwrap_err()
        .to_string();
    let folder = cache.path().join("mnist").display().to_string();
    let file = "train-images-idx3-ubyte.gz";
    for part in [
        &format!("could not download {file}"),
        &format!("{first}{file}: "),
        &format!("{second}{file}: "),
        "refused",
        &folder,
        "BN_DATA_DIR",
    ] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    assert!(!message.contains("--data-dir"), "{message}");
}

/// In the middle of a body, and before any answer.
#[test]
fn a_dead_line_is_noticed() {
    let fixture = Fixture::new();
    let patience = Duration::from_millis(100);
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
    for (sent, kept) in [(String::new(), ""), (format!("{head}abc"), "abc")] {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("part");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file.gz", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let streams = listener.incoming().map(|stream| {
                let mut stream = stream.unwrap();
                stream.write_all(sent.as_bytes()).unwrap();
                stream
            });
            streams.take(2).collect::<Vec<_>>() // kept open
        });
        let start = Instant::now();
        let failure =
            Transfer::new(false, patience).fetch(&url, &fixture.source.files.train_images, &part);
        assert!(matches!(failure, Err(Failure::Mirror(answer)) if answer.contains("timeout")));
        let waited = start.elapsed();
        assert!(
            waited >= patience && waited < Duration::from_secs(10),
            "{waited:?}"
        );
        assert_eq!(fs::read(&part).unwrap_or_default(), kept.as_bytes());
        // If there was only one request, the server still waits for the second.
        let _ = std::net::TcpStream::connect(url[7..].split('/').next().unwrap());
        server.join().unwrap();
    }
}

fn refused_cache(cache: &Path) {
    let fixture = Fixture::new();
    let server = fixture.server();
    let error = fixture.download(cache, &[&server.url]).unwrap_err();
    let Error::CacheFolder { folder, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*folder, cache.join("mnist"));
    for part in [
        folder.to_str().unwrap(),
        "Download::cache_dir",
        "BN_DATA_DIR",
    ] {
        assert!(
            error.to_string().contains(part),
            "{part} is not in: {error}"
        );
    }
    assert!(!error.to_string().contains("--data-dir"), "{error}");
    // It is found before anything is downloaded.
    assert!(server.requests().is_empty());
}

#[test]
fn a_cache_folder_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    refused_cache(&folder.path().join("file"));
    refused_cache(&folder.path().join("file/below"));
    // A file system that not even root can write to.
    #[cfg(target_os = "linux")]
    refused_cache(Path::new("/proc"));
}

#[cfg(unix)]
#[test]
fn a_read_only_cache_folder_is_named() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("mnist")).unwrap();
    let set = |mode| {
        fs::set_permissions(
            folder.path().join("mnist"),
            fs::Permissions::from_mode(mode),
        )
        .unwrap();
    };
    set(0o555);
    if fs::write(folder.path().join("mnist/probe"), "").is_ok() {
        println!("skipped: root writes whatever the rights");
    } else {
        refused_cache(folder.path());
    }
    set(0o755);
}

/// Not even root can write a file where a folder is.
#[test]
fn a_part_that_cannot_be_written_is_the_caches_fault_not_the_mirrors() {
    let (fixture, cache) = (Fixture::new(), tempfile::tempdir().unwrap());
    let part = cache.path().join("mnist/train-images-idx3-ubyte.gz.part");
    fs::create_dir_all(part).unwrap();
    let server = fixture.server();
    let error = fixture
        .download(cache.path(), &[&server.url, &server.url])
        .unwrap_err();
    assert!(matches!(error, Error::CacheFolder { .. }), "{error:?}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn several_downloads_at_once_fetch_each_file_once() {
    let (fixture, cache) = (Fixture::new(), tempfile::tempdir().unwrap());
    let server = fixture.server();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| fixture.download(cache.path(), &[&server.url]).unwrap());
        }
    });
    assert_eq!(server.requests().len(), 4);
    fixture.check(cache.path());
}

#[test]
fn the_folder_that_the_user_named_comes_first() {
    let (fixture, cache) = (Fixture::new(), tempfile::tempdir().unwrap());
    fixture
        .download(cache.path(), &[&fixture.server().url])
        .unwrap();
    // Neither the platform's cache nor a mirror is needed.
    let (train, _) = mnist_format::load_or_download(fixture.source, Some(cache.path())).unwrap();
    assert_eq!(train.len(), 40);
}

#[test]
fn the_real_mnist_by_the_public_way() {
    let Some(files) = data_dir(None).and_then(|dir| MNIST.place.find(&dir, &MNIST.files).ok())
    else {
        println!("skipped: BN_DATA_DIR names no folder with MNIST");
        return;
    };
    let folder = files.train_images.parent().unwrap().to_owned();
    if !folder.join("train-images-idx3-ubyte.gz").exists() {
        println!("skipped: the files are not packed, as a mirror has them");
        return;
    }
    let server = Server::start(move |request| {
        let bytes = fs::read(folder.join(&request.file)).unwrap();
        match request.range {
            None => Answer::ok(&bytes).cut(5_000_000),
            Some(from) => Answer::range(&bytes, from),
        }
    });
    let cache = tempfile::tempdir().unwrap();
    let download = Download::default()
        .mirrors([server.url.as_str()])
        .cache_dir(cache.path());
    let mnist = Mnist::load_or_download_with(&download, LoadOptions::default()).unwrap();
    assert_eq!((mnist.train().len(), mnist.test().len()), (60_000, 10_000));
    assert_eq!(ranges(&server), [None, Some(5_000_000), None, None, None]);
}
