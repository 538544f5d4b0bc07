//! A forked process computes with threads of its own.
#![cfg(unix)]
#![allow(unsafe_code)] // `fork` is a C function

use crate::common::{child, matrix};
use bn_tensor::{Pool, matmul};
use ndarray::Array2;
use std::ffi::c_int;

unsafe extern "C" {
    fn fork() -> c_int;
    fn waitpid(process: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn _exit(status: c_int) -> !;
}

fn product() -> Array2<f32> {
    let mut c = Array2::zeros((400, 400));
    let (a, b) = (matrix(400, 400, 1), matrix(400, 400, 2));
    matmul(a.view(), b.view(), 0.0, c.view_mut()).unwrap();
    c
}

#[test]
fn a_product_after_a_fork_has_the_same_bits() {
    child::run(|| {
        let pool = Pool::new(2).unwrap();
        let expected = product();
        assert_eq!(pool.install(product), expected);
        // SAFETY: the child only computes and ends.
        let process = unsafe { fork() };
        assert!(process >= 0);
        if process == 0 {
            let same = product() == expected && pool.install(product) == expected;
            #[cfg(feature = "parallel")] // otherwise there is nothing to drop
            drop(pool);
            // SAFETY: nothing of this process is left to do.
            unsafe { _exit(if same { 0 } else { 1 }) };
        }
        let mut status = -1;
        // SAFETY: the address is that of a variable.
        assert_eq!(unsafe { waitpid(process, &mut status, 0) }, process);
        assert_eq!(status, 0);
        assert_eq!(product(), expected);
    });
}
