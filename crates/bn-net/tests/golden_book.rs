//! Whole training steps and optimizers against the book's formulas in NumPy, double precision.

use crate::common::{assert_close, labels, matrix, number, numbers, parse};
use bn_layers::{LayerExt, ParamMut};
use bn_net::{
    AdaGrad, Adam, Momentum, MultiLayerNet, MultiLayerNetConfig, Nesterov, Optimizer, RmsProp, Sgd,
};
use serde_json::Value;

/// Relative to `max(1, |want|)`: a few hundred roundings of double precision.
const TOLERANCE: f64 = 1e-12;

fn set_params(net: &mut MultiLayerNet<f64>, params: &Value) {
    net.visit_params_mut(&mut |p| {
        if p.is_trained {
            p.value.copy_from_slice(&numbers(&params[p.name]));
        }
    });
}

fn assert_params(net: &MultiLayerNet<f64>, want: &Value, running: &Value, what: &str) {
    net.visit_params(&mut |p| {
        let want = if p.is_trained { want } else { running };
        let name = format!("{what}: {}", p.name);
        assert_close(&name, p.value, &numbers(&want[p.name]), TOLERANCE);
    });
}

#[test]
fn multi_layer_net_trains_like_the_books() {
    let file = parse(include_str!("golden/book_net.json"));
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let config = &case["config"];
        let sizes = numbers(&config["sizes"]);
        let sizes: Vec<usize> = sizes.iter().map(|&s| s as usize).collect();
        let (input, output) = (sizes[0], sizes[sizes.len() - 1]);
        let config = MultiLayerNetConfig {
            use_batchnorm: true,
            weight_decay_lambda: number(&config["weight_decay"]),
            ..MultiLayerNetConfig::new(input, &sizes[1..sizes.len() - 1], output)
        };
        let mut net = MultiLayerNet::<f64>::new(&config, 0).unwrap();
        set_params(&mut net, &case["parameters"]);
        let mut sgd = Sgd::new(number(&case["config"]["lr"])).unwrap();

        for (i, step) in case["steps"].as_array().unwrap().iter().enumerate() {
            let what = format!("{name}, step {i}");
            let (x, t) = (matrix(&step["x"]), labels(&step["labels"]));
            let loss = net.gradient(x.view(), (&t).into()).unwrap();
            assert_close(&what, [&loss], [&number(&step["loss"])], TOLERANCE);
            let logits = net
                .network()
                .activation(net.network().layer_names().len() - 1);
            let want = matrix(&step["logits"]);
            assert_close(&what, logits.unwrap().iter(), &want, TOLERANCE);
            net.visit_params(&mut |p| {
                if p.is_trained {
                    let want = numbers(&step["gradients"][p.name]);
                    assert_close(&format!("{what}: d{}", p.name), p.grad, &want, TOLERANCE);
                }
            });
            net.update(&mut sgd).unwrap();
            let (after, running) = (&step["parameters_after"], &step["running_after"]);
            assert_params(&net, after, running, &what);
        }
        let (x, want) = (&case["evaluation"]["x"], &case["evaluation"]["logits"]);
        let got = net.predict(matrix(x).view()).unwrap();
        assert_close(name, &got, &matrix(want), TOLERANCE);
    }
}

/// Applies the file's gradients one after another and compares the parameters after each.
fn check_optimizer(mut optimizer: Box<dyn Optimizer<f64>>, file: &Value, case: &Value) {
    let name = case["name"].as_str().unwrap();
    let mut p = numbers(&file["start"]);
    let gradients = matrix(&file["gradients"]);
    for (grad, want) in gradients
        .outer_iter()
        .zip(matrix(&case["after"]).outer_iter())
    {
        optimizer.begin_step();
        let shape = [p.len()];
        optimizer
            .update(ParamMut::new("w", &shape, &mut p, &mut grad.to_vec()))
            .unwrap();
        assert_close(name, &p, want.iter(), TOLERANCE);
    }
}

#[test]
fn optimizers_agree_with_the_book() {
    let file = parse(include_str!("golden/book_optimizers.json"));
    let mut seen = 0;
    for case in file["cases"].as_array().unwrap() {
        let config = |key: &str| number(&case["config"][key]);
        let optimizer: Box<dyn Optimizer<f64>> = match case["name"].as_str().unwrap() {
            "SGD" => Box::new(Sgd::new(config("lr")).unwrap()),
            "Momentum" => Box::new(Momentum::new(config("lr"), config("momentum")).unwrap()),
            "Nesterov" => Box::new(Nesterov::new(config("lr"), config("momentum")).unwrap()),
            "AdaGrad" => Box::new(AdaGrad::book(config("lr")).unwrap()),
            "RMSprop" => Box::new(RmsProp::book(config("lr"), config("decay_rate")).unwrap()),
            "Adam" => {
                let adam = Adam::book(config("lr")).unwrap();
                Box::new(adam.with_betas(config("beta1"), config("beta2")).unwrap())
            }
            "Nesterov_before_2021" => continue, // a form that the book has since corrected
            other => panic!("unknown case {other}"),
        };
        check_optimizer(optimizer, &file, case);
        seen += 1;
    }
    assert_eq!(seen, 6);
}

#[test]
fn the_books_names_are_visited_in_the_books_order() {
    let config = MultiLayerNetConfig {
        use_batchnorm: true,
        use_dropout: true,
        ..MultiLayerNetConfig::new(4, &[3, 2], 2)
    };
    let net = MultiLayerNet::<f64>::new(&config, 0).unwrap();
    let mut names = Vec::new();
    net.visit_params(&mut |p| names.push((p.name.to_owned(), p.shape.to_vec())));
    let names: Vec<_> = names
        .iter()
        .map(|(n, s)| (n.as_str(), s.as_slice()))
        .collect();
    let expected: [(&str, &[usize]); 14] = [
        ("W1", &[4, 3]),
        ("b1", &[3]),
        ("gamma1", &[3]),
        ("beta1", &[3]),
        ("running_mean1", &[3]),
        ("running_var1", &[3]),
        ("W2", &[3, 2]),
        ("b2", &[2]),
        ("gamma2", &[2]),
        ("beta2", &[2]),
        ("running_mean2", &[2]),
        ("running_var2", &[2]),
        ("W3", &[2, 2]),
        ("b3", &[2]),
    ];
    assert_eq!(names, expected);
    assert_eq!(
        net.network().layer_names().collect::<Vec<_>>(),
        [
            "affine",
            "batch_norm",
            "relu",
            "dropout",
            "affine",
            "batch_norm",
            "relu",
            "dropout",
            "affine"
        ]
    );
    let mut inner = Vec::new();
    net.network().visit(&mut |p| inner.push(p.name.to_owned()));
    assert_eq!(
        inner[..3],
        ["layers.0.weight", "layers.0.bias", "layers.1.gamma"]
    );
}
