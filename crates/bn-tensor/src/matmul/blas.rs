//! Thread control of OpenBLAS: rayon owns the threads, so the BLAS runs with one inside each.
//!
//! This file and `channels/stream.rs` are the only ones of the workspace with `unsafe` code.
#![allow(unsafe_code)]

/// Makes OpenBLAS compute each call on the thread that makes it. Does nothing without OpenBLAS.
#[cfg(any(feature = "openblas", feature = "openblas-static"))]
pub(crate) fn use_calling_thread_only() {
    #[cfg(feature = "openblas-static")]
    use openblas_src as _; // links the library
    use std::ffi::c_int;
    use std::sync::Once;

    unsafe extern "C" {
        fn openblas_set_num_threads(threads: c_int);
    }
    static ONCE: Once = Once::new();
    // SAFETY: the function is OpenBLAS's own, with this signature since its first release; it
    // takes any count of at least one.
    ONCE.call_once(|| unsafe { openblas_set_num_threads(1) });
}

#[cfg(not(any(feature = "openblas", feature = "openblas-static")))]
pub(crate) fn use_calling_thread_only() {}

/// The name of the library that multiplies matrices, and of the kernel that it selected for this
/// processor. Reports of measurements state it.
///
/// ```
/// let backend = bn_tensor::matmul_backend();
/// assert!(backend.starts_with("OpenBLAS") || backend.starts_with("matrixmultiply"));
/// ```
pub fn matmul_backend() -> String {
    #[cfg(any(feature = "openblas", feature = "openblas-static"))]
    {
        use std::ffi::{CStr, c_char};
        unsafe extern "C" {
            fn openblas_get_config() -> *const c_char;
            fn openblas_get_corename() -> *const c_char;
        }
        // SAFETY: both return a pointer to a static, NUL-terminated string of the library.
        let (config, core) = unsafe {
            (
                CStr::from_ptr(openblas_get_config()),
                CStr::from_ptr(openblas_get_corename()),
            )
        };
        let config = config.to_string_lossy();
        let version = config.split_whitespace().take(2).collect::<Vec<_>>();
        format!("{} ({} kernel)", version.join(" "), core.to_string_lossy())
    }
    #[cfg(not(any(feature = "openblas", feature = "openblas-static")))]
    {
        "matrixmultiply (pure Rust)".to_owned()
    }
}
