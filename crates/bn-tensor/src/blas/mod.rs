//! The library that multiplies matrices: OpenBLAS, or none.

#[cfg(any(feature = "openblas", feature = "openblas-static"))]
mod memory;
#[cfg(any(feature = "openblas", feature = "openblas-static"))]
mod openblas;

/// Runs `f`, which calls the BLAS or LAPACK, directly or through another crate.
///
/// OpenBLAS then computes on the calling thread only, so that the bits do not depend on its number of
/// threads. If it was built without threads, two calls never overlap, because it may have no locks either.
/// Without OpenBLAS this is a plain call.
///
/// The process is aborted with a message if there is no memory for OpenBLAS, as it is when Rust's own
/// allocations fail. OpenBLAS itself would ask for the memory again and again, and never return.
///
/// ```
/// assert_eq!(bn_tensor::with_blas(|| 2 + 2), 4);
/// ```
pub fn with_blas<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(any(feature = "openblas", feature = "openblas-static"))]
    return openblas::call(f);
    #[cfg(not(any(feature = "openblas", feature = "openblas-static")))]
    f()
}

/// Prepares OpenBLAS for calls from this thread, so that no later call allocates.
pub(crate) fn prepare_thread() {
    with_blas(|| ());
}

/// The name of the library that multiplies matrices, and of the kernel that it selected for this
/// processor. Reports of measurements state it.
///
/// ```
/// let backend = bn_tensor::matmul_backend();
/// assert!(backend.starts_with("OpenBLAS") || backend.starts_with("matrixmultiply"));
/// ```
pub fn matmul_backend() -> String {
    #[cfg(any(feature = "openblas", feature = "openblas-static"))]
    return openblas::name();
    #[cfg(not(any(feature = "openblas", feature = "openblas-static")))]
    "matrixmultiply (pure Rust)".to_owned()
}
