//! Configuration files.

use crate::common::{folder, run};

#[test]
fn a_file_has_the_same_keys_as_the_options_and_an_option_wins() {
    let folder = folder();
    let at = folder.path();
    let text = "epochs = 2\nhidden = [30, 20]\nlr = 0.01\nbatch-norm = false\noptimizer = \"momentum\"\nseed = 9\n";
    std::fs::write(at.join("run.toml"), text).unwrap();
    let json = run(at, "train --config run.toml --json").ok().json();
    let settings = &json["settings"];
    assert_eq!(settings["hidden"].to_string(), "[30,20]");
    assert_eq!(
        (&settings["epochs"], &settings["seed"]),
        (&2.into(), &9.into())
    );
    assert_eq!(settings["batch-norm"], false);
    assert_eq!(
        json["parameters"],
        64 * 30 + 30 + 30 * 20 + 20 + 20 * 10 + 10
    );

    let options = "--epochs 1 --hidden 8 --batch-norm --seed=3 --json";
    let json = run(at, &format!("train {options} --config run.toml"))
        .ok()
        .json();
    assert_eq!(
        (&json["settings"]["epochs"], &json["settings"]["seed"]),
        (&1.into(), &3.into())
    );
    assert_eq!(json["settings"]["hidden"].to_string(), "[8]");
    assert_eq!(json["parameters"], 64 * 8 + 2 * 8 + 8 * 10 + 10);
    assert_eq!(json["settings"]["optimizer"], "momentum");
    let json = run(
        at,
        "--quiet --threads 1 train --config run.toml --epochs 3 --json",
    )
    .ok()
    .json();
    assert_eq!(json["epochs"], 3.0);
}

#[test]
fn a_printed_configuration_gives_the_same_model() {
    let folder = folder();
    let at = folder.path();
    let options = "--epochs 2 --hidden 16 --no-batch-norm --dropout 0.1 --lr 0.002 --validation 0.25 --augment";
    let printed = run(at, &format!("train {options} --print-config"))
        .ok()
        .stdout;
    assert!(
        printed.contains("batch-norm = false") && printed.contains("hidden = [16]"),
        "{printed}"
    );
    assert!(!at.join("model.safetensors").exists());
    std::fs::write(at.join("run.toml"), &printed).unwrap();
    run(at, &format!("train {options} --output a.safetensors")).ok();
    run(at, "train --config run.toml --output b.safetensors").ok();
    let read = |name: &str| std::fs::read(at.join(name)).unwrap();
    assert_eq!(read("a.safetensors"), read("b.safetensors"));
    assert_eq!(
        run(at, "train --config run.toml --print-config")
            .ok()
            .stdout,
        printed
    );
}

#[test]
fn a_file_that_cannot_be_used_is_refused_with_its_name() {
    let folder = folder();
    let at = folder.path();
    for (text, code, expected) in [
        ("epoch = 2", 2, "unknown key `epoch`"),
        ("epoch = 2", 2, "batch-size, seed, augment"), // the known keys
        ("epochs = 0", 2, "not an integer, 1 or more"),
        ("lr = -1.0", 2, "a finite number above 0"),
        ("lr = nan", 2, "a finite number above 0"),
        ("augment = 3", 2, "`augment` must be true or false"),
        ("epochs = { a = 1 }", 2, "`epochs` must be a value"),
        ("config = \"run.toml\"", 2, "unknown key `config`"),
        ("epochs = ", 4, "run.toml"),
        ("data = \"digits", 4, "run.toml"),
    ] {
        std::fs::write(at.join("run.toml"), text).unwrap();
        let outcome = run(at, "train --config run.toml");
        assert_eq!(outcome.code, code, "{text}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains(expected),
            "{text}: {}",
            outcome.stderr
        );
        assert!(
            outcome.stderr.contains("run.toml"),
            "{text}: {}",
            outcome.stderr
        );
        assert!(
            outcome.stderr.contains("hint: "),
            "{text}: {}",
            outcome.stderr
        );
    }
    assert_eq!(run(at, "train --config missing.toml").code, 4);
    assert_eq!(run(at, "train --config .").code, 4);
}
