//! Loops over elements: plain closures, vectorised for the processor and shared between threads
//! in pieces of fixed size.

use crate::{
    error::{Error, same_len},
    parallel::{self, PIECE},
    scalar::Scalar,
    simd::{NullaryFnOnce, vectorize},
};

/// `y[i] = f(x[i])`.
///
/// ```
/// let mut y = [0.0; 3];
/// bn_tensor::map(&[-1.0, 0.0, 2.0], &mut y, |x: f32| x.abs())?;
/// assert_eq!(y, [1.0, 0.0, 2.0]);
/// # Ok::<(), bn_tensor::Error>(())
/// ```
///
/// # Errors
/// [`Error::ShapeMismatch`] if the lengths differ.
pub fn map<T: Scalar>(x: &[T], y: &mut [T], f: impl Fn(T) -> T + Sync) -> Result<(), Error> {
    same_len("map", y.len(), x.len())?;
    let work = y.len();
    parallel::for_each_piece(y, PIECE, work, &|start, y: &mut [T]| {
        let x = &x[start..start + y.len()];
        vectorize(|| {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = f(x);
            }
        });
    });
    Ok(())
}

/// `y[i] = f(a[i], b[i])`.
///
/// # Errors
/// [`Error::ShapeMismatch`] if the lengths differ.
pub fn zip_map<T: Scalar>(
    a: &[T],
    b: &[T],
    y: &mut [T],
    f: impl Fn(T, T) -> T + Sync,
) -> Result<(), Error> {
    same_len("zip_map", y.len(), a.len())?;
    same_len("zip_map", y.len(), b.len())?;
    let work = y.len();
    parallel::for_each_piece(y, PIECE, work, &|start, y: &mut [T]| {
        let (a, b) = (&a[start..start + y.len()], &b[start..start + y.len()]);
        vectorize(|| {
            for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                *y = f(a, b);
            }
        });
    });
    Ok(())
}

/// `y[i] = f(a[i], b[i], c[i])`.
///
/// ```
/// let mut y = [0.0; 2];
/// bn_tensor::zip_map3(&[1.0, 2.0], &[3.0, 4.0], &[10.0, 20.0], &mut y, |a: f32, b, c| a * b + c)?;
/// assert_eq!(y, [13.0, 28.0]);
/// # Ok::<(), bn_tensor::Error>(())
/// ```
///
/// # Errors
/// [`Error::ShapeMismatch`] if the lengths differ.
pub fn zip_map3<T: Scalar>(
    a: &[T],
    b: &[T],
    c: &[T],
    y: &mut [T],
    f: impl Fn(T, T, T) -> T + Sync,
) -> Result<(), Error> {
    for len in [a.len(), b.len(), c.len()] {
        same_len("zip_map3", y.len(), len)?;
    }
    let work = y.len();
    parallel::for_each_piece(y, PIECE, work, &|start, y: &mut [T]| {
        let piece = start..start + y.len();
        let (a, b, c) = (&a[piece.clone()], &b[piece.clone()], &c[piece]);
        vectorize(ZipMap3 { a, b, c, y, f: &f });
    });
    Ok(())
}

/// A closure of four slices is too long to be inlined where it is vectorised.
struct ZipMap3<'a, T, F> {
    a: &'a [T],
    b: &'a [T],
    c: &'a [T],
    y: &'a mut [T],
    f: &'a F,
}

impl<T: Scalar, F: Fn(T, T, T) -> T> NullaryFnOnce for ZipMap3<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { a, b, c, y, f } = self;
        for (((y, &a), &b), &c) in y.iter_mut().zip(a).zip(b).zip(c) {
            *y = f(a, b, c);
        }
    }
}

/// `f(&mut p[i], g[i])`: the step of an optimizer without state.
///
/// # Errors
/// [`Error::ShapeMismatch`] if the lengths differ.
pub fn update<T: Scalar>(p: &mut [T], g: &[T], f: impl Fn(&mut T, T) + Sync) -> Result<(), Error> {
    same_len("update", p.len(), g.len())?;
    let work = p.len();
    parallel::for_each_piece(p, PIECE, work, &|start, p: &mut [T]| {
        let g = &g[start..start + p.len()];
        vectorize(|| p.iter_mut().zip(g).for_each(|(p, &g)| f(p, g)));
    });
    Ok(())
}

/// `f(&mut p[i], &mut s[i], g[i])`: the step of an optimizer with one state per parameter.
///
/// # Errors
/// [`Error::ShapeMismatch`] if the lengths differ.
pub fn update_with_state<T: Scalar>(
    p: &mut [T],
    s: &mut [T],
    g: &[T],
    f: impl Fn(&mut T, &mut T, T) + Sync,
) -> Result<(), Error> {
    same_len("update_with_state", p.len(), s.len())?;
    same_len("update_with_state", p.len(), g.len())?;
    let work = p.len();
    parallel::for_each_piece(
        (p, s),
        PIECE,
        work,
        &|start, (p, s): (&mut [T], &mut [T])| {
            let g = &g[start..start + p.len()];
            vectorize(|| {
                for ((p, s), &g) in p.iter_mut().zip(s).zip(g) {
                    f(p, s, g);
                }
            });
        },
    );
    Ok(())
}

/// `f(&mut p[i], &mut s[i], &mut v[i], g[i])`: the step of an optimizer with two states per parameter.
///
/// # Errors
/// [`Error::ShapeMismatch`] if the lengths differ.
pub fn update_with_two_states<T: Scalar>(
    p: &mut [T],
    (s, v): (&mut [T], &mut [T]),
    g: &[T],
    f: impl Fn(&mut T, &mut T, &mut T, T) + Sync,
) -> Result<(), Error> {
    for len in [s.len(), v.len(), g.len()] {
        same_len("update_with_two_states", p.len(), len)?;
    }
    let work = p.len();
    let pieces = (p, (s, v));
    parallel::for_each_piece(pieces, PIECE, work, &|start,
                                                    (p, (s, v)): (
        &mut [T],
        (&mut [T], &mut [T]),
    )| {
        let g = &g[start..start + p.len()];
        vectorize(|| {
            for (((p, s), v), &g) in p.iter_mut().zip(s).zip(v).zip(g) {
                f(p, s, v, g);
            }
        });
    });
    Ok(())
}

/// Calls `f(i, piece)` for the i-th piece of `piece_len` values of `y` (the last may be shorter), in
/// parallel: for values that depend only on their position, such as random numbers.
///
/// ```
/// let mut y = [0; 5];
/// bn_tensor::fill_pieces(&mut y, 2, |i, piece| piece.fill(i));
/// assert_eq!(y, [0, 0, 1, 1, 2]);
/// ```
pub fn fill_pieces<T: Send>(y: &mut [T], piece_len: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    let work = y.len();
    let piece_len = piece_len.max(1);
    parallel::for_each_piece(y, piece_len, work, &|start, y: &mut [T]| {
        f(start / piece_len, y)
    });
}
