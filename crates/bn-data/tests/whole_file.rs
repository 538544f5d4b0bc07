//! A file is saved whole or not at all, and only a regular file is replaced.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::thread;

use bn_data::write_whole;

fn save(path: impl AsRef<Path>, content: &str) -> io::Result<()> {
    write_whole(path, |file| file.write_all(content.as_bytes()))
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_name_may_have_no_folder_and_any_length() {
    // Tests run in the folder of the crate.
    let name = format!("target-of-a-test-{}", std::process::id());
    save(&name, "here").unwrap();
    assert_eq!(fs::read(&name).unwrap(), b"here");
    fs::remove_file(&name).unwrap();

    let folder = tempfile::tempdir().unwrap();
    for len in [1, 239, 240, 241, 255] {
        save(folder.path().join("n".repeat(len)), "long").unwrap();
    }
    assert_eq!(names_in(folder.path()).len(), 5);
    assert!(save(folder.path().join("n".repeat(256)), "too long").is_err());
}

#[test]
fn what_is_no_name_of_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (path, reason) in [
        (PathBuf::new(), "file name"),
        (folder.path().to_owned(), "directory"),
        (folder.path().join(".."), "directory"),
        (folder.path().join("none").join(".."), "file name"),
        (folder.path().join("none").join("a"), "none"),
    ] {
        let error = save(&path, "new").unwrap_err();
        assert!(error.to_string().contains(reason), "{path:?}: {error}");
    }
    assert!(names_in(folder.path()).is_empty());
}

#[test]
fn a_failed_or_panicking_write_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    save(&path, "old").unwrap();
    let error = write_whole(&path, |file| {
        file.write_all(b"new")?;
        Err(io::Error::other("no more"))
    });
    assert_eq!(error.unwrap_err().to_string(), "no more");
    let panicked = thread::spawn({
        let path = path.clone();
        move || {
            let _ = write_whole(path, |file| {
                file.write_all(b"new").unwrap();
                panic!("expected by the test")
            });
        }
    });
    assert!(panicked.join().is_err());
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names_in(folder.path()), ["a"]);
}

/// Eight saves have a partial file with a fixed name, the others one with a random name.
#[test]
fn saves_at_once_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let at_once = Arc::new(Barrier::new(12));
    thread::scope(|scope| {
        for thread in 0..12 {
            let (path, at_once) = (&path, at_once.clone());
            scope.spawn(move || {
                write_whole(path, |file| {
                    at_once.wait(); // all twelve have their partial file
                    file.write_all(&[thread; 10_000])
                })
                .unwrap();
                for _ in 0..50 {
                    write_whole(path, |file| file.write_all(&[thread; 10_000])).unwrap();
                    let content = fs::read(path).unwrap();
                    assert_eq!(content.len(), 10_000);
                    assert!(content.iter().all(|&byte| byte == content[0]));
                }
            });
        }
    });
    assert_eq!(names_in(folder.path()), ["a"]);
    // A save within a save.
    write_whole(&path, |file| {
        save(&path, "inner")?;
        file.write_all(b"outer")
    })
    .unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"outer");
    assert_eq!(names_in(folder.path()), ["a"]);
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_symbolic_link_stays_and_its_target_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("there")).unwrap();
        save(at("there/file"), "old").unwrap();
        symlink("there/file", at("relative")).unwrap();
        symlink(at("relative"), at("twice")).unwrap();
        symlink("there/absent", at("dangling")).unwrap();
        symlink("there", at("folder")).unwrap();
        for (link, file) in [
            ("relative", "there/file"),
            ("twice", "there/file"),
            ("dangling", "there/absent"),
            ("folder/inside", "there/inside"),
        ] {
            save(at(link), link).unwrap();
            assert_eq!(fs::read(at(file)).unwrap(), link.as_bytes());
            assert!(fs::symlink_metadata(at(file)).unwrap().is_file());
        }
        for link in ["relative", "twice", "dangling", "folder"] {
            assert!(fs::symlink_metadata(at(link)).unwrap().is_symlink());
        }
        assert_eq!(names_in(&at("there")), ["absent", "file", "inside"]);

        symlink("circle", at("circle")).unwrap();
        let error = save(at("circle"), "new").unwrap_err();
        assert!(error.to_string().contains("circle"), "{error}");
        let error = save(at("folder"), "new").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IsADirectory);
    }

    #[test]
    fn the_mode_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for bits in [0o600, 0o640, 0o664, 0o666, 0o777] {
            fs::write(&path, "old").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
            write_whole(&path, |file| {
                // The partial file is as private as the target.
                assert_eq!(file.metadata()?.mode() & 0o7777, bits);
                file.write_all(b"new")
            })
            .unwrap();
            assert_eq!(mode(&path), bits);
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
        save(&path, "new").unwrap();
        assert_eq!(mode(&path), 0o755);
    }

    #[test]
    fn only_a_regular_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (fifo, socket) = (folder.path().join("fifo"), folder.path().join("socket"));
        let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        let _listener = UnixListener::bind(&socket).unwrap();
        for path in [
            &fifo,
            &socket,
            Path::new("/dev/null"),
            Path::new("/dev/full"),
        ] {
            let before = fs::metadata(path).unwrap();
            let error = save(path, "new").unwrap_err();
            assert!(error.to_string().contains("regular file"), "{error}");
            let after = fs::metadata(path).unwrap();
            assert_eq!((after.ino(), after.mode()), (before.ino(), before.mode()));
        }
        assert_eq!(names_in(folder.path()), ["fifo", "socket"]);
    }

    /// If a shell's output file were replaced, later output would be lost.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_open_file_of_a_process_is_refused() {
        use std::os::fd::AsRawFd;

        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("a")).unwrap();
        let (reader, _writer) = io::pipe().unwrap();
        for descriptor in [file.as_raw_fd(), reader.as_raw_fd()] {
            for dir in ["/proc/self/fd", "/dev/fd"] {
                let error = save(format!("{dir}/{descriptor}"), "new").unwrap_err();
                assert!(error.to_string().contains("standard output"), "{error}");
            }
        }
        assert_eq!(names_in(folder.path()), ["a"]);
        assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"");
    }

    #[test]
    fn a_folder_that_takes_no_file_is_named() {
        // Nobody can create a file there, root included.
        #[cfg(target_os = "linux")]
        {
            let error = save("/proc/a", "new").unwrap_err();
            assert!(error.to_string().contains("folder /proc:"), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        save(&path, "old").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
        let is_root = fs::write(folder.path().join("probe"), "").is_ok();
        if is_root {
            println!("skipped: root writes whatever the permissions");
        } else {
            let error = save(&path, "new").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            assert!(error.to_string().contains("in the folder"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), b"old");
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();

        // A file that may not be written is not replaced, although the folder would allow it.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        if !is_root {
            let error = save(&path, "new").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            assert_eq!(fs::read(&path).unwrap(), b"old");
        }
    }

    #[test]
    fn what_a_killed_save_has_left_is_removed_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for slot in [0, 1, 3, 7] {
            fs::write(folder.path().join(format!(".a.part{slot}")), "left").unwrap();
        }
        save(&path, "new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names_in(folder.path()), ["a"]);

        // A locked file belongs to a running save.
        let running = File::create(folder.path().join(".a.part0")).unwrap();
        running.lock().unwrap();
        fs::write(folder.path().join(".a.part1"), "left").unwrap();
        save(&path, "newer").unwrap();
        assert_eq!(names_in(folder.path()), [".a.part0", "a"]);
        drop(running);
        save(&path, "newest").unwrap();
        assert_eq!(names_in(folder.path()), ["a"]);
    }

    /// A link or a pipe with the name of a partial file is neither followed nor removed.
    #[test]
    fn a_partial_name_that_is_taken_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("precious"), "precious").unwrap();
        symlink("precious", at(".a.part0")).unwrap();
        symlink("absent", at(".a.part1")).unwrap();
        fs::create_dir(at(".a.part2")).unwrap();
        let made = Command::new("mkfifo").arg(at(".a.part3")).status().unwrap();
        assert!(made.success());
        save(at("a"), "new").unwrap();
        assert_eq!(fs::read(at("a")).unwrap(), b"new");
        assert_eq!(fs::read(at("precious")).unwrap(), b"precious");
        assert!(fs::symlink_metadata(at("a")).unwrap().is_file());
        assert_eq!(names_in(folder.path()).len(), 6);
    }

    /// Runs in its own process and writes until it is killed.
    #[test]
    fn a_child_that_saves() {
        let Some(path) = std::env::var_os("BN_TEST_SAVE_FOREVER") else {
            return;
        };
        write_whole(path, |file| {
            loop {
                file.write_all(&[0; 1000])?;
                file.sync_all()?;
                println!("saving");
                io::stdout().flush()?;
            }
        })
        .unwrap();
    }

    #[test]
    fn a_killed_process_leaves_the_old_file_and_nothing_after_the_next_save() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        save(&path, "old").unwrap();
        for _ in 0..2 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "whole_file::unix::a_child_that_saves",
                    "--nocapture",
                ])
                .env("BN_TEST_SAVE_FOREVER", &path)
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let mut output = child.stdout.take().unwrap();
            let mut seen = Vec::new();
            while !String::from_utf8_lossy(&seen).contains("saving") {
                let mut byte = [0];
                output.read_exact(&mut byte).unwrap();
                seen.push(byte[0]);
            }
            // The partial file of a running save is not removed.
            save(&path, "meanwhile").unwrap();
            assert_eq!(names_in(folder.path()), [".a.part0", "a"]);
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"meanwhile");
            // The second child removes what the first has left.
            assert_eq!(names_in(folder.path()), [".a.part0", "a"]);
        }
        save(&path, "new").unwrap();
        assert_eq!(names_in(folder.path()), ["a"]);
    }
}
