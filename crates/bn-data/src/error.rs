//! The error type of the crate.

use std::io;
use std::path::{Path, PathBuf};

/// The result of every fallible function of this crate. It is not public: `use bn_data::*` would hide the
/// standard library's `Result`.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with data: files, downloads, shapes and settings.
///
/// An error that comes from a file is wrapped in [`Error::InFile`], which names it.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The problem lies in this file (or, for a failed read or write, at this path).
    #[error("{}: {problem}", file.display())]
    InFile {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: Box<Error>,
    },
    /// The system could not read or write.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The magic number is not that of IDX.
    #[error(
        "not an IDX file: it begins with {:02x} {:02x}, an IDX file with 00 00 (or, packed by gzip, 1f 8b)",
        found[0], found[1]
    )]
    NotIdx {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// The third byte of the magic number is not an element type of IDX.
    #[error(
        "IDX element type 0x{code:02x} is unknown; the format has 08 u8, 09 i8, 0b i16, 0c i32, 0d f32 and 0e f64"
    )]
    UnknownElementType {
        /// The byte that was found.
        code: u8,
    },
    /// There are fewer bytes than the header announces.
    #[error(
        "truncated: {expected} bytes are needed, {got} are there; fetch or write the file again"
    )]
    Truncated {
        /// The bytes that the header announces, including the header.
        expected: u64,
        /// The bytes that are there.
        got: u64,
    },
    /// There are more bytes than the header announces.
    #[error(
        "there are more than the {expected} bytes that the header announces; this is not an intact file"
    )]
    TrailingBytes {
        /// The bytes that the header announces, including the header.
        expected: u64,
    },
    /// The header's dimensions are larger than any array can be.
    #[error("an array of the dimensions {dims:?} is too large for memory; the header is damaged")]
    TooLarge {
        /// The dimensions of the header.
        dims: Vec<usize>,
    },
    /// The elements take more memory than the limit of the reader.
    #[error(
        "the elements take {size} bytes, more than the limit of {limit}; to read them all the same, set \
         a higher limit with the reader's method `limit`"
    )]
    OverLimit {
        /// The bytes of the elements, as far as they are known.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A field of a CSV file is not what it must be.
    #[error("line {line}, column {column}: {problem}")]
    Csv {
        /// The line, counted from 1.
        line: u64,
        /// The field in the line, counted from 1.
        column: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// The data are not an array of NumPy that this crate reads.
    #[error(
        "not a NumPy file that can be read: {reason}; save an array of uint8, int32, int64, float32 or \
         float64 with np.save or np.savez"
    )]
    NotNpy {
        /// What was found.
        reason: String,
    },
    /// The data are not an image that this crate reads.
    #[error("not a {format} image that can be read: {reason}")]
    NotImage {
        /// `PNG` or `JPEG`.
        format: &'static str,
        /// What was found.
        reason: String,
    },
    /// Nothing is drawn on a picture.
    #[error("the picture is blank: nothing on it stands out from the background")]
    Blank,
    /// The gzip stream is damaged, truncated or followed by something else.
    #[error("damaged gzip data ({0}); fetch or pack the file again")]
    Gzip(#[source] io::Error),
    /// IDX cannot hold an array of this shape.
    #[error(
        "an array of shape {shape:?} does not fit IDX: at most 255 axes, each shorter than 2^32"
    )]
    NotWritable {
        /// The shape of the array.
        shape: Vec<usize>,
    },
    /// The elements do not have the requested type.
    #[error("the elements are {got}, not {expected}")]
    ElementType {
        /// The requested type.
        expected: &'static str,
        /// The actual type.
        got: &'static str,
    },
    /// An array does not have the shape that the operation needs.
    #[error("{op} needs shape {expected}, got {got:?}")]
    ShapeMismatch {
        /// The operation.
        op: &'static str,
        /// The shape that it needs, in words or numbers.
        expected: String,
        /// The shape that it was given.
        got: Vec<usize>,
    },
    /// The images and their labels differ in number.
    #[error("{labels} labels for {images} images; there must be one label for each image")]
    CountMismatch {
        /// How many images there are.
        images: usize,
        /// How many labels there are.
        labels: usize,
    },
    /// A label is not smaller than the number of classes.
    #[error("label {label} at position {index} is not below {classes}, the number of classes")]
    LabelOutOfRange {
        /// The position of the label.
        index: usize,
        /// The label.
        label: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A label is not one of those that the files of the data set use.
    #[error("label {label} at position {index} is not from {first} to {last}, as in {dataset}")]
    UnknownLabel {
        /// The data set.
        dataset: &'static str,
        /// The position of the label.
        index: usize,
        /// The label in the file.
        label: i64,
        /// The smallest label of the data set.
        first: i64,
        /// The largest label of the data set.
        last: i64,
    },
    /// The targets are values, and the operation needs labels.
    #[error("{op} needs labels; the targets of this data set are values")]
    NoLabels {
        /// The operation.
        op: &'static str,
    },
    /// A class has no images.
    #[error("class {class} has no images; leave it out with Dataset::select_classes")]
    EmptyClass {
        /// The class.
        class: usize,
    },
    /// A row does not have as many values as the first.
    #[error(
        "row {row} has {got} values, and row 0 has {expected}; all rows must have the same length"
    )]
    RowLength {
        /// The row, counted from 0.
        row: usize,
        /// The length of the first row.
        expected: usize,
        /// The length of this row.
        got: usize,
    },
    /// An index is beyond the data set.
    #[error("index {index} is beyond the {len} images of the data set")]
    IndexOutOfRange {
        /// The index.
        index: usize,
        /// The number of images.
        len: usize,
    },
    /// A value is infinite or not a number.
    #[error("the value in row {row}, column {column} is not finite; clean the data first")]
    NotFinite {
        /// The row, which is the image.
        row: usize,
        /// The column, which is the pixel.
        column: usize,
    },
    /// There are no images.
    #[error("{op} needs at least one image; the data set is empty")]
    Empty {
        /// The operation.
        op: &'static str,
    },
    /// A setting is outside of what it may be.
    #[error("{what} is {value}; it must be {must_be}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        must_be: String,
    },
    /// No folder holds all files of the data set.
    #[error(
        "{dataset} was not found; looked in {looked_in}. Fetch its four files from {home} and put them, \
         compressed (.gz) or not, into one of these folders"
    )]
    NotFound {
        /// The data set.
        dataset: &'static str,
        /// The folders, each with the files that it lacks.
        looked_in: String,
        /// The address from which the files can be fetched.
        home: &'static str,
    },
    /// The files are those of another data set.
    #[error("these are the labels of {got}, not of {expected}; keep each in a folder of its own")]
    OtherDataset {
        /// The data set that was asked for.
        expected: &'static str,
        /// The data set that is there.
        got: &'static str,
    },
    /// No mirror gave the file.
    #[error(
        "could not download {file}:{tried}\nWithout a network, put the four files of {dataset} into {}, \
         or into the folder that the environment variable BN_DATA_DIR names",
        folder.display()
    )]
    Download {
        /// The data set.
        dataset: &'static str,
        /// The file.
        file: String,
        /// The folder into which it was to go.
        folder: PathBuf,
        /// Each mirror with its answer, a line each.
        tried: String,
    },
    /// The cache folder cannot be written.
    #[error(
        "cannot write to the cache folder {} ({problem}); set another with Download::cache_dir, \
         or put the files into the folder that the environment variable BN_DATA_DIR names",
        folder.display()
    )]
    CacheFolder {
        /// The folder.
        folder: PathBuf,
        /// What the system answered.
        problem: io::Error,
    },
    /// The platform names no cache folder (there is no home folder).
    #[error(
        "this system has no cache folder; set one with Download::cache_dir, \
         or put the files into the folder that the environment variable BN_DATA_DIR names"
    )]
    NoCacheFolder,
    /// The build holds no LAPACK.
    #[error(
        "{op} needs LAPACK; build with the features `lapack` and `openblas` (or `openblas-static`)"
    )]
    NoLapack {
        /// The operation.
        op: &'static str,
    },
    /// LAPACK found no answer.
    #[error("LAPACK failed: {0}")]
    Lapack(String),
    /// There is no memory for an array.
    #[error(transparent)]
    Tensor(#[from] bn_tensor::Error),
}

impl Error {
    /// Names the file that the error came from, unless it does already.
    pub(crate) fn in_file(self, file: &Path) -> Self {
        match self {
            Error::InFile { .. } => self,
            problem => Error::InFile {
                file: file.to_owned(),
                problem: Box::new(problem),
            },
        }
    }
}
