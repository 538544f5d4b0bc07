//! Which pixels a convolution reads and writes.

use crate::convolution::shapes::{Sizes, To};
use std::ops::Range;

/// Outputs that a strip has at least, if the image has as many. Each panel of the weights is read once for a
/// strip, which should stay in the first-level cache.
const STRIP: usize = 128;
/// Rows of outputs that it has at least, because a strip shares rows of the source with the next.
const STRIP_ROWS: usize = 4;

/// One axis of a window.
#[derive(Debug, Clone, Copy)]
struct Axis {
    size: usize, // of the image
    kernel: usize,
    stride: usize,
    before: usize, // zeros
    out: usize,
}

/// Outputs along one axis that are under the same part of the kernel.
///
/// All outputs of a convolution are. The pixels of a transposed convolution with a stride of 2 are of two
/// classes: those under the even rows of the kernel, and those under the odd ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Class {
    pub(super) first: usize, // of the outputs
    pub(super) step: usize,  // between outputs
    pub(super) count: usize,
    pub(super) source: isize, // the source pixel under the first tap at the first output
    pub(super) advance: usize, // of the source from output to output
    pub(super) taps: usize,
    part: usize,       // the least place in the kernel
    spacing: usize,    // between places in the kernel
    is_reversed: bool, // whether the first tap is the last place
}

impl Class {
    /// The place of a tap in the kernel.
    pub(super) fn place(&self, tap: usize) -> usize {
        let tap = if self.is_reversed {
            self.taps - 1 - tap
        } else {
            tap
        };
        self.part + self.spacing * tap
    }

    /// Which outputs of this class are among `outputs`.
    pub(super) fn within(&self, outputs: &Range<usize>) -> Range<usize> {
        let before = |end: usize| end.saturating_sub(self.first).div_ceil(self.step);
        before(outputs.start).min(self.count)..before(outputs.end).min(self.count)
    }
}

impl Axis {
    fn classes(&self, to: To) -> impl Iterator<Item = Class> + use<> {
        let axis = *self;
        let count = match to {
            To::Outputs => 1,
            To::Images => self.stride.min(self.size),
        };
        (0..count).map(move |first| match to {
            To::Outputs => axis.outputs(),
            To::Images => axis.pixels(first),
        })
    }

    fn outputs(&self) -> Class {
        Class {
            first: 0,
            step: 1,
            count: self.out,
            source: -(self.before as isize),
            advance: self.stride,
            taps: self.kernel,
            part: 0,
            spacing: 1,
            is_reversed: false,
        }
    }

    /// The pixels `first`, `first + stride` and so on. With `first + before = stride·position + part`, a pixel
    /// is under `part` of the kernel at this position, under `part + stride` at the one before, and so on.
    fn pixels(&self, first: usize) -> Class {
        let (position, part) = (
            (first + self.before) / self.stride,
            (first + self.before) % self.stride,
        );
        let taps = self.kernel.saturating_sub(part).div_ceil(self.stride);
        Class {
            first,
            step: self.stride,
            count: (self.size - first).div_ceil(self.stride),
            source: position as isize + 1 - taps as isize,
            advance: 1,
            taps,
            part,
            spacing: self.stride,
            is_reversed: true,
        }
    }

    /// The source pixels that outputs `outputs` read; some of them may lie outside the source.
    fn read(&self, to: To, outputs: &Range<usize>) -> Range<isize> {
        let last = outputs.end - 1;
        match to {
            To::Outputs => {
                let place = |pixel: usize| pixel as isize - self.before as isize;
                place(outputs.start * self.stride)..place(last * self.stride + self.kernel)
            }
            To::Images => {
                let position = |pixel: usize| ((pixel + self.before) / self.stride) as isize;
                let taps = self.kernel.div_ceil(self.stride) as isize;
                position(outputs.start) + 1 - taps..position(last) + 1
            }
        }
    }
}

/// A convolution from `(rows, columns, channels)` to outputs, strip by strip: a few rows of outputs of one
/// image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    to: To,
    rows: Axis,
    columns: Axis,
    pub(super) source: (usize, usize, usize), // an image that is read: (H, W, channels)
    pub(super) out: (usize, usize, usize),    // an image that is written
    strip: usize,                             // rows of outputs
}

impl Plan {
    pub(super) fn new(sizes: &Sizes<'_>, to: To) -> Self {
        let window = sizes.window;
        let ((height, width, channels), out) = (window.image(), window.output());
        let (kernel, stride, before) = (window.kernel(), window.stride(), window.before());
        let axis = |size, kernel, stride, before, out| Axis {
            size,
            kernel,
            stride,
            before,
            out,
        };
        let rows = axis(height, kernel.0, stride.0, before.0, out.0);
        let columns = axis(width, kernel.1, stride.1, before.1, out.1);
        let (image, outputs) = ((height, width, channels), (out.0, out.1, sizes.out));
        let (source, out) = match to {
            To::Outputs => (image, outputs),
            To::Images => (outputs, image),
        };
        let strips = out.0.div_ceil(STRIP.div_ceil(out.1).max(STRIP_ROWS));
        Self {
            to,
            rows,
            columns,
            source,
            out,
            strip: out.0.div_ceil(strips),
        }
    }

    /// Strips of an image.
    pub(super) fn strips(&self) -> usize {
        self.out.0.div_ceil(self.strip)
    }

    /// The image of a strip, and its rows of outputs.
    pub(super) fn strip(&self, strip: usize) -> (usize, Range<usize>) {
        let (image, strip) = (strip / self.strips(), strip % self.strips());
        let start = strip * self.strip;
        (image, start..(start + self.strip).min(self.out.0))
    }

    /// The position of a strip's first output in those of all images.
    pub(super) fn start(&self, strip: usize) -> usize {
        let (image, rows) = self.strip(strip);
        (image * self.out.0 + rows.start) * self.out.1 * self.out.2
    }

    /// Rows and columns of the source that some rows of outputs read.
    pub(super) fn read(&self, rows: &Range<usize>) -> [Range<isize>; 2] {
        let columns = 0..self.out.1;
        [
            self.rows.read(self.to, rows),
            self.columns.read(self.to, &columns),
        ]
    }

    /// Whether the strips lie inside their images, so that they need no copy with zeros around it.
    pub(super) fn is_unpadded(&self) -> bool {
        let [rows, columns] = self.read(&(0..self.out.0));
        let inside = |read: Range<isize>, size: usize| read.start >= 0 && read.end <= size as isize;
        inside(rows, self.source.0) && inside(columns, self.source.1)
    }

    /// The most values that a strip reads.
    pub(super) fn room(&self) -> usize {
        // Where a strip begins changes what it reads by at most a row.
        let [rows, columns] = self.read(&(0..self.strip));
        (rows.len() + 1)
            .saturating_mul(columns.len())
            .saturating_mul(self.source.2)
    }

    /// The classes of outputs: of rows, and of columns.
    pub(super) fn classes(&self) -> impl Iterator<Item = [Class; 2]> + use<> {
        let &Self {
            to, rows, columns, ..
        } = self;
        rows.classes(to)
            .flat_map(move |rows| columns.classes(to).map(move |columns| [rows, columns]))
    }
}
