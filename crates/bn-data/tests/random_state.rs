//! NumPy's numbers: those of `golden/make_random_state.py`, bit for bit.

use bn_data::{Error, RandomState};
use serde_json::Value;

/// FNV-1a over words of 64 bits.
fn hash(words: &[u64]) -> String {
    let start = 0xcbf2_9ce4_8422_2325;
    let add = |hash: u64, word: &u64| (hash ^ word).wrapping_mul(0x100_0000_01b3);
    format!("{:016x}", words.iter().fold(start, add))
}

/// The bits of what the call of the file returns here.
fn draw(random: &mut RandomState, call: &str, args: &[i64]) -> Vec<u64> {
    let floats = |values: ndarray::Array1<f64>| values.iter().map(|v| v.to_bits()).collect();
    let indices = |values: Vec<usize>| values.iter().map(|&v| v as u64).collect();
    let size = |i: usize| args[i] as usize;
    match call {
        "rand" => floats(random.rand(size(0)).unwrap()),
        "randn" => floats(random.randn(size(0)).unwrap()),
        "choice" => indices(random.choice(size(0), size(1)).unwrap()),
        "choice_without_replacement" => {
            let chosen = random.choice_without_replacement(size(0), size(1));
            indices(chosen.unwrap())
        }
        "permutation" => indices(random.permutation(size(0)).unwrap()),
        "randint" => {
            let integers = random.randint(args[0], args[1], size(2)).unwrap();
            integers.iter().map(|&v| v as u64).collect()
        }
        other => panic!("unknown call {other}"),
    }
}

fn bits(value: &Value) -> u64 {
    match value.as_i64() {
        Some(integer) => integer as u64,
        None => value.as_f64().unwrap().to_bits(),
    }
}

#[test]
fn every_call_returns_the_bits_of_numpy() {
    let file: Value = serde_json::from_str(include_str!("golden/random_state.json")).unwrap();
    let (mut calls, mut values) = (0, 0);
    for case in file["cases"].as_array().unwrap() {
        let seed = u32::try_from(case["seed"].as_u64().unwrap()).unwrap();
        let mut random = RandomState::seed(seed);
        for (i, call) in case["calls"].as_array().unwrap().iter().enumerate() {
            let args = call["args"].as_array().unwrap().iter();
            let args: Vec<i64> = args.map(|arg| arg.as_i64().unwrap()).collect();
            let name = call["call"].as_str().unwrap();
            let got = draw(&mut random, name, &args);
            let what = format!("seed {seed}, call {i}: {name} {args:?}");
            let first = call["first"].as_array().unwrap().iter();
            let first: Vec<u64> = first.map(bits).collect();
            assert_eq!(got[..first.len()], first, "{what}");
            assert_eq!(got.len() as u64, call["count"], "{what}");
            assert_eq!(hash(&got), call["hash"], "{what}");
            (calls, values) = (calls + 1, values + got.len());
        }
    }
    assert_eq!((calls, values), (4 * 73, 4 * 87_755));
}

#[test]
fn an_array_has_numpys_order_and_scalars_are_its_values() {
    let mut random = RandomState::seed(7);
    let (uniform, normal) = (random.rand((2, 3)).unwrap(), random.randn((3, 5)).unwrap());
    let mut random = RandomState::seed(7);
    assert!(uniform.iter().all(|&v| v == random.random_sample()));
    assert!(normal.iter().all(|&v| v == random.standard_normal()));
    assert_eq!(random.rand(()).unwrap().len(), 1);
}

#[test]
fn a_refused_call_draws_nothing() {
    let mut random = RandomState::seed(3);
    random.standard_normal(); // the second number of the pair is kept
    let before = random.clone();
    let setting = |error: Error, text: &str| {
        assert!(matches!(error, Error::Setting { .. }), "{error}");
        assert_eq!(error.to_string(), text);
    };
    setting(
        random.choice(0, 1).unwrap_err(),
        "the number of items to choose from is 0; it must be at least 1",
    );
    setting(
        random.choice_without_replacement(3, 4).unwrap_err(),
        "the size of a choice without replacement is 4; it must be at most 3, the number of items",
    );
    for (low, high) in [(5, 5), (5, 4), (i64::MAX, i64::MIN)] {
        let error = random.randint(low, high, 1).unwrap_err();
        let text = format!("is {low}; it must be below {high}, the upper bound");
        setting(error, &format!("the lower bound of random integers {text}"));
    }
    let too_large = [
        random.rand(usize::MAX).err(),
        random.rand(1 << 62).err(),
        random.randn(1 << 62).err(),
        random.choice(1, 1 << 62).err(),
        random.permutation(usize::MAX).err(),
        random.choice_without_replacement(1 << 62, 1).err(),
        random.randint(0, 1, usize::MAX).err(),
    ];
    for error in too_large {
        assert!(matches!(error, Some(Error::Tensor(_))), "{error:?}");
    }
    assert_eq!(random, before);
}
