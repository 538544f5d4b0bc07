//! The files of each data set of the MNIST family, and the folders in which they are searched.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The environment variable that names the folder of the data sets: `BN_DATA_DIR`.
pub const DATA_DIR_VARIABLE: &str = "BN_DATA_DIR";

/// Returns the folder of the data sets that the user chose: `explicit` (for example an option of
/// the program), or else the value of the environment variable `BN_DATA_DIR`, if it is set.
///
/// ```
/// use std::path::Path;
///
/// let explicit = Some(Path::new("my-data"));
/// assert_eq!(bn_data::data_dir(explicit).as_deref(), explicit);
/// ```
#[must_use]
pub fn data_dir(explicit: Option<&Path>) -> Option<PathBuf> {
    let variable = || std::env::var_os(DATA_DIR_VARIABLE).filter(|value| !value.is_empty());
    explicit
        .map(Path::to_owned)
        .or_else(|| variable().map(PathBuf::from))
}

/// A data set in four IDX files, and where they are searched.
pub(crate) struct Place {
    /// The name of the data set in messages.
    pub(crate) name: &'static str,
    /// The sub-folders of a data folder that may hold it; the first is also its folder in the cache.
    pub(crate) folders: &'static [&'static str],
    /// The address from which the files can be fetched by hand.
    pub(crate) home: &'static str,
    /// The first labels of the training set, if the files have the same names as MNIST's.
    pub(crate) first_labels: Option<[usize; 10]>,
}

/// A data set that can be downloaded.
pub(crate) struct Source {
    pub(crate) place: Place,
    pub(crate) files: Files<SourceFile>,
    /// Addresses to which a file's name is appended, the best first.
    #[cfg_attr(not(feature = "download"), allow(dead_code))]
    pub(crate) mirrors: &'static [&'static str],
}

pub(crate) struct SourceFile {
    /// The name of the unpacked file; the packed one ends in `.gz`.
    pub(crate) name: &'static str,
    /// Of the unpacked bytes, because a mirror may have packed them again.
    #[cfg_attr(not(feature = "download"), allow(dead_code))]
    pub(crate) sha256: &'static str,
}

/// One value for each of the four files.
pub(crate) struct Files<T> {
    pub(crate) train_images: T,
    pub(crate) train_labels: T,
    pub(crate) test_images: T,
    pub(crate) test_labels: T,
}

impl<T> Files<T> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        [
            &self.train_images,
            &self.train_labels,
            &self.test_images,
            &self.test_labels,
        ]
        .into_iter()
    }
}

impl<T: AsRef<str>> Files<T> {
    /// The four files with these names, if `folder` itself has them all.
    pub(crate) fn find(&self, folder: &Path) -> Option<Files<PathBuf>> {
        Some(Files {
            train_images: find_file(self.train_images.as_ref(), folder)?,
            train_labels: find_file(self.train_labels.as_ref(), folder)?,
            test_images: find_file(self.test_images.as_ref(), folder)?,
            test_labels: find_file(self.test_labels.as_ref(), folder)?,
        })
    }

    fn missing_in(&self, folder: &Path) -> String {
        let names = self.iter().map(AsRef::as_ref);
        let missing: Vec<&str> = names
            .filter(|name| find_file(name, folder).is_none())
            .collect();
        missing.join(", ")
    }
}

impl Place {
    /// The four files with these names, in the first folder that has them all: a known sub-folder of `dir`,
    /// or `dir` itself.
    pub(crate) fn find(
        &self,
        dir: &Path,
        names: &Files<impl AsRef<str>>,
    ) -> Result<Files<PathBuf>> {
        let mut looked_in = Vec::new();
        // The sub-folders come first, because their names distinguish the data sets.
        let folders = self.folders.iter().map(|folder| dir.join(folder));
        for folder in folders.chain([dir.to_owned()]) {
            if let Some(found) = names.find(&folder) {
                return Ok(found);
            }
            looked_in.push(match folder.is_dir() {
                true => format!("{} (lacks {})", folder.display(), names.missing_in(&folder)),
                false => format!("{} (no such folder)", folder.display()),
            });
        }
        Err(Error::NotFound {
            dataset: self.name,
            looked_in: looked_in.join("; "),
            home: self.home,
        })
    }
}

impl AsRef<str> for SourceFile {
    fn as_ref(&self) -> &str {
        self.name
    }
}

/// The file in `folder`, packed or not. Some unpackers write its name with a dot
/// (`train-images.idx3-ubyte`).
pub(crate) fn find_file(name: &str, folder: &Path) -> Option<PathBuf> {
    let dotted = name.replace("-idx", ".idx");
    [name, &dotted]
        .into_iter()
        .flat_map(|name| [name.to_owned(), format!("{name}.gz")])
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
}

pub(crate) static MNIST: Source = Source {
    place: Place {
        name: "MNIST",
        folders: &["mnist", "MNIST/raw"],
        home: "https://ossci-datasets.s3.amazonaws.com/mnist/",
        first_labels: Some([5, 0, 4, 1, 9, 2, 1, 3, 1, 4]),
    },
    files: Files {
        train_images: SourceFile {
            name: "train-images-idx3-ubyte",
            sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        },
        train_labels: SourceFile {
            name: "train-labels-idx1-ubyte",
            sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        },
        test_images: SourceFile {
            name: "t10k-images-idx3-ubyte",
            sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        },
        test_labels: SourceFile {
            name: "t10k-labels-idx1-ubyte",
            sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    },
    // The original server, yann.lecun.com, answers 403.
    mirrors: &[
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ],
};

pub(crate) static FASHION_MNIST: Source = Source {
    place: Place {
        name: "Fashion-MNIST",
        folders: &["fashion-mnist", "FashionMNIST/raw"],
        home: "https://github.com/zalandoresearch/fashion-mnist",
        first_labels: Some([9, 0, 0, 3, 0, 2, 7, 2, 5, 5]),
    },
    files: Files {
        train_images: SourceFile {
            name: "train-images-idx3-ubyte",
            sha256: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        },
        train_labels: SourceFile {
            name: "train-labels-idx1-ubyte",
            sha256: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        },
        test_images: SourceFile {
            name: "t10k-images-idx3-ubyte",
            sha256: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        },
        test_labels: SourceFile {
            name: "t10k-labels-idx1-ubyte",
            sha256: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
    },
    // The second is the data set's own home, but offers only plain HTTP.
    mirrors: &[
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ],
};

/// Not downloaded: there is no mirror over HTTPS whose hashes were checked.
pub(crate) static KMNIST: Place = Place {
    name: "KMNIST",
    folders: &["kmnist", "KMNIST/raw"],
    home: "http://codh.rois.ac.jp/kmnist/",
    first_labels: Some([8, 7, 0, 1, 4, 2, 4, 8, 1, 1]),
};

/// Not downloaded, as KMNIST.
#[cfg(feature = "npz")]
pub(crate) static KUZUSHIJI_49: Place = Place {
    name: "Kuzushiji-49",
    folders: &["kuzushiji-49", "k49"],
    home: "http://codh.rois.ac.jp/kmnist/",
    first_labels: None,
};
