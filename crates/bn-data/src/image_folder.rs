//! Images in folders, one for each class.

mod jpeg_file;
mod png_file;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use ndarray::Array2;

use crate::{
    dataset::Dataset,
    error::{Error, Result},
    limit::{DEFAULT_LIMIT, check_limit, reserve, reserve_exact},
    whole_file::check_regular,
};

/// The PNG and JPEG images of a folder that has a folder for each class: `folder/class/*.png`, `*.jpg` or `*.jpeg`, as
/// torchvision's `ImageFolder`.
///
/// The classes are numbered in the order of their names, and so are the images of a class. All images must
/// have the same size, and all are grey or all are RGB. 16-bit images are rounded to 8 bits, and palettes
/// are replaced by their colours, and CMYK by RGB. Other files are skipped.
///
/// ```no_run
/// use bn_data::ImageFolder;
///
/// # fn main() -> Result<(), bn_data::Error> {
/// let folder = ImageFolder::open("pets")?; // pets/cat/1.png, pets/dog/1.png, ...
/// assert_eq!(folder.class_names(), ["cat", "dog"]);
/// let (train, validation) = folder.dataset().split_stratified(0.2, 42)?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ImageFolder {
    dataset: Dataset,
    class_names: Vec<String>,
}

impl ImageFolder {
    /// Reads the images of the folder. Values are between 0 and 1; [`ImageFolderReader`] has other
    /// options.
    ///
    /// # Errors
    ///
    /// As [`ImageFolderReader::open`].
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        ImageFolderReader::new().open(folder)
    }

    /// The images and their classes.
    #[must_use]
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// The name of each class, by its label.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Returns `(dataset, class_names)`.
    #[must_use]
    pub fn into_parts(self) -> (Dataset, Vec<String>) {
        (self.dataset, self.class_names)
    }
}

/// Options for reading an [`ImageFolder`].
///
/// ```no_run
/// # fn main() -> Result<(), bn_data::Error> {
/// let reader = bn_data::ImageFolderReader::new().normalize(false).limit(8 << 30);
/// let folder = reader.open("pets")?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageFolderReader {
    normalize: bool,
    limit: u64,
}

impl Default for ImageFolderReader {
    fn default() -> Self {
        ImageFolderReader {
            normalize: true,
            limit: DEFAULT_LIMIT,
        }
    }
}

impl ImageFolderReader {
    /// Creates a reader that divides values by 255, with a limit of 1 GiB.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether values are divided by 255, so that they are between 0 and 1.
    #[must_use]
    pub fn normalize(mut self, normalize: bool) -> Self {
        self.normalize = normalize;
        self
    }

    /// Sets how many bytes the values of all images may take, 4 each.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    /// Reads the images of the folder.
    ///
    /// # Errors
    ///
    /// [`Error::InFile`] with the file or folder around [`Error::Io`]; [`Error::NotImage`] for a damaged
    /// image or one with transparency; [`Error::ShapeMismatch`] for an image of another size than the
    /// first; [`Error::Empty`] for a class without images or a folder without classes;
    /// [`Error::OverLimit`].
    pub fn open(self, folder: impl AsRef<Path>) -> Result<ImageFolder> {
        let mut images = Images {
            reader: self,
            shape: None,
            values: Vec::new(),
        };
        let (mut labels, mut class_names) = (Vec::new(), Vec::new());
        for class in entries(folder.as_ref(), Path::is_dir)? {
            for file in entries(&class, is_image)? {
                images
                    .add(&file)
                    .map_err(|problem| problem.in_file(&file))?;
                labels.push(class_names.len());
            }
            let name = class.file_name().unwrap_or_default();
            class_names.push(name.to_string_lossy().into_owned());
        }
        let (height, width, channels) = images.shape.unwrap_or_default();
        let matrix = (labels.len(), height * width * channels);
        let matrix =
            Array2::from_shape_vec(matrix, images.values).expect("all images have as many values");
        let shape = (height, width, channels);
        Ok(ImageFolder {
            dataset: Dataset::new(matrix, labels, shape, class_names.len())?,
            class_names,
        })
    }
}

/// The pixels of one image.
struct Image {
    shape: (usize, usize, usize), // (H, W, C)
    values: Vec<u8>,              // H*W*C
}

/// The memory that an image may take.
#[derive(Clone, Copy)]
struct Room {
    before: u64, // bytes of the images before it
    limit: u64,
}

impl Room {
    /// Zeros for the values of an image of this size, if they fit as `f32`. `None` is a size that overflows.
    fn for_values(self, size: Option<usize>) -> Result<Vec<u8>> {
        let size = size.unwrap_or(usize::MAX);
        let bytes = (size as u64).saturating_mul(4);
        check_limit(self.before.saturating_add(bytes), self.limit)?;
        let mut values = Vec::new();
        reserve_exact(&mut values, size)?;
        values.resize(size, 0);
        Ok(values)
    }
}

/// The images that were read.
struct Images {
    reader: ImageFolderReader,
    shape: Option<(usize, usize, usize)>, // (H, W, C) of the first
    values: Vec<f32>,                     // (N, H*W*C)
}

impl Images {
    fn add(&mut self, file: &Path) -> Result<()> {
        check_regular(file)?;
        let mut content = BufReader::new(File::open(file)?);
        let room = Room {
            before: 4 * self.values.len() as u64,
            limit: self.reader.limit,
        };
        let image = if content.fill_buf()?.starts_with(&jpeg_file::START) {
            check_limit(fs::metadata(file)?.len(), room.limit)?;
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            jpeg_file::read(&bytes, room)?
        } else {
            png_file::read(content, room)?
        };
        let shape = *self.shape.get_or_insert(image.shape);
        if image.shape != shape {
            let (height, width, channels) = image.shape;
            return Err(Error::ShapeMismatch {
                op: "ImageFolder",
                expected: format!("{shape:?} (height, width, channels), as the first image has"),
                got: vec![height, width, channels],
            });
        }
        reserve(&mut self.values, image.values.len())?;
        let scale = if self.reader.normalize { 255.0 } else { 1.0 };
        let values = image.values.iter().map(|&x| f32::from(x) / scale);
        self.values.extend(values);
        Ok(())
    }
}

/// The entries of the folder that `is_wanted`, in the order of their names; at least one.
fn entries(folder: &Path, is_wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let read = || {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if is_wanted(&path) {
                paths.push(path);
            }
        }
        if paths.is_empty() {
            return Err(Error::Empty { op: "ImageFolder" });
        }
        paths.sort();
        Ok(paths)
    };
    read().map_err(|problem: Error| problem.in_file(folder))
}

fn is_image(path: &Path) -> bool {
    let is = |name| {
        path.extension()
            .is_some_and(|e| e.eq_ignore_ascii_case(name))
    };
    ["png", "jpg", "jpeg"].into_iter().any(is)
}
