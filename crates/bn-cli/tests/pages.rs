//! Help, man pages and completions.

use crate::common::{folder, run};

const SUBCOMMANDS: &[&str] = &[
    "train",
    "eval",
    "predict",
    "inspect",
    "convert",
    "sample",
    "bench",
    #[cfg(feature = "serve")]
    "serve",
    "completions",
    "man",
];

#[test]
fn every_option_has_a_help_text() {
    let mut command = bn_cli::command();
    command.build();
    for subcommand in command.get_subcommands() {
        assert!(
            subcommand.get_about().is_some(),
            "{}",
            subcommand.get_name()
        );
        for argument in subcommand.get_arguments() {
            let help = argument
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                !help.is_empty(),
                "{} {}",
                subcommand.get_name(),
                argument.get_id()
            );
        }
    }
    let folder = folder();
    let help = run(folder.path(), "--help").ok().stdout;
    for code in [
        "  2    usage",
        "  3    bad input",
        "  4    a file",
        "  5    an output",
        "  130  interrupted",
    ] {
        assert!(help.contains(code), "{help}");
    }
    for subcommand in SUBCOMMANDS {
        assert!(help.contains(subcommand));
        let help = run(folder.path(), &format!("{subcommand} --help"))
            .ok()
            .stdout;
        assert!(
            help.contains("Usage: bn") && help.contains("--threads"),
            "{help}"
        );
    }
    assert!(
        run(folder.path(), "train --help")
            .ok()
            .stdout
            .starts_with("Train a classifier\n")
    );
    assert!(
        run(folder.path(), "eval --help")
            .ok()
            .stdout
            .starts_with("Evaluate a model")
    );
    assert!(
        run(folder.path(), "--version")
            .ok()
            .stdout
            .starts_with("bn 0.")
    );
}

#[test]
fn man_pages_and_completions_are_made_for_each_subcommand() {
    let folder = folder();
    let at = folder.path();
    run(at, "man pages/man1").ok();
    let main = std::fs::read_to_string(at.join("pages/man1/bn.1")).unwrap();
    assert_eq!(
        run(at, "man").ok().stdout.replace("bn(1)", ""),
        main.replace("bn(1)", "")
    );
    assert!(main.contains("130"));
    for subcommand in SUBCOMMANDS {
        assert!(main.contains(subcommand), "{subcommand}");
        let page =
            std::fs::read_to_string(at.join(format!("pages/man1/bn-{subcommand}.1"))).unwrap();
        assert!(
            page.contains(".SH SYNOPSIS") && page.contains("threads"),
            "{page}"
        );
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(at, &format!("completions {shell}")).ok().stdout;
        for word in SUBCOMMANDS.iter().chain(&["epochs", "batch-size"]) {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    std::fs::write(at.join("file"), "").unwrap();
    assert_eq!(run(at, "man file/pages").code, 5);
}
