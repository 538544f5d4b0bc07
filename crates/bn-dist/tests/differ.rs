//! Ranks that do not do the same are found and named, on all ranks.

use crate::common::{batch, small};
use bn_data::Digits;
use bn_dist::{DataParallel, World};
use bn_net::{Adam, Error, Network, Optimizer, Sgd, SoftmaxWithLoss, Trainer};
use std::time::Duration;

/// One step on three ranks, of which one may have another network or optimizer.
fn messages(
    network: impl Fn(usize) -> Network + Sync,
    optimizer: impl Fn(usize) -> Box<dyn Optimizer<f32>> + Sync,
) -> Vec<String> {
    World::simulate(3, |world| {
        let (mut network, mut optimizer) = (network(world.rank()), optimizer(world.rank()));
        let mut parallel = DataParallel::new(world).unwrap();
        let (x, _) = batch::<f32>(0, 4, 20);
        let (t, loss) = ((&[0, 1, 2, 0][..]).into(), &mut SoftmaxWithLoss::new());
        let result = parallel.train_step(&mut network, x.view(), t, loss, &mut *optimizer);
        result.unwrap_err().to_string()
    })
}

fn assert_all(messages: &[String], beginning: &str) {
    for message in messages {
        assert!(message.starts_with(beginning), "{message}");
    }
}

fn sgd(_: usize) -> Box<dyn Optimizer<f32>> {
    Box::new(Sgd::new(0.1).unwrap())
}

#[test]
fn another_network_is_named() {
    let wider = |rank| Network::builder(20).affine(65 + usize::from(rank == 1));
    let messages = messages(
        |rank| wider(rank).batch_norm().affine(3).build(1).unwrap(),
        sgd,
    );
    assert_all(&messages, "rank 1 has another network");
}

#[test]
fn what_is_frozen_on_one_rank_only_is_named() {
    let frozen = |rank| {
        let mut network = small(20);
        if rank == 2 {
            network.freeze("layers.0.weight").unwrap();
        }
        network
    };
    assert_all(&messages(frozen, sgd), "rank 2 has another network");
}

#[test]
fn other_parameters_are_named() {
    let seeded = |rank| {
        let builder = Network::builder(20).affine(65).batch_norm();
        builder.affine(3).build(u64::from(rank == 0)).unwrap()
    };
    assert_all(&messages(seeded, sgd), "rank 0 has other parameters");
}

#[test]
fn another_optimizer_is_named() {
    let other = |rank| -> Box<dyn Optimizer<f32>> {
        match rank {
            0 => Box::new(Adam::pytorch(0.1).unwrap()),
            _ => sgd(rank),
        }
    };
    assert_all(
        &messages(|_| small(20), other),
        "rank 0 has another optimizer",
    );
    let rate = |rank| -> Box<dyn Optimizer<f32>> {
        Box::new(Sgd::new(if rank == 2 { 0.1 } else { 0.2 }).unwrap())
    };
    assert_all(
        &messages(|_| small(20), rate),
        "rank 2 has another optimizer",
    );
}

#[test]
fn other_settings_are_named() {
    // The last two have the same, so rank 0 is the one that differs.
    let results = World::simulate(3, |world| -> Result<_, Error> {
        let (train, _) = Digits::load()?.into_parts();
        let mut network = Network::builder(64)
            .affine(8)
            .batch_norm()
            .relu()
            .affine(10)
            .build(1)?;
        let (mut loss, mut sgd) = (SoftmaxWithLoss::new(), Sgd::new(0.1)?);
        let trainer = Trainer::new(if world.rank() == 0 { 32 } else { 64 }).progress(false);
        let mut parallel = DataParallel::new(world)?;
        parallel.fit(&trainer, &mut network, &mut loss, &mut sgd, &train, None)
    });
    for result in results {
        let message = result.unwrap_err().to_string();
        assert!(
            message.starts_with("rank 0 has other settings"),
            "{message}"
        );
    }
    let results = World::simulate(2, |world| {
        let parallel = DataParallel::new(world).unwrap();
        let mut parallel = parallel.shards(8 + world.rank()).unwrap();
        let (mut network, (x, _)) = (small(20), batch::<f32>(0, 2, 20));
        let (loss, mut sgd) = (&mut SoftmaxWithLoss::new(), sgd(0));
        let t = (&[0, 1][..]).into();
        let result = parallel.train_step(&mut network, x.view(), t, loss, &mut *sgd);
        result.unwrap_err().to_string()
    });
    assert_all(&results, "rank 1 has other settings");
}

#[test]
fn a_step_that_one_rank_skips_is_found_in_the_next() {
    let results = World::simulate(3, |world| {
        let (mut network, mut sgd) = (small(20), sgd(0));
        let mut parallel = DataParallel::new(world).unwrap();
        for step in 0..4 {
            if step == 2 && world.rank() == 1 {
                continue; // without the others
            }
            let (x, _) = batch::<f32>(step, 4, 20);
            let (t, loss) = ((&[0, 1, 2, 0][..]).into(), &mut SoftmaxWithLoss::new());
            let result = parallel.train_step(&mut network, x.view(), t, loss, &mut *sgd);
            if let Err(error) = result {
                return (step, error.to_string());
            }
        }
        (4, "it has ended".to_owned())
    });
    // Rank 1 has made 3 steps when the others begin their fourth.
    for (rank, (step, message)) in results.iter().enumerate() {
        let expected = match rank {
            1 => (4, "it has ended"),
            _ => (3, "rank 1 does something else"),
        };
        assert!(
            *step == expected.0 && message.starts_with(expected.1),
            "{step}: {message}"
        );
    }
}

#[test]
fn parameters_that_one_rank_changes_are_found_by_the_next_check() {
    let results = World::simulate(2, |world| {
        let (mut network, mut sgd) = (small::<f32>(20), sgd(0));
        let mut parallel = DataParallel::new(world).unwrap().check_every(3);
        for step in 0..9 {
            if step == 4 && world.rank() == 1 {
                bn_layers::LayerExt::visit_mut(&mut network, &mut |p| p.value[0] = 1.5);
            }
            let (x, _) = batch::<f32>(step, 4, 20);
            let (t, loss) = ((&[0, 1, 2, 0][..]).into(), &mut SoftmaxWithLoss::new());
            let result = parallel.train_step(&mut network, x.view(), t, loss, &mut *sgd);
            if let Err(error) = result {
                return (step, error.to_string());
            }
        }
        panic!("it was not found");
    });
    for (step, message) in results {
        assert_eq!(step, 6);
        assert!(
            message.starts_with("rank 1 has other parameters"),
            "{message}"
        );
    }
}

#[test]
fn a_rank_that_hangs_ends_the_others_after_the_time_of_the_watchdog() {
    let results = World::simulate(2, |world| {
        world.set_watchdog(Duration::from_millis(300));
        if world.rank() == 1 {
            std::thread::sleep(Duration::from_millis(1500));
            return String::new();
        }
        let (mut network, mut sgd) = (small(20), sgd(0));
        let (x, _) = batch::<f32>(0, 4, 20);
        let mut parallel = DataParallel::new(world).unwrap();
        let (t, loss) = ((&[0, 1, 2, 0][..]).into(), &mut SoftmaxWithLoss::new());
        let result = parallel.train_step(&mut network, x.view(), t, loss, &mut *sgd);
        result.unwrap_err().to_string()
    });
    assert!(
        results[0].starts_with("rank 0 has waited 0.3 s for another rank"),
        "{}",
        results[0]
    );
}

#[test]
fn a_panic_on_one_rank_is_that_of_the_whole() {
    let result = std::panic::catch_unwind(|| {
        World::simulate(2, |world| {
            assert!(world.rank() == 0, "a bug on rank 1");
            let (mut network, mut sgd) = (small(20), sgd(0));
            let (x, _) = batch::<f32>(0, 4, 20);
            let mut parallel = DataParallel::new(world).unwrap();
            let (t, loss) = ((&[0, 1, 2, 0][..]).into(), &mut SoftmaxWithLoss::new());
            let result = parallel.train_step(&mut network, x.view(), t, loss, &mut *sgd);
            assert!(
                result
                    .unwrap_err()
                    .to_string()
                    .starts_with("rank 1 failed: it panicked")
            );
        })
    });
    let message = result.unwrap_err();
    assert_eq!(message.downcast_ref::<&str>(), Some(&"a bug on rank 1"));
}

#[test]
fn impossible_settings_are_refused() {
    World::simulate(3, |world| {
        let parallel = || DataParallel::<f32>::new(world).unwrap();
        for shards in [0, 2, 65_537, usize::MAX] {
            let error = parallel().shards(shards).unwrap_err().to_string();
            assert!(error.contains("at least 3, the number of ranks"), "{error}");
        }
        for bytes in [0, 1023, usize::MAX] {
            assert!(parallel().bucket_bytes(bytes).is_err());
        }
    });
    let most = World::simulate(17, |world| DataParallel::<f32>::new(world).is_err());
    assert_eq!(most, [true; 17]);
}
