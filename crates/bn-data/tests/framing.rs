//! Pictures that are framed as the images of a data set.

use bn_data::{Dataset, Digits, Error, Framing};
use ndarray::{Array2, ArrayView2};

/// Draws an image as a person might: dark on paper, `times` larger, with its corner at a place of a larger sheet.
fn on_paper(image: ArrayView2<'_, f32>, times: usize, (top, left): (usize, usize)) -> Array2<f32> {
    let (height, width) = image.dim();
    let sheet = (height * times + top + 30, width * times + left + 7);
    Array2::from_shape_fn(sheet, |(y, x)| {
        let pixel = |at: usize, begin: usize| at.checked_sub(begin).map(|at| at / times);
        let ink = match (pixel(y, top), pixel(x, left)) {
            (Some(y), Some(x)) => image.get([y, x]).copied().unwrap_or(0.0),
            _ => 0.0,
        };
        0.95 - 0.9 * ink
    })
}

fn digit(i: usize) -> Array2<f32> {
    let digits = Digits::load().unwrap();
    let image = digits.test().images().row(i).to_owned();
    image.into_shape_with_order((8, 8)).unwrap()
}

#[test]
fn a_drawn_digit_becomes_the_image_that_it_was_drawn_from() {
    let framing = Framing::fit(Digits::load().unwrap().train()).unwrap();
    for i in 0..100 {
        let image = digit(i);
        let image = &image / image.fold(0.0f32, |most, &x| most.max(x)); // to full contrast
        let framed = framing
            .apply(on_paper(image.view(), 12, (40, 90)).view(), (8, 8))
            .unwrap();
        assert!(framed.is_inverted);
        // It may be moved by whole pixels, and an axis without ink at its border be scaled.
        if framed.ink.0.len() == 8 * 12 {
            let of = |image: &Array2<f32>| {
                image
                    .rows()
                    .into_iter()
                    .map(|row| row.sum())
                    .collect::<Vec<_>>()
            };
            let (got, expected) = (of(&framed.image), of(&image));
            for (got, expected) in got.iter().zip(expected) {
                assert!((got - expected).abs() < 0.35, "{i}: {got} {expected}");
            }
        }
    }
}

#[test]
fn the_polarity_is_that_of_the_data_set() {
    let image = digit(3);
    let (dark, bright) = (
        Framing::new(0.0, 0.8).unwrap(),
        Framing::new(1.0, 0.8).unwrap(),
    );
    let paper = on_paper(image.view(), 5, (10, 10));
    let slate = paper.mapv(|x| 1.0 - x);
    let expected = dark.apply(paper.view(), (28, 28)).unwrap().image;
    for (framing, picture, is_inverted) in [
        (dark, &slate, false),
        (dark, &paper, true),
        (bright, &slate, true),
        (bright, &paper, false),
    ] {
        let framed = framing.apply(picture.view(), (28, 28)).unwrap();
        assert_eq!(framed.is_inverted, is_inverted);
        let image = match framing == bright {
            true => framed.image.mapv(|x| 1.0 - x),
            false => framed.image,
        };
        assert!((&image - &expected).iter().all(|d| d.abs() < 1e-5));
    }
}

#[test]
fn the_ink_fills_its_share_and_is_centred() {
    let line = |(y, x)| f32::from(u8::from((20..220).contains(&y) && (30..40).contains(&x)));
    let picture = Array2::from_shape_fn((300, 300), line);
    let framed = Framing::mnist().apply(picture.view(), (28, 28)).unwrap();
    assert_eq!(framed.ink, (20..220, 30..40));
    let rows = framed
        .image
        .rows()
        .into_iter()
        .filter(|row| row.sum() > 0.0);
    assert_eq!(rows.count(), 20);
    let mass = framed.image.sum();
    let center: f32 = framed
        .image
        .indexed_iter()
        .map(|((y, _), v)| v * (y as f32 + 0.5))
        .sum();
    assert!((center / mass - 14.0).abs() <= 0.5);
    // Another shape of image: the line still fits.
    let framed = Framing::mnist().apply(picture.view(), (10, 40)).unwrap();
    assert_eq!(framed.image.dim(), (10, 40));
    assert!(framed.image.sum() > 1.0);
}

#[test]
fn a_photograph_and_a_table_have_no_framing() {
    let n = 50;
    let noise = Array2::from_shape_fn((n, 64), |(i, j)| {
        ((i * 7919 + j * 104_729) % 1000) as f32 / 1000.0
    });
    let data = Dataset::new(noise.clone(), vec![0; n], (8, 8, 1), 1).unwrap();
    assert_eq!(Framing::fit(&data), None);
    // Neither have they if a few are drawings.
    let mut mixed = noise.clone();
    for mut row in mixed.rows_mut().into_iter().take(10) {
        row.fill(0.0);
        row[27] = 1.0;
    }
    let data = Dataset::new(mixed, vec![0; n], (8, 8, 1), 1).unwrap();
    assert_eq!(Framing::fit(&data), None);
    let table = Dataset::new(noise.clone(), vec![0; n], (1, 1, 64), 1).unwrap();
    assert_eq!(Framing::fit(&table), None);
    let color = Dataset::new(noise, vec![0; n], (4, 4, 4), 1).unwrap();
    assert_eq!(Framing::fit(&color), None);
}

#[test]
fn bad_pictures_are_refused() {
    let framing = Framing::mnist();
    let blank = Array2::from_elem((20, 20), 0.7f32);
    for picture in [blank.clone(), Array2::zeros((0, 5)), Array2::zeros((1, 1))] {
        let error = framing.apply(picture.view(), (28, 28)).unwrap_err();
        assert!(matches!(error, Error::Blank), "{error}");
    }
    let mut nearly = blank.clone();
    nearly[[5, 5]] = 0.69; // as the noise of a camera
    assert!(framing.apply(nearly.view(), (28, 28)).is_err());
    let mut nan = blank;
    nan[[3, 3]] = f32::NAN;
    let error = framing.apply(nan.view(), (28, 28)).unwrap_err();
    assert!(matches!(error, Error::NotFinite { row: 3, column: 3 }));
    nan[[3, 3]] = 0.0;
    assert!(framing.apply(nan.view(), (0, 28)).is_err());
    assert!(framing.apply(nan.view(), (usize::MAX, 2)).is_err());
    for (background, extent) in [
        (-0.1, 0.5),
        (f64::NAN, 0.5),
        (0.0, 0.0),
        (0.0, 1.1),
        (0.0, f64::NAN),
    ] {
        assert!(Framing::new(background, extent).is_err());
    }
    // A single pixel has a size and a centre.
    assert!(framing.apply(nan.view(), (28, 28)).is_ok());
}
