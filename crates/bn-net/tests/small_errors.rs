//! Values at the edge of what a network, a metric or a schedule takes.

use bn_net::{Error, Loss, Network, Schedule, SoftmaxWithLoss};
use ndarray::{Array2, array};

/// A network whose outputs are its inputs.
fn identity() -> Network<f64> {
    bn_net::NetworkBuilder::new(3).identity().build(1).unwrap()
}

#[test]
fn a_warm_up_of_no_steps_is_none() {
    let schedule = Schedule::WarmUp {
        steps: 0,
        start_factor: 0.1,
        then: Box::new(Schedule::Constant { lr: 2.0 }),
    };
    schedule.check().unwrap();
    assert_eq!([0, 1, 1000].map(|t| schedule.learning_rate(t)), [2.0; 3]);
}

#[test]
fn a_schedule_that_would_become_infinite_is_refused() {
    let step = |gamma| Schedule::Step {
        lr: 0.1,
        step_size: 1,
        gamma,
    };
    let warm_up = |start_factor| Schedule::WarmUp {
        steps: 5,
        start_factor,
        then: Box::new(Schedule::Constant { lr: f64::MAX }),
    };
    for bad in [10.0, 1.0 + 1e-9, -0.1, f64::NAN, f64::INFINITY] {
        let error = step(bad).check().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("gamma of the schedule must be from 0 to 1")
        );
        let error = warm_up(bad).check().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("start_factor must be from 0 to 1")
        );
    }
    for good in [0.0, 0.5, 1.0] {
        for schedule in [step(good), warm_up(good)] {
            schedule.check().unwrap();
            for t in [0, 1, 400, u64::MAX] {
                assert!(schedule.learning_rate(t).is_finite());
            }
        }
    }
}

#[test]
fn infinite_logits_share_the_probability() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let logits = array![
        [inf, 1.0, -inf],
        [inf, inf, 0.0],
        [-inf, -inf, -inf],
        [-inf, 0.0, 0.0],
        [nan, inf, 0.0],
        [0.0, 2f64.ln(), 0.0],
    ];
    let got = identity().predict_proba(logits.view()).unwrap();
    let third = 1.0 / 3.0;
    let want = array![
        [1.0, 0.0, 0.0],
        [0.5, 0.5, 0.0],
        [third, third, third],
        [0.0, 0.5, 0.5],
        [nan, nan, nan],
        [0.25, 0.5, 0.25],
    ];
    for (got, want) in got.iter().zip(&want) {
        assert!(
            (got - want).abs() < 1e-15 || got.is_nan() && want.is_nan(),
            "{got} {want}"
        );
    }
}

#[test]
fn both_accuracies_count_a_row_with_a_nan_as_wrong() {
    let x = array![
        [1.0, 0.0, 0.0],
        [f64::NAN, 0.0, 0.0],
        [0.0, 0.0, 1.0],
        [0.0, 1.0, 0.0]
    ];
    let labels = [0, 0, 2, 2];
    let network = identity();
    let matrix = network.confusion_matrix(x.view(), &labels).unwrap();
    assert_eq!(network.accuracy(x.view(), &labels).unwrap(), 0.5);
    assert_eq!(matrix.accuracy(), 0.5);
    assert_eq!(matrix.unclassified().to_vec(), [1, 0, 0]);
    assert_eq!(matrix.counts().sum(), 3);
    let printed = matrix.to_string();
    assert!(
        printed.contains("none") && printed.contains(" 50.00 %"),
        "{printed}"
    );
    let clean = network.confusion_matrix(x.view().split_at(ndarray::Axis(0), 1).0, &[0]);
    assert!(!clean.unwrap().to_string().contains("none"));
}

#[test]
fn a_label_where_there_are_no_classes() {
    let x = Array2::<f32>::zeros((1, 0));
    let error = SoftmaxWithLoss::new().forward(x.view(), (&[0][..]).into());
    let error: Error = error.unwrap_err();
    let message = "row 0: label 0 is out of range; it must be below 0, the number of classes";
    assert_eq!(error.to_string(), message);
}
