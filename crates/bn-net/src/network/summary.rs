use super::{branch::Branch, chain::Network, concat::Concat, residual::Residual};
use bn_layers::{Affine, Conv2d, ConvTranspose2d, Layer, LayerExt, Shape};
use bn_tensor::Scalar;
use std::{any::Any, collections::HashSet, fmt};

/// A table of a network's layers: [`Network::summary`].
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The shape of an input row.
    pub input: Shape,
    /// The layers in order; those inside a layer follow it.
    pub layers: Vec<LayerSummary>,
}

/// A row of a [`Summary`].
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSummary {
    /// The name of the layer in its network, such as `3` or `3.body.0`.
    pub place: String,
    /// Its name in the builder.
    pub name: String,
    /// The shape of an output row.
    pub output: Shape,
    /// The number of values of its parameters. A layer that contains others has their sum.
    pub params: usize,
    /// How many of them are trained.
    pub trained: usize,
    /// Multiplications and additions of matrix products for one row, counted as pairs.
    pub multiply_adds: u64,
}

impl<T: Scalar> Network<T> {
    /// The layers with their output shapes, parameters and multiply-adds, to print or to read.
    ///
    /// ```
    /// use bn_net::Network;
    /// let network = Network::builder(784).affine(100).batch_norm().relu().affine(10).build(1)?;
    /// let summary = network.summary();
    /// assert_eq!(summary.layers[0].params, 784 * 100 + 100);
    /// assert_eq!(summary.multiply_adds(), 784 * 100 + 100 * 10);
    /// println!("{summary}");
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    pub fn summary(&self) -> Summary {
        let (mut layers, mut frozen) = (Vec::new(), HashSet::new());
        self.visit(&mut |p| {
            if !p.is_trained {
                frozen.insert(p.name.to_owned());
            }
        });
        self.summarize(["", ""], &frozen, &mut layers);
        Summary {
            input: self.input,
            layers,
        }
    }

    /// Adds the layers of this network, and returns their multiply-adds. Their places begin with `place`, and
    /// the names of their parameters with `name`.
    fn summarize(
        &self,
        [place, prefix]: [&str; 2],
        frozen: &HashSet<String>,
        to: &mut Vec<LayerSummary>,
    ) -> u64 {
        let (mut layers, mut sum) = (self.layers.iter().peekable(), 0);
        for (index, (name, &output)) in self.names.iter().zip(&self.shapes).enumerate() {
            let row = to.len();
            to.push(LayerSummary {
                place: format!("{place}{index}"),
                name: name.clone(),
                output,
                params: 0,
                trained: 0,
                multiply_adds: 0,
            });
            let Some(l) = layers.next_if(|l| l.index == index) else {
                continue; // the layer before it computes it
            };
            l.layer.visit(&mut |p| {
                // A buffer has no gradient.
                if p.is_trained || !p.grad.is_empty() {
                    to[row].params += p.value.len();
                }
                let name = format!("{prefix}layers.{index}.{}", p.name);
                if p.is_trained && !frozen.contains(&name) {
                    to[row].trained += p.value.len();
                }
            });
            let input = index.checked_sub(1).map_or(self.input, |i| self.shapes[i]);
            let mut multiply_adds = multiply_adds(&*l.layer, input, output);
            for (name, network) in networks_in(&*l.layer) {
                let place = format!("{place}{index}.{name}");
                let prefix = format!("{prefix}layers.{index}.{name}");
                multiply_adds += network.summarize([&place, &prefix], frozen, to);
            }
            to[row].multiply_adds = multiply_adds;
            sum += multiply_adds;
        }
        sum
    }
}

/// The networks that a layer consists of, and what the places of their layers begin with.
fn networks_in<T: Scalar>(layer: &dyn Layer<T>) -> Vec<(String, &Network<T>)> {
    let named = |branch: &'_ Branch<T>| format!("{}.", branch.name());
    let any = layer as &dyn Any;
    if let Some(network) = any.downcast_ref::<Network<T>>() {
        vec![(String::new(), network)]
    } else if let Some(residual) = any.downcast_ref::<Residual<T>>() {
        residual
            .branches()
            .map(|b| (named(b), &b.network))
            .collect()
    } else if let Some(concat) = any.downcast_ref::<Concat<T>>() {
        concat.branches().map(|b| (named(b), &b.network)).collect()
    } else {
        Vec::new()
    }
}

/// The multiply-adds of a layer's own matrix products for one row.
fn multiply_adds<T: Scalar>(layer: &dyn Layer<T>, input: Shape, output: Shape) -> u64 {
    let pixels = |shape: Shape| shape.size() / shape.channels().max(1);
    let any = layer as &dyn Any;
    let places = if any.is::<Affine<T>>() {
        1
    } else if any.is::<Conv2d<T>>() {
        pixels(output)
    } else if any.is::<ConvTranspose2d<T>>() {
        pixels(input)
    } else {
        return 0;
    };
    let mut weights = 0;
    layer.visit(&mut |p| {
        if p.is_decayed {
            weights += p.value.len();
        }
    });
    weights as u64 * places as u64
}

impl Summary {
    /// The layers that are not inside another one.
    fn outer(&self) -> impl Iterator<Item = &LayerSummary> {
        self.layers.iter().filter(|row| !row.place.contains('.'))
    }

    /// The number of values of all parameters.
    pub fn params(&self) -> usize {
        self.outer().map(|row| row.params).sum()
    }

    /// How many of them are trained.
    pub fn trained(&self) -> usize {
        self.outer().map(|row| row.trained).sum()
    }

    /// Multiply-adds of all matrix products for one row.
    pub fn multiply_adds(&self) -> u64 {
        self.outer().map(|row| row.multiply_adds).sum()
    }
}

/// A table, one layer in each line.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header =
            ["layer", "output", "parameters", "trained", "multiply-adds"].map(str::to_owned);
        let numbers = |params: usize, trained: usize, multiply_adds: u64| {
            [params as u64, trained as u64, multiply_adds].map(with_commas)
        };
        let line = |name: String, output: String, [a, b, c]: [String; 3]| [name, output, a, b, c];
        let mut lines = vec![
            header,
            line(
                "input".to_owned(),
                self.input.to_string(),
                Default::default(),
            ),
        ];
        for row in &self.layers {
            let depth = row.place.matches('.').count();
            let name = format!("{}{} {}", "  ".repeat(depth), row.place, row.name);
            let numbers = numbers(row.params, row.trained, row.multiply_adds);
            lines.push(line(name, row.output.to_string(), numbers));
        }
        let total = numbers(self.params(), self.trained(), self.multiply_adds());
        lines.push(line("total".to_owned(), String::new(), total));
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
        let widths: Vec<usize> = (0..5).map(|column| width(column).unwrap_or(0)).collect();
        for [name, output, params, trained, multiply_adds] in &lines {
            let line = format!(
                "{name:<0$}  {output:<1$}  {params:>2$}  {trained:>3$}  {multiply_adds:>4$}",
                widths[0], widths[1], widths[2], widths[3], widths[4]
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// As in `1,234,567`.
fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The [summary](Network::summary).
impl<T: Scalar> fmt::Display for Network<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.summary().fmt(f)
    }
}
