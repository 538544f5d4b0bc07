//! Padding and resizing of images.

use super::{array::Values, chain::Chain, graph::Graph, node::Node, part::Part};
use crate::{
    error::Error,
    settings::{self, Image, Pair},
};
use bn_layers::Interpolation;

impl Graph {
    pub(super) fn pad(&self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        let image = chain.image(node)?;
        if node.input(3).is_some() {
            return node.refused("its axes are given; all four are supported only");
        }
        let pads = match node.input(1) {
            Some(_) => self.integers(node, 1)?,
            None => node.ints("pads").unwrap_or_default(),
        };
        let [0, 0, top, left, 0, 0, bottom, right] = *pads else {
            return node.refused(format!(
                "its pads are {pads:?}, but must be four numbers for rows and columns, besides 0"
            ));
        };
        let value = match node.input(2) {
            Some(_) => self.scalar(node, 2).unwrap_or(f32::NAN),
            None => node.attribute("value").map_or(0.0, |value| value.f),
        };
        let layer = match (&*node.text("mode", "constant"), value) {
            ("constant", 0.0) => "ZeroPad2d",
            ("reflect", _) => "ReflectPad2d",
            (mode, _) => {
                return node.refused(format!(
                    "its mode is {mode:?} with the value {value}; known are zeros and \"reflect\""
                ));
            }
        };
        let settings = settings::Pad2d {
            image,
            rows: (node.size("pads", top)?, node.size("pads", bottom)?),
            columns: (node.size("pads", left)?, node.size("pads", right)?),
        };
        chain.push_image(node, Part::new(layer, settings))
    }

    pub(super) fn resize(&self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        if self.opset < 11 {
            return node.refused("it is known from opset 11 on");
        }
        let image = chain.image(node)?;
        let size = self.size(node, image)?;
        let transformation = node.text("coordinate_transformation_mode", "half_pixel");
        let nearest = node.text("nearest_mode", "round_prefer_floor");
        let mode = node.text("mode", "nearest");
        let interpolation = match (&*mode, &*transformation, &*nearest) {
            ("nearest", "asymmetric", "floor") => Interpolation::Nearest,
            ("linear", "half_pixel", _) => Interpolation::Bilinear,
            // Differs for a size of 1 only.
            ("linear", "pytorch_half_pixel", _) if size.0 > 1 && size.1 > 1 => {
                Interpolation::Bilinear
            }
            _ => {
                return node.refused(format!(
                    "its mode is {mode:?} ({transformation}, {nearest}); known are nearest (asymmetric, floor) and \
                     linear (half_pixel)"
                ));
            }
        };
        if node.int("antialias", 0) != 0 {
            return node.refused("antialias is not supported");
        }
        let factor = size.0 / image.0.max(1);
        let is_whole = size
            == (
                image.0.saturating_mul(factor),
                image.1.saturating_mul(factor),
            );
        let part = match interpolation {
            Interpolation::Nearest if is_whole => {
                Part::new("Upsample2d", settings::Upsample2d { image, factor })
            }
            _ => Part::new(
                "Resize2d",
                settings::Resize2d {
                    image,
                    size,
                    interpolation,
                },
            ),
        };
        chain.push_image(node, part)
    }

    /// The height and the width of the output of a Resize.
    fn size(&self, node: &Node, (height, width, channels): Image) -> Result<Pair, Error> {
        let axes = node.ints("axes");
        if !matches!(axes, None | Some([2, 3])) {
            return node.refused("its axes must be 2, 3: those of the pixels");
        }
        if node.input(3).is_some() {
            let sizes = self.integers(node, 3)?;
            let (rows, columns) =
                match (sizes, axes) {
                    (&[rows, columns], Some(_)) => (rows, columns),
                    (&[_, c, rows, columns], None) if usize::try_from(c) == Ok(channels) => {
                        (rows, columns)
                    }
                    _ => return node.refused(format!(
                        "its sizes are {sizes:?}, which change other axes than those of the pixels"
                    )),
                };
            return Ok((node.size("sizes", rows)?, node.size("sizes", columns)?));
        }
        let Values::Floats(scales) = &self.required(node, 2)?.values else {
            return node.refused("its scales are not numbers");
        };
        let (down, right) =
            match (&**scales, axes) {
                (&[down, right], Some(_)) => (down, right),
                (&[1.0, 1.0, down, right], None) => (down, right),
                _ => return node.refused(format!(
                    "its scales are {scales:?}, which change other axes than those of the pixels"
                )),
            };
        let scaled = |size: usize, scale: f32| (size as f64 * f64::from(scale)).floor() as usize;
        let size = (scaled(height, down), scaled(width, right));
        // The layer computes the scale from the sizes.
        let differs = |size: usize, from: usize, scale: f32| {
            (size as f64 - from as f64 * f64::from(scale)).abs() > 1e-4 * size as f64
        };
        if differs(size.0, height, down) || differs(size.1, width, right) {
            return node.refused(format!(
                "its scales {scales:?} do not give whole numbers of rows and columns"
            ));
        }
        Ok(size)
    }
}
