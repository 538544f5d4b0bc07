//! Careless input: an exit code, a message that says what to do, and no file.

use crate::common::{bn, digits_model, folder, refused, run};

#[test]
fn options_that_cannot_be_used() {
    let folder = folder();
    let at = folder.path();
    for (args, words) in [
        ("", "Usage: bn"),
        ("trian", "unrecognized subcommand"),
        ("train --epoch 1", "--epochs"),
        ("train --epochs 0", "not an integer, 1 or more"),
        ("train --epochs -1", "not an integer, 1 or more"),
        ("train --lr -0.1", "not a finite number above 0"),
        ("train --lr nan", "not a finite number above 0"),
        ("train --lr 1e39", "not a finite number above 0"),
        ("train --dropout 1", "from 0 to 1"),
        ("train --validation 1", "between 0 and 1"),
        ("train --validation 0.0001", "validation"),
        ("train --batch-size 0", "from 1 to"),
        ("train --batch-size 1", "at least"),
        ("train --hidden 0", "from 1 to"),
        ("train --hidden 1000000,1000000", "use smaller sizes"),
        ("train --seed -1", "seed"),
        ("train --network vgg", "mlp, cnn, resnet"),
        (
            "train --network resnet --dropout 0.5",
            "there is no resnet with Dropout",
        ),
        (
            "train --network resnet --no-batch-norm",
            "without Batch Normalization",
        ),
        ("train --optimizer adan", "adam"),
        ("train --data mnits", "mnist"),
        ("train --history h.txt", ".csv or .json"),
        ("train --history model.safetensors", "two outputs"),
        ("train --image-shape 8", "28x28"),
        ("train --threads 0", "from 1 to 1024"),
        ("train --json=yes", "--json"),
        ("predict", "IMAGE"),
        ("convert a.safetensors", "<TO>"),
        ("convert a.safetensors b.pt", ".safetensors, .onnx or .npz"),
        ("bench --seconds 1e300", "--seconds"),
        ("completions tcsh", "bash"),
    ] {
        refused(at, args, 2, words);
    }
    let left: Vec<_> = at.read_dir().unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn data_that_cannot_be_used() {
    let folder = folder();
    let at = folder.path();
    let write = |name: &str, text: &str| std::fs::write(at.join(name), text).unwrap();
    write("empty.csv", "");
    write("header.csv", "a,label\n");
    write("nan.csv", "a,label\n1,0\nNaN,1\n");
    write("text.csv", "a,label\n1,0\nx,1\n");
    write("ragged.csv", "a,label\n1,0\n1\n");
    write("huge_label.csv", "a,label\n1,0\n2,18446744073709551614\n");
    write("large_label.csv", "a,label\n1,0\n2,3000000000\n");
    write("one.csv", "a,label\n1,0\n");
    write("no_label.csv", "a,b\n1,0\n2,1\n");
    let rows: String = (0..40).map(|i| format!("{},{}\n", i, i % 2)).collect();
    write("good.csv", &format!("a,label\n{rows}"));
    write("not.npz", "text");
    write("not.idx", "text");
    write("not_idx", "text");
    std::fs::create_dir(at.join("folder")).unwrap();
    std::fs::create_dir_all(at.join("bad/cat")).unwrap();
    write("bad/cat/1.png", "text");
    for (data, code, words) in [
        ("empty.csv", 3, "hint"),
        ("header.csv", 3, "hint"),
        ("nan.csv", 3, "line 3, column 1"),
        ("text.csv", 3, "line 3, column 1"),
        ("ragged.csv", 3, "line 3"),
        ("huge_label.csv", 3, "label"),
        ("large_label.csv", 3, "label"),
        ("one.csv", 2, "validation"),
        ("no_label.csv", 2, "label"),
        ("good.csv --image-shape 3x3", 3, "a row has 1 values"),
        ("good.csv --network cnn", 2, "--image-shape"),
        ("good.csv --augment", 2, "--image-shape"),
        ("missing.csv", 4, "missing.csv"),
        ("no/such/folder", 4, "no/such/folder"),
        ("not.npz", 4, "not.npz"),
        ("not.idx", 4, "not an IDX file"),
        ("./not_idx", 4, "not an IDX file"),
        ("folder", 3, "folder"),
        ("bad", 4, "1.png"),
        ("/dev/zero", 4, "not a regular file"),
    ] {
        refused(at, &format!("train --data {data}"), code, words);
    }
    run(at, "train --data good.csv --epochs 1").ok();
    refused(at, "eval --data digits", 3, "the model takes 1 values");
    refused(at, "predict model.safetensors", 2, "not images");
    std::fs::remove_file(at.join("good.csv")).unwrap();
    refused(at, "eval", 4, "good.csv");
}

#[test]
fn files_that_are_missing_or_damaged() {
    let folder = folder();
    let at = folder.path();
    std::fs::write(at.join("text.safetensors"), "text").unwrap();
    std::fs::write(at.join("text.onnx"), "text").unwrap();
    std::fs::write(at.join("text.npz"), "text").unwrap();
    let model = std::fs::read(digits_model()).unwrap();
    std::fs::write(at.join("half.safetensors"), &model[..model.len() / 2]).unwrap();
    for (args, words) in [
        ("eval", "bn train"),
        ("eval text.safetensors", "text.safetensors"),
        ("eval half.safetensors", "half.safetensors"),
        ("eval text.onnx", "ONNX"),
        ("eval .", "regular file"),
        ("predict a.png", "bn train"),
        ("inspect", "bn train"),
        ("inspect text.safetensors", "not a safetensors file"),
        ("inspect text.npz", "text.npz"),
        ("inspect /dev/zero", "regular file"),
        ("convert text.onnx a.safetensors", "ONNX"),
        ("convert --book text.npz a.safetensors", "text.npz"),
        ("sample", "bn train"),
        ("bench missing.safetensors", "bn train"),
    ] {
        refused(at, args, 4, words);
    }
    assert!(!at.join("a.safetensors").exists());
    let model = digits_model();
    let outcome = bn(at, ["convert", model.to_str().unwrap(), "a.npz"]).ok();
    assert!(
        outcome
            .stdout
            .contains("not part of the new file: the layers")
    );
    refused(at, "convert a.npz b.safetensors", 2, "--network");
    bn(at, ["sample", model.to_str().unwrap()]); // ten values are no image
    assert!(!at.join("grid.png").exists());
}

#[test]
fn outputs_that_cannot_be_written() {
    let folder = folder();
    let at = folder.path();
    let model = digits_model();
    std::fs::copy(model, at.join("model.safetensors")).unwrap();
    let before = std::fs::read(at.join("model.safetensors")).unwrap();
    std::fs::create_dir(at.join("folder")).unwrap();
    for args in [
        "train --output folder",
        "train --output no/such/model.safetensors",
        "train --output /dev/null",
        "train --output /proc/model.safetensors",
        "train --checkpoint folder",
        "train --history no/h.csv",
        "convert model.safetensors no/a.onnx",
        "sample --output no/grid.png",
    ] {
        refused(at, args, 5, "cannot write");
    }
    // A run that fails leaves an older model as it was.
    let outcome = run(
        at,
        "train --optimizer sgd --lr 3e38 --schedule constant --no-batch-norm",
    );
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("lower --lr"), "{}", outcome.stderr);
    assert_eq!(std::fs::read(at.join("model.safetensors")).unwrap(), before);
}
