//! Folders of images: what is read, in which order, and how damage is reported.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use bn_data::{Error, ImageFolder, ImageFolderReader};
use ndarray::array;
use png::{BitDepth, ColorType, Encoder};

/// Writes an image of 2 x 3 pixels (or of another size) from its bytes.
fn save(path: &Path, (height, width): (u32, u32), color: ColorType, depth: BitDepth, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut encoder = Encoder::new(File::create(path).unwrap(), width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == ColorType::Indexed {
        encoder.set_palette(vec![0, 0, 0, 255, 128, 0]);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(bytes).unwrap();
}

fn grey(path: &Path, bytes: [u8; 6]) {
    save(path, (2, 3), ColorType::Grayscale, BitDepth::Eight, &bytes);
}

#[test]
fn classes_and_images_are_in_the_order_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    grey(&at("dog/10.png"), [10; 6]);
    grey(&at("dog/02.PNG"), [2; 6]);
    grey(&at("cat/b.png"), [0, 51, 102, 153, 204, 255]);
    grey(&at("cat/a.png"), [7; 6]);
    fs::write(at("cat/notes.txt"), "not an image").unwrap();
    fs::write(at("labels.csv"), "not a class").unwrap();

    let images = ImageFolder::open(folder.path()).unwrap();
    assert_eq!(images.class_names(), ["cat", "dog"]);
    let data = images.dataset();
    assert_eq!((data.image_shape(), data.classes()), ((2, 3, 1), 2));
    assert_eq!(data.labels(), [0, 0, 1, 1]);
    assert_eq!(data.images().row(1), array![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
    let raw = ImageFolderReader::new()
        .normalize(false)
        .open(folder.path())
        .unwrap();
    assert_eq!(
        raw.dataset().images().column(0),
        array![7.0, 0.0, 2.0, 10.0]
    );
    let (data, names) = raw.into_parts();
    assert_eq!((data.len(), names.len()), (4, 2));
}

#[test]
fn every_kind_of_colour() {
    let read = |color, depth, bytes: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        save(
            &folder.path().join("class/image.png"),
            (1, 2),
            color,
            depth,
            bytes,
        );
        let images = ImageFolderReader::new()
            .normalize(false)
            .open(folder.path());
        images.map(|images| {
            let data = images.into_parts().0;
            (
                data.channels(),
                data.images().iter().copied().collect::<Vec<f32>>(),
            )
        })
    };
    let is = |result: Result<_, Error>, channels, values: &[f32]| {
        assert_eq!(result.unwrap(), (channels, values.to_vec()));
    };
    is(
        read(ColorType::Grayscale, BitDepth::One, &[0b0100_0000]),
        1,
        &[0.0, 255.0],
    );
    is(
        read(ColorType::Grayscale, BitDepth::Eight, &[3, 4]),
        1,
        &[3.0, 4.0],
    );
    is(
        read(
            ColorType::Grayscale,
            BitDepth::Sixteen,
            &[0x12, 0x34, 0xff, 0xff],
        ),
        1,
        &[18.0, 255.0],
    );
    let rgb = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    is(
        read(ColorType::Rgb, BitDepth::Eight, &[1, 2, 3, 4, 5, 6]),
        3,
        &rgb,
    );
    let indexed = read(ColorType::Indexed, BitDepth::Eight, &[1, 0]);
    is(indexed, 3, &[255.0, 128.0, 0.0, 0.0, 0.0, 0.0]);
    for (color, bytes) in [
        (ColorType::Rgba, &[1; 8][..]),
        (ColorType::GrayscaleAlpha, &[1; 4]),
    ] {
        let error = read(color, BitDepth::Eight, bytes).unwrap_err().to_string();
        assert!(
            error.contains("without transparency") && error.contains("image.png"),
            "{error}"
        );
    }
}

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(file)
}

/// The images of `golden/make_jpeg.py`.
#[test]
fn jpeg_images_have_the_values_that_pillow_reads() {
    for (name, tolerance) in [
        ("grey", 2.0),
        ("rgb", 2.0),
        ("subsampled", 4.0), // how colours are enlarged is not part of the format
        ("progressive", 2.0),
        ("cmyk", 2.0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let class = folder.path().join("class");
        fs::create_dir(&class).unwrap();
        fs::copy(golden(&format!("{name}.jpg")), class.join("1.JPEG")).unwrap();
        fs::copy(golden(&format!("{name}.png")), class.join("2.png")).unwrap();
        let images = ImageFolderReader::new()
            .normalize(false)
            .open(folder.path())
            .unwrap();
        let data = images.dataset();
        let channels = if name == "grey" { 1 } else { 3 };
        assert_eq!(data.image_shape(), (20, 28, channels));
        let values = data.images();
        let differences = (&values.row(0) - &values.row(1)).mapv(f32::abs);
        let worst = differences.fold(0.0f32, |worst, &difference| worst.max(difference));
        assert!(worst <= tolerance, "{name}: {worst} of 255");
    }
}

#[test]
fn a_damaged_jpeg_is_refused_or_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("class/1.jpg");
    fs::create_dir(folder.path().join("class")).unwrap();
    for name in ["rgb.jpg", "progressive.jpg"] {
        let whole = fs::read(golden(name)).unwrap();
        for length in 0..whole.len() - 2 {
            // without its end, and a part of what is before it
            fs::write(&path, &whole[..length]).unwrap();
            let error = ImageFolder::open(folder.path()).unwrap_err();
            assert!(
                error.to_string().contains("1.jpg: not a"),
                "{length}: {error}"
            );
        }
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 0x5a;
            fs::write(&path, &changed).unwrap();
            let _ = ImageFolderReader::new().limit(1 << 20).open(folder.path());
        }
    }
    // A header that promises 65,535 rows and columns.
    let mut bytes = fs::read(golden("rgb.jpg")).unwrap();
    let sizes = bytes
        .windows(2)
        .position(|two| two == [0xff, 0xc0])
        .unwrap()
        + 5;
    bytes[sizes..sizes + 4].fill(0xff);
    fs::write(&path, &bytes).unwrap();
    let error = ImageFolder::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("1.jpg"), "{error}");
}

#[test]
fn unfit_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let refused = |part: &str, file: &Path| {
        let error = ImageFolder::open(root).unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with(&format!("{}: ", file.display())),
            "{message}"
        );
        assert!(message.contains(part), "{message}");
        match error {
            Error::InFile { problem, .. } => *problem,
            other => panic!("{other}"),
        }
    };
    assert!(matches!(refused("at least one", root), Error::Empty { .. }));
    fs::create_dir(root.join("a")).unwrap();
    assert!(matches!(
        refused("at least one", &root.join("a")),
        Error::Empty { .. }
    ));
    grey(&root.join("a/1.png"), [1; 6]);
    assert!(ImageFolder::open(root).is_ok());

    let second = root.join("b/2.png");
    save(
        &second,
        (3, 2),
        ColorType::Grayscale,
        BitDepth::Eight,
        &[1; 6],
    );
    let error = refused("(2, 3, 1) (height, width, channels)", &second);
    assert!(matches!(error, Error::ShapeMismatch { got, .. } if got == [3, 2, 1]));
    save(&second, (2, 3), ColorType::Rgb, BitDepth::Eight, &[1; 18]);
    refused("as the first image has", &second);

    grey(&second, [9; 6]);
    let whole = fs::read(&second).unwrap();
    for length in 0..whole.len() - 12 {
        // the last chunk, IEND, is empty
        fs::write(&second, &whole[..length]).unwrap();
        let error = refused("", &second);
        assert!(matches!(error, Error::NotImage { .. }), "{length}: {error}");
    }
    fs::write(&second, b"GIF89a").unwrap();
    assert!(matches!(refused("", &second), Error::NotImage { .. }));
    fs::remove_file(&second).unwrap();
    fs::create_dir(&second).unwrap();
    assert!(matches!(refused("", &second), Error::Io(_)));
    assert!(ImageFolder::open(root.join("missing")).is_err());
}

#[test]
fn memory_has_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["1", "2", "3"] {
        grey(&folder.path().join(format!("a/{name}.png")), [1; 6]); // 24 bytes as f32
    }
    let open = |limit| ImageFolderReader::new().limit(limit).open(folder.path());
    assert!(open(72).is_ok());
    for limit in [71, 24, 1, 0] {
        let error = open(limit).unwrap_err();
        assert!(
            error.to_string().contains(&format!("limit of {limit}")),
            "{error}"
        );
    }
    // A header that promises 2^31 - 1 rows and columns.
    let path = folder.path().join("a/0.png");
    let mut bytes = fs::read(folder.path().join("a/1.png")).unwrap();
    bytes[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    fs::write(&path, &bytes).unwrap();
    let error = ImageFolder::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("0.png"), "{error}");
}
