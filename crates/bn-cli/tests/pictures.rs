//! Pictures as a person would draw them.

use crate::common::{bn, digits_model, folder, run};
use bn_data::{Dataset, Digits, Mnist};
use bn_net::Model;
use image::{GrayImage, Luma, imageops, imageops::FilterType};
use std::{ffi::OsString, path::Path};

/// A picture of 200×200: the image in black on white paper, smooth, at `size` and somewhere on the sheet.
fn draw(data: &Dataset, row: usize, size: u32) -> GrayImage {
    let (height, width, _) = data.image_shape();
    let pixels = data.images();
    let image = GrayImage::from_fn(width as u32, height as u32, |x, y| {
        let value = pixels[[row, y as usize * width + x as usize]];
        Luma([255 - (255.0 * value).round() as u8])
    });
    let large = imageops::resize(&image, size, size, FilterType::Triangle);
    let mut sheet = GrayImage::from_pixel(200, 200, Luma([255]));
    let free = i64::from(200 - size);
    let (x, y) = (row as i64 * 37 % free, row as i64 * 61 % free); // off centre
    imageops::replace(&mut sheet, &large, x, y);
    sheet
}

/// Draws `count` images, and returns the model's accuracy on the pictures and on the images.
fn accuracies(model: &Path, data: &Dataset, count: usize, size: u32, more: &[&str]) -> (f64, f64) {
    let folder = folder();
    let mut args: Vec<OsString> = vec![
        "predict".into(),
        "--json".into(),
        "--model".into(),
        model.into(),
    ];
    args.extend(more.iter().map(OsString::from));
    for row in 0..count {
        let path = folder.path().join(format!("{row}.png"));
        draw(data, row, size).save(&path).unwrap();
        args.push(path.into());
    }
    let json = bn(folder.path(), args).ok().json();
    let images = json["images"].as_array().unwrap();
    let is_right = |&row: &usize| {
        let image = &images[row];
        assert_eq!(image["class"], image["label"].to_string());
        image["label"] == data.labels()[row]
    };
    let right = (0..count).filter(is_right).count();
    let model = Model::<f32>::load(model).unwrap();
    let some = data.take(count);
    let of_images = model
        .network
        .accuracy(some.images(), some.labels())
        .unwrap();
    (right as f64 / count as f64, of_images)
}

#[test]
fn drawn_digits_are_classified_nearly_as_well_as_the_images() {
    let (_, test) = Digits::load().unwrap().into_parts();
    let (pictures, images) = accuracies(&digits_model(), &test, 150, 130, &[]);
    assert!(
        pictures > images - 0.05 && images > 0.85,
        "{pictures} {images}"
    );
    // Without the preparation they are not.
    let (raw, _) = accuracies(&digits_model(), &test, 150, 130, &["--raw"]);
    assert!(raw < 0.4, "{raw}");
}

#[test]
fn drawn_digits_of_mnist_are_classified_nearly_as_well_as_the_images() {
    let Some(data) = bn_data::data_dir(None) else {
        eprintln!("skipped: BN_DATA_DIR names no folder with MNIST");
        return;
    };
    let folder = folder();
    run(folder.path(), "train --data mnist --epochs 1 --quiet").ok();
    let (_, test) = Mnist::load(data).unwrap().into_parts();
    let model = folder.path().join("model.safetensors");
    for size in [60, 150] {
        let (pictures, images) = accuracies(&model, &test, 200, size, &[]);
        assert!(
            pictures > images - 0.03 && images > 0.93,
            "{size}: {pictures} {images}"
        );
    }
    let (raw, _) = accuracies(&model, &test, 200, 150, &["--raw"]);
    assert!(raw < 0.4, "{raw}");
}

#[test]
fn what_was_done_to_a_picture_is_said() {
    let folder = folder();
    let at = folder.path();
    let (_, test) = Digits::load().unwrap().into_parts();
    let mut sheet = draw(&test, 0, 100);
    sheet.save(at.join("paper.png")).unwrap();
    imageops::invert(&mut sheet);
    sheet.save(at.join("slate.png")).unwrap();
    let model = digits_model();
    let model = model.to_str().unwrap();
    let predict = |args: &[&str]| {
        let of_model = ["predict", "--model", model];
        bn(at, of_model.iter().chain(args)).ok().stdout
    };
    let paper = predict(&["paper.png"]);
    assert!(
        paper.contains("inverted, cropped to the ink (") && paper.contains("centred in 8×8"),
        "{paper}"
    );
    let slate = predict(&["slate.png"]);
    assert!(
        slate.contains("  cropped to the ink (") && !slate.contains("inverted"),
        "{slate}"
    );
    // The same digit with the same probabilities.
    let first = |text: &str| {
        text.lines()
            .next()
            .unwrap()
            .split_once(": ")
            .unwrap()
            .1
            .to_owned()
    };
    assert_eq!(first(&paper), first(&slate));
    assert!(predict(&["--raw", "slate.png"]).contains("resized to 8×8"));
    assert_eq!(
        predict(&["--quiet", "slate.png", "paper.png"])
            .lines()
            .count(),
        2
    );

    // A JPEG, also under a wrong name, and a transparent PNG.
    let grey =
        image::DynamicImage::ImageLuma8(image::open(at.join("paper.png")).unwrap().into_luma8());
    grey.save(at.join("paper.jpg")).unwrap();
    std::fs::copy(at.join("paper.jpg"), at.join("wrong.png")).unwrap();
    let transparent = image::RgbaImage::from_fn(200, 200, |x, y| {
        let ink = 255 - grey.as_luma8().unwrap().get_pixel(x, y).0[0];
        image::Rgba([0, 0, 0, ink]) // black ink on nothing
    });
    transparent.save(at.join("clear.png")).unwrap();
    let class = |text: &str| first(text).split_whitespace().next().unwrap().to_owned();
    for name in ["paper.jpg", "wrong.png", "clear.png"] {
        assert_eq!(class(&predict(&[name])), class(&paper), "{name}");
    }
}

#[test]
fn bad_pictures_do_not_keep_the_others_from_being_classified() {
    let folder = folder();
    let at = folder.path();
    let (_, test) = Digits::load().unwrap().into_parts();
    draw(&test, 1, 100).save(at.join("good.png")).unwrap();
    let bytes = std::fs::read(at.join("good.png")).unwrap();
    std::fs::write(at.join("truncated.png"), &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(at.join("text.png"), "not a picture").unwrap();
    std::fs::write(at.join("empty.png"), "").unwrap();
    GrayImage::from_pixel(50, 50, Luma([255]))
        .save(at.join("blank.png"))
        .unwrap();
    // A header that promises 60,000×60,000 pixels.
    let mut huge = bytes.clone();
    huge[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    huge[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let crc = crc32(&huge[12..29]);
    huge[29..33].copy_from_slice(&crc.to_be_bytes());
    std::fs::write(at.join("huge.png"), huge).unwrap();
    let model = digits_model();
    let model = model.to_str().unwrap();
    for (name, code) in [
        ("truncated.png", 3),
        ("text.png", 3),
        ("empty.png", 3),
        ("blank.png", 3),
        ("huge.png", 3),
        ("missing.png", 4),
        (".", 4),
    ] {
        let outcome = bn(at, ["predict", "--model", model, name, "good.png"]);
        assert_eq!(outcome.code, code, "{name}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains(name) && outcome.stderr.contains("hint: "),
            "{}",
            outcome.stderr
        );
        assert!(
            outcome.stdout.starts_with("good.png: "),
            "{name}: {}",
            outcome.stdout
        );
        let json = bn(
            at,
            ["predict", "--json", "--model", model, name, "good.png"],
        )
        .json();
        assert_eq!(json["images"][0]["error"]["code"], code, "{name}");
        assert!(json["images"][1]["class"].is_string(), "{name}");
    }
}

/// The checksum of a PNG chunk.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    !crc
}
