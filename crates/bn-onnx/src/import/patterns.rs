//! Activations that are several nodes.

use super::{chain::Chain, node::Node, part::Part, walk::Walk};
use crate::error::Error;
use std::f32::consts::SQRT_2;

impl Walk<'_> {
    /// Adds the activation whose nodes begin with the `users` of a value, if they are those of one. Returns the name of
    /// its output.
    pub(super) fn activation(
        &self,
        x: &str,
        users: &[usize],
        chain: &mut Chain,
    ) -> Result<Option<String>, Error> {
        let [a, b] = *users else {
            return Ok(None);
        };
        let of = |operator| {
            [a, b]
                .map(|i| &self.nodes[i])
                .into_iter()
                .find(|node| node.operator() == operator)
        };
        let (last, part) =
            if let Some(last) = of("Sigmoid").and_then(|sigmoid| self.product(sigmoid, x)) {
                (last, Part::new("Silu", ()))
            } else if let Some(last) = of("Div").and_then(|quotient| self.gelu(quotient, x)) {
                (last, Part::new("Gelu", false))
            } else {
                return Ok(None);
            };
        chain.settle(last)?;
        chain.push(last, part)?;
        Ok(Some(last.output().to_owned()))
    }

    /// The node that multiplies x by the output of another, which has no other use.
    fn product(&self, factor: &Node, x: &str) -> Option<&Node> {
        let product = self.only_user(factor)?;
        let mut inputs = self.graph.values(product);
        inputs.sort_unstable();
        let mut expected = [factor.output(), x];
        expected.sort_unstable();
        (product.operator() == "Mul" && inputs == expected).then_some(product)
    }

    /// The last node of `0.5·(x·(1 + erf(x/√2)))`, as PyTorch writes it.
    fn gelu(&self, quotient: &Node, x: &str) -> Option<&Node> {
        let is = |node: &Node, operator: &str, constant: f32| {
            let constants = [0, 1].map(|i| self.graph.scalar(node, i));
            let close = |c: f32| (c - constant).abs() < 1e-4;
            node.operator() == operator && constants.into_iter().flatten().any(close)
        };
        let erf = self.only_user(quotient)?;
        let sum = self.only_user(erf)?;
        let product = self.product(sum, x)?;
        let half = self.only_user(product)?;
        let fits = is(quotient, "Div", SQRT_2)
            && quotient.input(0) == Some(x)
            && erf.operator() == "Erf"
            && is(sum, "Add", 1.0)
            && is(half, "Mul", 0.5);
        fits.then_some(half)
    }

    /// The node that uses the output of another, if there is one only.
    fn only_user(&self, node: &Node) -> Option<&Node> {
        match self.graph.users(node.output()) {
            [user] => self.nodes.get(*user),
            _ => None,
        }
    }
}
