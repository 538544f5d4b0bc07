//! Moving the pixels of an image.

use bn_tensor::Scalar;

use super::draw::{Motion, Rectangle};

/// Writes `from`, an image `(H, W, C)`, to `to`: mirrored, rotated and moved. 0 comes in from outside.
pub(super) fn warp<T: Scalar>(
    motion: &Motion,
    shape: (usize, usize, usize),
    from: &[T],
    to: &mut [T],
) {
    if motion.angle == 0.0 {
        shift(motion, shape, from, to);
    } else {
        rotate(motion, shape, from, to);
    }
}

/// Whole pixels are copied.
fn shift<T: Scalar>(
    motion: &Motion,
    (height, width, channels): (usize, usize, usize),
    from: &[T],
    to: &mut [T],
) {
    to.fill(T::zero());
    for i in 0..height {
        let Some(source) = i.checked_add_signed(-motion.down).filter(|&i| i < height) else {
            continue;
        };
        for j in 0..width {
            let Some(column) = j.checked_add_signed(-motion.right).filter(|&j| j < width) else {
                continue;
            };
            let at = channels * (i * width + j);
            let pixel = channels * (source * width + flipped(motion, column, width));
            to[at..at + channels].copy_from_slice(&from[pixel..pixel + channels]);
        }
    }
}

/// The value at each pixel is interpolated between four pixels of `from`:
///
/// ```text
/// (y, x) = (i, j) - shift - centre
/// source = centre + (y cos + x sin, x cos - y sin)
/// ```
fn rotate<T: Scalar>(
    motion: &Motion,
    (height, width, channels): (usize, usize, usize),
    from: &[T],
    to: &mut [T],
) {
    let (sin, cos) = motion.angle.sin_cos();
    let (last_row, last_column) = (height as f64 - 1.0, width as f64 - 1.0);
    let (centre_y, centre_x) = (last_row / 2.0, last_column / 2.0);
    to.fill(T::zero());
    for i in 0..height {
        let y = i as f64 - motion.down as f64 - centre_y;
        for j in 0..width {
            let x = j as f64 - motion.right as f64 - centre_x;
            let source_y = centre_y + y * cos + x * sin;
            let source_x = centre_x + x * cos - y * sin;
            let (top, left) = (source_y.floor(), source_x.floor());
            let (below, beside) = (source_y - top, source_x - left);
            let at = channels * (i * width + j);
            let pixel = &mut to[at..at + channels];
            for (row, of_row) in [(top, 1.0 - below), (top + 1.0, below)] {
                for (column, of_column) in [(left, 1.0 - beside), (left + 1.0, beside)] {
                    let weight = of_row * of_column;
                    // A weight of 0 would make a NaN of an infinite neighbour.
                    let is_inside =
                        (0.0..=last_row).contains(&row) && (0.0..=last_column).contains(&column);
                    if weight == 0.0 || !is_inside {
                        continue;
                    }
                    let column = flipped(motion, column as usize, width);
                    let neighbour = channels * (row as usize * width + column);
                    let neighbour = &from[neighbour..neighbour + channels];
                    let weight = T::from_f64(weight);
                    for (to, &from) in pixel.iter_mut().zip(neighbour) {
                        *to += weight * from;
                    }
                }
            }
        }
    }
}

/// The column of `from` that is at `column` of the image, which may be mirrored.
fn flipped(motion: &Motion, column: usize, width: usize) -> usize {
    match motion.is_flipped {
        true => width - 1 - column,
        false => column,
    }
}

/// Sets the rectangle to 0.
pub(super) fn erase<T: Scalar>(
    rectangle: &Rectangle,
    (_, width, channels): (usize, usize, usize),
    image: &mut [T],
) {
    let columns = &rectangle.columns;
    for row in rectangle.rows.clone() {
        let start = channels * (row * width + columns.start);
        image[start..start + channels * columns.len()].fill(T::zero());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The images of each shape, pixel by pixel 1, 2, 3 and so on.
    fn image((height, width, channels): (usize, usize, usize)) -> Vec<f64> {
        (1..=height * width * channels).map(|i| i as f64).collect()
    }

    fn warped(
        shape: (usize, usize, usize),
        is_flipped: bool,
        angle: f64,
        by: [isize; 2],
    ) -> Vec<f64> {
        let from = image(shape);
        let mut to = vec![f64::NAN; from.len()];
        let [down, right] = by;
        let motion = Motion {
            is_flipped,
            angle,
            down,
            right,
        };
        warp(&motion, shape, &from, &mut to);
        to
    }

    #[test]
    fn pixels_move_down_and_right() {
        let moved = warped((2, 3, 1), false, 0.0, [1, 1]);
        assert_eq!(moved, [0.0, 0.0, 0.0, 0.0, 1.0, 2.0]);
        let moved = warped((2, 3, 1), false, 0.0, [-1, -2]);
        assert_eq!(moved, [6.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        // Two channels stay together when they are mirrored.
        let mirrored = warped((1, 2, 2), true, 0.0, [0, 0]);
        assert_eq!(mirrored, [3.0, 4.0, 1.0, 2.0]);
        // First mirrored, then moved.
        assert_eq!(warped((1, 3, 1), true, 0.0, [0, 1]), [0.0, 3.0, 2.0]);
    }

    /// A quarter turn to the left and back, a half turn, and a full turn meet the pixels (to rounding).
    #[test]
    fn turns_by_right_angles_permute_the_pixels() {
        let quarter = std::f64::consts::FRAC_PI_2;
        for (angle, expected) in [
            (quarter, [3.0, 6.0, 9.0, 2.0, 5.0, 8.0, 1.0, 4.0, 7.0]),
            (-quarter, [7.0, 4.0, 1.0, 8.0, 5.0, 2.0, 9.0, 6.0, 3.0]),
            (2.0 * quarter, [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]),
            (4.0 * quarter, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]),
        ] {
            let turned = warped((3, 3, 1), false, angle, [0, 0]);
            let pairs = turned.iter().zip(&expected);
            assert!(
                pairs.clone().all(|(a, b)| (a - b).abs() < 1e-9),
                "{angle}: {turned:?}"
            );
        }
    }

    /// An angle of almost 0 gives almost the pixels that are copied, mirrored or not.
    #[test]
    fn rotated_images_move_like_others() {
        let shape = (4, 5, 3);
        for is_flipped in [false, true] {
            for by in [[0, 0], [1, -2], [-3, 4]] {
                let rotated = warped(shape, is_flipped, 1e-12, by);
                let copied = warped(shape, is_flipped, 0.0, by);
                for (a, b) in rotated.iter().zip(&copied) {
                    assert!((a - b).abs() < 1e-9, "{by:?}: {rotated:?} {copied:?}");
                }
            }
        }
    }

    /// A plane stays a plane: where all four neighbours exist, bilinear interpolation is exact.
    #[test]
    fn a_plane_is_rotated_exactly() {
        let (height, width) = (9usize, 9usize);
        let plane = |y: f64, x: f64| 2.0 * y - 3.0 * x + 5.0;
        let from: Vec<f64> = (0..height * width)
            .map(|i| plane((i / width) as f64, (i % width) as f64))
            .collect();
        let angle: f64 = 0.3;
        let motion = Motion {
            is_flipped: false,
            angle,
            down: 1,
            right: 0,
        };
        let mut to = vec![0.0; from.len()];
        warp(&motion, (height, width, 1), &from, &mut to);
        let (sin, cos) = angle.sin_cos();
        for i in 3..7 {
            for j in 2..7 {
                let (y, x) = (i as f64 - 1.0 - 4.0, j as f64 - 4.0);
                let expected = plane(4.0 + y * cos + x * sin, 4.0 + x * cos - y * sin);
                assert!((to[i * width + j] - expected).abs() < 1e-12, "{i} {j}");
            }
        }
    }
}
