use super::geometry::Plan;
use crate::scalar::Scalar;

/// What a strip reads: the image itself, or a copy with zeros where there is no pixel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a, T> {
    pub(super) values: &'a [T],
    pub(super) columns: usize,         // of pixels
    pub(super) origin: (isize, isize), // the row and the column of the image that are first here
    pub(super) first: usize,           // the value that the strip reads first
}

impl<'a, T: Scalar> Source<'a, T> {
    /// `room` has the strip's [`copy`](Self::copy), if it needs one.
    pub(super) fn new(plan: &Plan, x: &'a [T], strip: usize, room: Option<&'a [T]>) -> Self {
        let ((image, rows), (height, width, channels)) = (plan.strip(strip), plan.source);
        let [rows, columns] = plan.read(&rows);
        if plan.is_unpadded() {
            let len = height * width * channels;
            return Self {
                values: &x[image * len..][..len],
                columns: width,
                origin: (0, 0),
                first: (rows.start as usize * width + columns.start as usize) * channels,
            };
        }
        Self {
            values: &room.unwrap_or_default()[..rows.len() * columns.len() * channels],
            columns: columns.len(),
            origin: (rows.start, columns.start),
            first: 0,
        }
    }

    /// Copies what a strip reads to `room`, unless it is read from the image.
    pub(super) fn copy(plan: &Plan, x: &[T], strip: usize, room: &mut [T]) {
        if plan.is_unpadded() {
            return;
        }
        let ((image, rows), (height, width, channels)) = (plan.strip(strip), plan.source);
        let image = &x[image * height * width * channels..];
        let [rows, columns] = plan.read(&rows);
        let (first, last) = (
            columns.start.clamp(0, width as isize),
            columns.end.clamp(0, width as isize),
        );
        let left = (first - columns.start) as usize * channels;
        let pixels = first as usize * channels..last as usize * channels;
        let len = columns.len() * channels;
        for (row, line) in rows.zip(room.chunks_exact_mut(len)) {
            if !(0..height as isize).contains(&row) {
                line.fill(T::zero());
                continue;
            }
            let from = &image[row as usize * width * channels..][pixels.clone()];
            let (before, rest) = line.split_at_mut(left.min(len));
            let (middle, after) = rest.split_at_mut(from.len());
            before.fill(T::zero());
            middle.copy_from_slice(from);
            after.fill(T::zero());
        }
    }
}
