use super::{matrix, network::Case};
use batchnorm::tensor::{matmul, matmul_nt, matmul_tn};
use ndarray::Array2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `a·b`, the forward pass.
    Nn,
    /// `aᵀ·b`, dW.
    Tn,
    /// `a·bᵀ`, dx.
    Nt,
}

/// A product of `(M, N)` elements, each a sum over `K`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Product {
    pub(crate) form: Form,
    pub(crate) m: usize,
    pub(crate) k: usize,
    pub(crate) n: usize,
}

impl Product {
    /// The form, M, K and N, for example `nn 100×784×100`.
    pub(crate) fn title(&self) -> String {
        let form = match self.form {
            Form::Nn => "nn",
            Form::Tn => "tn",
            Form::Nt => "nt",
        };
        format!("{form} {}×{}×{}", self.m, self.k, self.n)
    }

    /// The inputs and outputs of the layer that it belongs to, for example `784→100`.
    pub(crate) fn layer(&self) -> String {
        let (inputs, outputs) = match self.form {
            Form::Nn => (self.k, self.n),
            Form::Tn => (self.m, self.n),
            Form::Nt => (self.n, self.k),
        };
        format!("{inputs}→{outputs}")
    }

    /// One multiplication and one addition per term.
    pub(crate) fn flops(&self) -> usize {
        2 * self.m * self.k * self.n
    }

    /// Both operands are read once, and the result is written once.
    pub(crate) fn bytes(&self) -> usize {
        let elements = self.m * self.k + self.k * self.n + self.m * self.n;
        size_of::<f32>() * elements
    }
}

impl Case {
    /// The different products of a training step: those of the first, a hidden and the last layer.
    pub(crate) fn products(&self) -> Vec<Product> {
        let (batch, widths) = (self.batch, self.widths());
        let mut products = Vec::new();
        for (i, pair) in widths.windows(2).enumerate() {
            let (d, e) = (pair[0], pair[1]);
            let forms = [
                (Form::Nn, batch, d, e),
                (Form::Tn, d, batch, e),
                (Form::Nt, batch, e, d),
            ];
            // The gradient of the images is not computed.
            let wanted = if i == 0 { 2 } else { 3 };
            for (form, m, k, n) in forms.into_iter().take(wanted) {
                let product = Product { form, m, k, n };
                if !products.contains(&product) {
                    products.push(product);
                }
            }
        }
        products
    }
}

/// The three matrices of a product.
pub(crate) struct Operands {
    form: Form,
    a: Array2<f32>,
    b: Array2<f32>,
    c: Array2<f32>, // (M, N)
}

impl Operands {
    pub(crate) fn new(product: &Product) -> Self {
        let Product { form, m, k, n } = *product;
        let (a, b) = match form {
            Form::Nn => ((m, k), (k, n)),
            Form::Tn => ((k, m), (k, n)),
            Form::Nt => ((m, k), (n, k)),
        };
        Self {
            form,
            a: matrix(a.0, a.1),
            b: matrix(b.0, b.1),
            c: Array2::zeros((m, n)),
        }
    }

    pub(crate) fn multiply(&mut self) {
        let (a, b, c) = (self.a.view(), self.b.view(), self.c.view_mut());
        match self.form {
            Form::Nn => matmul(a, b, 0.0, c),
            Form::Tn => matmul_tn(a, b, 0.0, c),
            Form::Nt => matmul_nt(a, b, 0.0, c),
        }
        .expect("the shapes fit");
    }
}

/// The products of a training step and nothing else, on arrays of the step's own sizes.
pub(crate) struct StepProducts {
    outputs: Vec<Array2<f32>>,   // (N, width), the images first
    gradients: Vec<Array2<f32>>, // (N, width), of each output
    w: Vec<Array2<f32>>,         // (D, E)
    dw: Vec<Array2<f32>>,        // (D, E)
}

impl StepProducts {
    pub(crate) fn new(case: &Case) -> Self {
        let widths = case.widths();
        let of_width = |&width: &usize| matrix(case.batch, width);
        let weights = || widths.windows(2).map(|pair| matrix(pair[0], pair[1]));
        Self {
            outputs: widths.iter().map(of_width).collect(),
            gradients: widths.iter().map(of_width).collect(),
            w: weights().map(|w| w / 10.0).collect(),
            dw: weights().collect(),
        }
    }

    /// Computes all products in the order of the step.
    pub(crate) fn multiply(&mut self) {
        for (i, w) in self.w.iter().enumerate() {
            let (before, after) = self.outputs.split_at_mut(i + 1);
            let (x, y) = (before[i].view(), after[0].view_mut());
            matmul(x, w.view(), 0.0, y).expect("the shapes fit");
        }
        for i in (0..self.w.len()).rev() {
            let (before, after) = self.gradients.split_at_mut(i + 1);
            let (x, dout) = (self.outputs[i].view(), after[0].view());
            matmul_tn(x, dout, 0.0, self.dw[i].view_mut()).expect("the shapes fit");
            if i > 0 {
                let dx = before[i].view_mut();
                matmul_nt(dout, self.w[i].view(), 0.0, dx).expect("the shapes fit");
            }
        }
    }

    pub(crate) fn flops(&self) -> usize {
        let rows = self.outputs[0].nrows();
        let terms = |w: &Array2<f32>| 2 * rows * w.len();
        // Forward, dW and dx of each layer, except dx of the first.
        3 * self.w.iter().map(terms).sum::<usize>() - terms(&self.w[0])
    }
}
