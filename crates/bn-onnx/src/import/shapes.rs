//! The operators that change shapes and the order of axes.

use super::{
    chain::{Chain, Form},
    graph::Graph,
    node::Node,
    part::Part,
};
use crate::{error::Error, permute::is_same_order, settings::Image};
use bn_layers::Shape;

impl Chain {
    /// `(N, D)`, in the order of the model's values.
    pub(super) fn flatten(&mut self, node: &Node) -> Result<(), Error> {
        self.form = match self.form {
            Form::Image(image) if !is_same_order(image) => Form::Flattened(image),
            Form::Flattened(image) => Form::Flattened(image),
            _ => Form::Rows,
        };
        match self.shape {
            Shape::Flat(_) => Ok(()),
            Shape::Image { .. } => {
                let size = self.shape.size();
                self.push(node, Part::new("Reshape", Shape::Flat(size)))
            }
        }
    }

    /// `(N, A, B, C)`.
    fn reshape_to_image(&mut self, node: &Node, sizes: [usize; 3]) -> Result<(), Error> {
        let [channels, height, width] = sizes;
        let image = (height, width, channels);
        match self.form {
            Form::Image(from) if from == image => return Ok(()),
            Form::Flattened(from) if from == image => {
                self.form = Form::Image(image);
                return self.push(node, Part::new("Reshape", Shape::from(image)));
            }
            _ => {}
        }
        self.flatten(node)?;
        match self.form {
            Form::Rows => self.form = Form::Unsettled(sizes),
            _ => {
                return node.refused(
                    "it changes the sizes of an image (N, C, H, W) with several channels",
                );
            }
        }
        Ok(())
    }

    /// The axes after the first.
    fn sizes(&self) -> Vec<usize> {
        match self.form {
            Form::Rows | Form::Flattened(_) => vec![self.shape.size()],
            Form::Image((h, w, c)) => vec![c, h, w],
            Form::ChannelsLast((h, w, c)) => vec![h, w, c],
            Form::Unsettled(sizes) => sizes.to_vec(),
        }
    }

    pub(super) fn transpose(&mut self, node: &Node) -> Result<(), Error> {
        let to_last = match node.ints("perm") {
            Some([0, 2, 3, 1]) => true,
            Some([0, 3, 1, 2]) => false,
            _ => {
                return node.refused(
                    "it must move the channels: perm 0, 2, 3, 1 for channels last, or 0, 3, 1, 2 for channels first",
                );
            }
        };
        if let (Form::Unsettled(_), true) = (self.form, to_last) {
            self.settle(node)?;
        }
        self.form = match (self.form, to_last) {
            (Form::Image(image), true) => Form::ChannelsLast(image),
            (Form::ChannelsLast(image), false) => Form::Image(image),
            (Form::Unsettled([height, width, channels]), false) => {
                let image: Image = (height, width, channels);
                self.push(node, Part::new("Reshape", Shape::from(image)))?;
                Form::Image(image)
            }
            _ => {
                return node
                    .refused("its input does not have the channels where it moves them from");
            }
        };
        Ok(())
    }
}

impl Graph {
    pub(super) fn flatten(&self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        match node.int("axis", 1) {
            1 => chain.flatten(node),
            axis => node.refused(format!(
                "its axis is {axis}, but must be 1: a row for each sample"
            )),
        }
    }

    pub(super) fn reshape(&self, node: &Node, chain: &mut Chain) -> Result<(), Error> {
        let whole = chain.shape.size();
        let refused = |to: &[i64]| {
            node.refused(format!(
                "rows of {whole} values cannot become {to:?}; it must be (N, D) or (N, C, H, W), with N as 0 or -1"
            ))
        };
        let to = self.integers(node, 1)?;
        let (Some((&batch, sizes)), 2 | 4) = (to.split_first(), to.len()) else {
            return refused(to);
        };
        // A dimension of 0 is that of the input.
        let from = chain.sizes();
        let sizes = sizes.iter().enumerate().map(|(i, &size)| match size {
            0 => from
                .get(i)
                .and_then(|&size| i64::try_from(size).ok())
                .unwrap_or(0),
            size => size,
        });
        let mut sizes: Vec<i64> = sizes.collect();
        let known = sizes
            .iter()
            .filter(|&&size| size != -1)
            .try_fold(1, |product: usize, &size| {
                product.checked_mul(usize::try_from(size).ok()?)
            });
        let Some(known) = known.filter(|&known| known > 0) else {
            return refused(to);
        };
        let open = sizes.iter_mut().filter(|size| **size == -1);
        let mut count = usize::from(batch == -1);
        for size in open {
            *size = i64::try_from(whole / known).unwrap_or(0);
            count += 1;
        }
        let sizes: Vec<usize> = sizes
            .iter()
            .filter_map(|&size| usize::try_from(size).ok())
            .collect();
        let product = sizes
            .iter()
            .try_fold(1, |product: usize, &size| product.checked_mul(size));
        if product != Some(whole) || count > 1 || batch < -1 {
            return refused(to);
        }
        match *sizes {
            [channels, height, width] => chain.reshape_to_image(node, [channels, height, width]),
            _ => chain.flatten(node),
        }
    }
}
