//! From data to a trained model, and everything that can be done with it.

use crate::common::{bn, command, digits_model, folder, refused, run};
use bn_net::{Checkpoint, Network};
use std::process::Stdio;

#[test]
fn without_options_the_commands_fit_together() {
    let folder = folder();
    let at = folder.path();
    let trained = run(at, "train --data digits --epochs 10").ok();
    assert!(
        trained.stdout.contains("1415 images of 8×8"),
        "{}",
        trained.stdout
    );
    assert!(trained.stdout.contains("model: model.safetensors"));
    let evaluated = run(at, "eval").ok();
    assert!(
        evaluated
            .stdout
            .starts_with("digits, test part: 382 images of 8×8")
    );
    // The accuracy that training ended with is that of the model in the file.
    let percent = |text: &str| {
        let begin = text.find("accuracy ").unwrap() + "accuracy ".len();
        text[begin..].split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(percent(&trained.stdout), percent(&evaluated.stdout));
    assert!(percent(&trained.stdout).parse::<f64>().unwrap() > 90.0);
    let inspected = run(at, "inspect").ok();
    assert!(inspected.stdout.contains("trained on: digits"));
    assert!(inspected.stdout.contains("layers.1.running_var"));
}

#[test]
fn evaluation_as_json_adds_up() {
    let folder = folder();
    let model = digits_model();
    let json = bn(folder.path(), ["eval", model.to_str().unwrap(), "--json"])
        .ok()
        .json();
    let confusion: Vec<Vec<u64>> = serde_json::from_value(json["confusion"].clone()).unwrap();
    let correct: u64 = (0..10).map(|class| confusion[class][class]).sum();
    let all: u64 = confusion.iter().flatten().sum();
    assert_eq!((all, json["rows"].as_u64()), (382, Some(382)));
    assert_eq!(json["accuracy"].as_f64().unwrap(), correct as f64 / 382.0);
    let of_3 = &json["classes"][3];
    let row: u64 = confusion[3].iter().sum();
    let column: u64 = confusion.iter().map(|row| row[3]).sum();
    assert_eq!(
        of_3["recall"].as_f64().unwrap(),
        confusion[3][3] as f64 / row as f64
    );
    assert_eq!(
        of_3["precision"].as_f64().unwrap(),
        confusion[3][3] as f64 / column as f64
    );
    // The loss is that of the trainer.
    let loss = json["loss"].as_f64().unwrap();
    let inspected = Checkpoint::load(&model).unwrap();
    let network: Network = inspected.network("network").unwrap();
    let (_, test) = bn_data::Digits::load().unwrap().into_parts();
    let of_library = network
        .evaluate_loss(
            test.images(),
            test.targets(),
            &mut bn_net::SoftmaxWithLoss::new(),
            &mut Default::default(),
        )
        .unwrap();
    assert!((loss - of_library).abs() < 1e-5, "{loss} {of_library}");
}

#[test]
fn a_model_is_converted_there_and_back() {
    let folder = folder();
    let at = folder.path();
    let model = digits_model();
    let model = model.to_str().unwrap();
    let loss = |file: &str| {
        bn(at, ["eval", file, "--json"]).ok().json()["loss"]
            .as_f64()
            .unwrap()
    };
    let expected = loss(model);

    let json = bn(at, ["convert", model, "a.onnx", "--json"]).ok().json();
    let lost = json["lost"].to_string();
    assert!(
        lost.contains("preprocessing") && lost.contains("classes"),
        "{lost}"
    );
    assert!((loss("a.onnx") - expected).abs() < 1e-5);
    run(at, "export a.onnx back.safetensors").ok();
    assert!((loss("back.safetensors") - expected).abs() < 1e-5);

    bn(at, ["convert", model, "keras.npz"]).ok();
    run(at, "train --epochs 1 --seed 7 --output other.safetensors").ok();
    let before = loss("other.safetensors");
    run(
        at,
        "convert keras.npz keras.safetensors --network other.safetensors",
    )
    .ok();
    assert!((loss("keras.safetensors") - expected).abs() < 1e-5 && before != expected);

    let exported = bn(at, ["export", "--pytorch", model, "torch.safetensors"]).ok();
    assert!(exported.stdout.contains("model = nn.Sequential("));
    let import = |to: &str| format!("convert torch.safetensors {to} --network other.safetensors");
    run(at, &import("from_torch.safetensors")).ok();
    assert!((loss("from_torch.safetensors") - expected).abs() < 1e-6);
    let module = run(
        at,
        &format!("{} --json --pytorch", import("again.safetensors")),
    )
    .ok();
    let module = module.json()["module"].to_string();
    assert!(module.contains("nn.BatchNorm1d(100"), "{module}");
    let read = |name: &str| std::fs::read(at.join(name)).unwrap();
    assert!(read("torch.safetensors") == read("again.safetensors"));
    refused(
        at,
        "convert torch.safetensors bn.safetensors",
        4,
        "--network",
    );
    assert_eq!(run(at, "export --pytorch a.onnx torch.npz").code, 2);
    assert_eq!(
        run(
            at,
            "convert torch.safetensors bn.safetensors --network a.onnx"
        )
        .code,
        0
    );

    // The book's arrays, with another eps of Batch Normalization.
    bn(at, ["convert", "--book", model, "book.npz"]).ok();
    let names = run(at, "inspect book.npz").ok().stdout;
    assert!(
        names.contains("W1") && names.contains("running_var2"),
        "{names}"
    );
    run(at, "convert --book book.npz from_book.safetensors").ok();
    assert!((loss("from_book.safetensors") - expected).abs() < 1e-3);
    run(
        at,
        "train --network cnn --hidden 4 --epochs 1 --output cnn.safetensors",
    )
    .ok();
    refused(
        at,
        "convert --book cnn.safetensors cnn.npz",
        3,
        "no layer conv2d",
    );
    run(
        at,
        "train --no-batch-norm --epochs 2 --output plain.safetensors",
    )
    .ok();
    run(at, "convert --book plain.safetensors book.npz").ok();
    run(at, "convert --book book.npz from_book.safetensors").ok();
    assert!((loss("from_book.safetensors") - loss("plain.safetensors")).abs() < 1e-6);
}

#[test]
fn inspect_reads_each_kind_of_file() {
    let folder = folder();
    let at = folder.path();
    run(
        at,
        "train --epochs 2 --checkpoint run.safetensors --hidden 20",
    )
    .ok();
    let json = run(at, "inspect run.safetensors --json").ok().json();
    assert_eq!(json["kind"], "checkpoint of a training run");
    assert_eq!(json["step"], 44);
    assert!(
        json["optimizer"]
            .as_str()
            .unwrap()
            .starts_with("Adam::pytorch")
    );
    let json = run(at, "inspect --json").ok().json();
    let network = &json["networks"][0];
    assert_eq!(network["layers"][0]["parameters"], 64 * 20);
    let array = &network["arrays"][0];
    assert_eq!(array["name"], "layers.0.weight");
    assert_eq!(array["shape"].to_string(), "[64,20]");
    let std = array["statistics"]["std"].as_f64().unwrap();
    assert!((0.1..0.3).contains(&std), "{std}"); // He: √(2/64) = 0.18

    run(at, "convert model.safetensors a.onnx").ok();
    let json = run(at, "inspect a.onnx --json").ok().json();
    assert_eq!(json["networks"][0]["parameters"], network["parameters"]);

    // Another program's arrays.
    let view =
        |dtype, shape, bytes| safetensors::tensor::TensorView::new(dtype, shape, bytes).unwrap();
    let values: Vec<u8> = [1.0f32, f32::NAN, 0.0, 3.0]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let halves: Vec<u8> = [0x3f80u16, 0xc000]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect(); // 1, -2
    let tensors = [
        ("a", view(safetensors::Dtype::F32, vec![2, 2], &values)),
        ("b", view(safetensors::Dtype::BF16, vec![2], &halves)),
    ];
    let bytes = safetensors::serialize(tensors, None).unwrap();
    std::fs::write(at.join("other.safetensors"), bytes).unwrap();
    let json = run(at, "inspect other.safetensors --json").ok().json();
    assert_eq!(json["kind"], "safetensors arrays");
    let statistics = &json["arrays"][0]["statistics"];
    assert_eq!(
        (&statistics["non_finite"], &statistics["zeros"]),
        (&1.into(), &0.25.into())
    );
    assert_eq!(json["arrays"][1]["statistics"]["min"], -2.0);
    assert!(
        run(at, "inspect other.safetensors")
            .ok()
            .stdout
            .contains("bf16")
    );
}

#[test]
fn a_generator_draws_a_grid() {
    let folder = folder();
    let at = folder.path();
    let generator = Network::builder(5)
        .affine(6 * 4)
        .reshape((6, 4, 1))
        .tanh()
        .build(3)
        .unwrap();
    let mut checkpoint = Checkpoint::new();
    checkpoint.add_network("generator", &generator).unwrap();
    let discriminator = Network::builder((6, 4, 1)).affine(1).build(3).unwrap();
    checkpoint
        .add_network("discriminator", &discriminator)
        .unwrap();
    checkpoint.save(at.join("gan.safetensors")).unwrap();
    let json = run(at, "sample gan.safetensors --count 5 --json")
        .ok()
        .json();
    assert_eq!(json["network"], "generator");
    let grid = image::open(at.join("grid.png")).unwrap().into_luma8();
    assert_eq!(grid.dimensions(), (3 * 4 + 2 * 2, 2 * 6 + 2)); // 3 columns, 2 rows, gaps of 2
    // The noise is that of the library's GAN, and -1 to 1 are black to white.
    let gan = bn_net::Gan::new(generator.clone(), discriminator, 0).unwrap();
    let images = generator.predict(gan.noise(0, 5).unwrap().view()).unwrap();
    for (x, y, value) in [(0, 0, images[[0, 0]]), (4 + 2, 8 + 5, images[[4, 5 * 4]])] {
        let expected = ((value + 1.0) * 127.5).round() as i32;
        assert!((i32::from(grid.get_pixel(x, y).0[0]) - expected).abs() <= 1);
    }
    let same = std::fs::read(at.join("grid.png")).unwrap();
    run(at, "sample gan.safetensors --count 5 --output again.png").ok();
    assert_eq!(std::fs::read(at.join("again.png")).unwrap(), same);
    run(
        at,
        "sample gan.safetensors --count 5 --seed 1 --output again.png",
    )
    .ok();
    assert_ne!(std::fs::read(at.join("again.png")).unwrap(), same);
    assert_eq!(
        run(at, "sample gan.safetensors --network discriminator").code,
        3
    );
    let unknown = run(at, "sample gan.safetensors --network x");
    assert!(unknown.code == 2 && unknown.stderr.contains("discriminator, generator"));
}

#[test]
fn bench_measures_predictions_and_steps() {
    let folder = folder();
    let model = digits_model();
    let args = [
        "bench",
        model.to_str().unwrap(),
        "--seconds",
        "0.01",
        "--json",
        "--threads",
        "1",
    ];
    let json = bn(folder.path(), args).ok().json();
    assert_eq!(json["threads"], 1);
    let measured = json["measurements"].as_array().unwrap();
    let rows: Vec<u64> = measured
        .iter()
        .map(|m| m["rows"].as_u64().unwrap())
        .collect();
    assert_eq!(rows, [1, 16, 100, 256, 100]);
    assert!(
        measured
            .iter()
            .all(|m| m["seconds"].as_f64().unwrap() > 0.0)
    );
    let text = run(folder.path(), "bench --seconds 0.01").ok().stdout;
    assert!(
        text.contains("training step") && text.contains(&bn_tensor::matmul_backend()),
        "{text}"
    );
}

#[test]
fn the_same_seed_gives_the_same_file_on_any_number_of_threads() {
    let folder = folder();
    let at = folder.path();
    let train = |args: &str, file: &str| {
        run(
            at,
            &format!("train --epochs 2 --dropout 0.1 --output {file} {args}"),
        )
        .ok();
        std::fs::read(at.join(file)).unwrap()
    };
    let one = train("--threads 1", "a.safetensors");
    assert_eq!(one, train("--threads 3", "b.safetensors"));
    // The seed is in the file too, so the parameters are compared.
    train("--seed 5", "c.safetensors");
    let arrays =
        |file: &str| run(at, &format!("inspect {file} --json")).ok().json()["networks"].to_string();
    assert_eq!(arrays("a.safetensors"), arrays("b.safetensors"));
    assert_ne!(arrays("a.safetensors"), arrays("c.safetensors"));
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_command_quietly() {
    let folder = folder();
    let model = digits_model();
    let mut child = command(folder.path())
        .arg("inspect")
        .arg(model)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}

#[test]
fn every_kind_of_network_optimizer_and_schedule_trains() {
    let folder = folder();
    let at = folder.path();
    for options in [
        "--network cnn --hidden 4,8 --dropout 0.1 --optimizer momentum --schedule step",
        "--network cnn --hidden 4 --no-batch-norm --optimizer rmsprop --schedule constant --lr 0.001",
        "--network resnet --hidden 8,16 --optimizer adamw --weight-decay 0.01 --schedule one-cycle --lr 0.02",
        "--optimizer sgd --weight-decay 0.0001 --augment",
        "--optimizer nesterov --momentum 0.5 --validation 0.3",
        "--optimizer adagrad --batch-norm=false --standardize",
    ] {
        let json = run(at, &format!("train --epochs 3 --json {options}"))
            .ok()
            .json();
        let accuracy = json["test_accuracy"].as_f64().unwrap();
        assert!(accuracy > 0.5, "{options}: {accuracy}");
        run(at, "eval").ok();
    }
}

#[test]
fn a_program_can_follow_a_run() {
    let folder = folder();
    let settings = bn_cli::Settings {
        epochs: 3,
        output: folder.path().join("m.safetensors"),
        ..bn_cli::Settings::default()
    };
    let mut history = bn_net::History::default();
    let trained = bn_cli::train(&settings, false, Some(&mut history)).unwrap();
    assert_eq!(history, trained.history);
    assert_eq!(history.records.len(), 3);
}
