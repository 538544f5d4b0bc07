use crate::{
    error::Error,
    layer::{Io, Layer, LayerExt, Outcome, Wanted},
    pass::{Mode, Pass},
    shape::Shape,
};
use bn_tensor::Scalar;
use ndarray::{Array2, ArrayView2, ArrayViewMut2};

/// Checks every gradient of a layer, or of a whole network, against central differences
/// `(L(v + h) − L(v − h))/2h` in double precision (the book's `numerical_gradient`,
/// `common/gradient.py`, as a tool of its own).
///
/// The layer runs in [`Mode::BatchStats`], so running statistics stay as they are, and its counters
/// are reset before each pass, so that every evaluation sees the same dropout mask. Parameters,
/// counters and `x` come out with the bits that they went in with; the layer's stored gradients are
/// those of `x`. A layer that needs to know the shape of an image is checked inside a network that
/// does.
///
/// - **A batch of one** is refused by a BatchNormalization: `xn` would be 0 and the check would
///   compare 0 with 0. Take at least 4 rows.
/// - **A kink** (a ReLU at 0) between `v − h` and `v + h` makes the difference quotient wrong, not
///   the gradient. An entry that disagrees is tried again with `h/10` and `h/100`; where the two
///   one-sided slopes still differ and enclose the gradient, it is counted in
///   [`ParamReport::kinks`] and left out.
///
/// ```
/// use bn_layers::{Affine, GradientCheck};
/// use ndarray::array;
/// let mut affine = Affine::new(array![[0.5, -1.0], [2.0, 0.1]], array![0.0, 1.0])?;
/// let x = array![[1.0, 2.0], [-0.5, 0.3], [0.2, 0.9]];
/// let report = GradientCheck::default().check(&mut affine, x.view())?;
/// assert!(report.worst().relative < 1e-6, "{report}");
/// # Ok::<(), bn_layers::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradientCheck {
    /// The step h.
    pub step: f64,
    /// The relative difference above which an entry is tried again with a smaller step.
    pub tolerance: f64,
    /// Check at most so many entries of each array, evenly spread.
    pub entries: usize,
}

impl Default for GradientCheck {
    /// A step of 1e-5, a tolerance of 1e-6, every entry.
    fn default() -> Self {
        Self {
            step: 1e-5,
            tolerance: 1e-6,
            entries: usize::MAX,
        }
    }
}

/// One entry of one array.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Entry {
    /// Its place in the array, row-major.
    pub index: usize,
    /// The gradient by backward.
    pub analytic: f64,
    /// The gradient by central differences.
    pub numeric: f64,
}

impl Entry {
    /// `|analytic − numeric|`.
    pub fn difference(&self) -> f64 {
        (self.analytic - self.numeric).abs()
    }
}

/// How one array fared.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamReport {
    /// The parameter's name, or `x` for the input.
    pub name: String,
    /// The number of entries compared.
    pub checked: usize,
    /// The number of entries left out because a kink lies within the step.
    pub kinks: usize,
    /// The entry with the largest difference.
    pub worst: Entry,
    /// The mean of `|analytic − numeric|`.
    pub mean_difference: f64,
    /// The largest `|analytic − numeric|`, relative to the larger of the two, but to no less than
    /// a thousandth of the largest gradient in the whole check: where a gradient is zero (a bias
    /// before BatchNormalization), rounding is all there is to compare.
    pub relative: f64,
}

/// The outcome of a [`GradientCheck`]: the parameters in order, then the input `x`.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// One entry for each array.
    pub params: Vec<ParamReport>,
}

impl Report {
    /// The array with the largest relative difference.
    pub fn worst(&self) -> &ParamReport {
        let by_error = |a: &&ParamReport, b: &&ParamReport| a.relative.total_cmp(&b.relative);
        // There is always `x`.
        self.params
            .iter()
            .max_by(by_error)
            .unwrap_or(&self.params[0])
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{:24} {:>8} {:>6} {:>12} {:>12} {:>12}",
            "parameter", "checked", "kinks", "worst", "mean", "relative"
        )?;
        for p in &self.params {
            writeln!(
                f,
                "{:24} {:>8} {:>6} {:>12.3e} {:>12.3e} {:>12.3e}",
                p.name,
                p.checked,
                p.kinks,
                p.worst.difference(),
                p.mean_difference,
                p.relative
            )?;
        }
        Ok(())
    }
}

/// A scalar function L of a layer's output: returns `L(y)` and writes `dL/dy` to `dout`.
pub type Objective<'a> =
    dyn FnMut(ArrayView2<'_, f64>, ArrayViewMut2<'_, f64>) -> Result<f64, Error> + 'a;

impl GradientCheck {
    /// Checks `layer` at `x: (N, D)` for `L = Σ c·y`, with fixed `c` between −1 and 1.
    ///
    /// # Errors
    /// What the layer's forward and backward refuse.
    pub fn check(
        &self,
        layer: &mut dyn Layer<f64>,
        x: ArrayView2<'_, f64>,
    ) -> Result<Report, Error> {
        // An irrational rotation: spread out, and nothing the layer could be symmetric in.
        let coefficient = |i: usize| 2.0 * ((i as f64 + 1.0) * 0.618_033_988_749_895).fract() - 1.0;
        self.check_objective(layer, x, &mut |y, mut dout| {
            for (i, d) in dout.iter_mut().enumerate() {
                *d = coefficient(i);
            }
            Ok(y.iter().zip(&dout).map(|(y, d)| y * d).sum())
        })
    }

    /// Checks `layer` at `x: (N, D)` for the loss `objective`, to which the layer's
    /// [`penalty`](LayerExt::penalty) is added.
    ///
    /// # Errors
    /// What the layer's forward and backward, or the objective, refuse.
    pub fn check_objective(
        &self,
        layer: &mut dyn Layer<f64>,
        x: ArrayView2<'_, f64>,
        objective: &mut Objective<'_>,
    ) -> Result<Report, Error> {
        let width = layer.output_shape(Shape::Flat(x.ncols()))?.size();
        if x.nrows() == 0 {
            let layer = "GradientCheck";
            return Err(Error::EmptyBatch { layer });
        }
        let y = Array2::zeros((x.nrows(), width));
        let mut counters = Vec::new();
        layer.visit_counters(&mut |_, value| counters.push(value));
        let mut probe = Probe {
            dout: y.clone(),
            y,
            x: x.as_standard_layout().into_owned(),
            layer,
            objective,
            counters,
        };
        let report = self.report(&mut probe);
        probe.layer.settle(Outcome::TakenBack);
        probe.reset_counters();
        report
    }

    fn report(&self, probe: &mut Probe<'_, '_>) -> Result<Report, Error> {
        let analytic = probe.gradients()?;
        let largest = analytic.iter().flat_map(|(_, grad)| grad);
        let floor = 1e-3 * largest.fold(0.0f64, |m, g| m.max(g.abs()));
        let arrays = analytic.into_iter().enumerate();
        let params = arrays.map(|(k, (name, grad))| self.array(probe, k, name, &grad, floor));
        Ok(Report {
            params: params.collect::<Result<_, _>>()?,
        })
    }

    fn array(
        &self,
        probe: &mut Probe<'_, '_>,
        k: usize,
        name: String,
        grad: &[f64],
        floor: f64,
    ) -> Result<ParamReport, Error> {
        let mut report = ParamReport {
            name,
            checked: 0,
            kinks: 0,
            worst: Entry::default(),
            mean_difference: 0.0,
            relative: 0.0,
        };
        let stride = grad.len().div_ceil(self.entries.max(1)).max(1);
        for (index, &analytic) in grad.iter().enumerate().step_by(stride) {
            let Some(numeric) = self.entry(probe, k, index, analytic, floor)? else {
                report.kinks += 1;
                continue;
            };
            report.checked += 1;
            let difference = (analytic - numeric).abs();
            report.mean_difference += difference;
            // `max` would pass over a NaN.
            let larger = |a: f64, b: f64| a.is_nan() || a > b;
            let relative = relative(analytic, numeric, floor);
            if report.checked == 1 || larger(relative, report.relative) {
                report.relative = relative;
            }
            if report.checked == 1 || larger(difference, report.worst.difference()) {
                report.worst = Entry {
                    index,
                    analytic,
                    numeric,
                };
            }
        }
        report.mean_difference /= report.checked.max(1) as f64;
        Ok(report)
    }

    /// The central difference, or `None` at a kink.
    fn entry(
        &self,
        probe: &mut Probe<'_, '_>,
        k: usize,
        index: usize,
        analytic: f64,
        floor: f64,
    ) -> Result<Option<f64>, Error> {
        let mut numeric = f64::NAN;
        for h in [self.step, self.step / 10.0, self.step / 100.0] {
            let [below, at, above] = probe.losses(k, index, h)?;
            let central = (above - below) / (2.0 * h);
            if relative(analytic, central, floor) <= self.tolerance {
                return Ok(Some(central));
            }
            if numeric.is_nan() {
                numeric = central; // the full step has the least rounding
            }
            let (left, right) = ((at - below) / h, (above - at) / h);
            let slack = 1e3 * self.tolerance * left.abs().max(right.abs());
            let encloses =
                analytic >= left.min(right) - slack && analytic <= left.max(right) + slack;
            if h < self.step / 50.0 && encloses && (left - right).abs() > 10.0 * slack {
                return Ok(None);
            }
        }
        Ok(Some(numeric))
    }
}

fn relative(analytic: f64, numeric: f64, floor: f64) -> f64 {
    let difference = (analytic - numeric).abs();
    if difference == 0.0 {
        return 0.0;
    }
    // `max` passes over a NaN; the difference keeps it.
    difference / analytic.abs().max(numeric.abs()).max(floor)
}

/// A layer at a point, with one entry moved at a time.
struct Probe<'a, 'o> {
    layer: &'a mut dyn Layer<f64>,
    objective: &'a mut Objective<'o>,
    x: Array2<f64>,
    y: Array2<f64>,
    dout: Array2<f64>,
    counters: Vec<u64>,
}

impl Probe<'_, '_> {
    /// So that the next pass draws as the first one did.
    fn reset_counters(&mut self) {
        let mut counters = self.counters.iter();
        self.layer.visit_counters_mut(&mut |_, value| {
            *value = counters.next().copied().unwrap_or(*value);
        });
    }

    fn loss(&mut self) -> Result<f64, Error> {
        self.reset_counters();
        let (x, y) = (self.x.view(), self.y.view_mut());
        self.layer
            .forward_into(x, y, &Pass::new(Mode::BatchStats))?;
        let loss = (self.objective)(self.y.view(), self.dout.view_mut())?;
        Ok(loss + self.layer.penalty())
    }

    /// The name and gradient of every trained array, then of `x`.
    fn gradients(&mut self) -> Result<Vec<(String, Vec<f64>)>, Error> {
        self.loss()?;
        let mut dx = Array2::zeros(self.x.dim());
        let io = Io {
            x: self.x.view(),
            y: self.y.view(),
            dout: self.dout.view(),
        };
        let wanted = Wanted {
            dx: Some(dx.view_mut()),
            params: true,
        };
        self.layer
            .backward_into(io, wanted, &Pass::new(Mode::BatchStats))?;
        let mut all = Vec::new();
        self.layer.visit(&mut |p| {
            if p.is_trained {
                all.push((p.name.to_owned(), p.grad.to_vec()));
            }
        });
        all.push(("x".to_owned(), dx.into_raw_vec_and_offset().0));
        Ok(all)
    }

    /// `[L(v − h), L(v), L(v + h)]` for entry `index` of array `k`.
    fn losses(&mut self, k: usize, index: usize, h: f64) -> Result<[f64; 3], Error> {
        let old = self.entry(k, index, None);
        let mut losses = [0.0; 3];
        for (loss, value) in losses.iter_mut().zip([old - h, old, old + h]) {
            self.entry(k, index, Some(value));
            let result = self.loss();
            self.entry(k, index, Some(old));
            *loss = result?;
        }
        Ok(losses)
    }

    /// Reads an entry, and sets it if a value is given.
    fn entry(&mut self, k: usize, index: usize, value: Option<f64>) -> f64 {
        let mut old = f64::NAN;
        let mut seen = 0;
        self.layer.visit_mut(&mut |p| {
            if p.is_trained {
                if seen == k {
                    old = p.value[index];
                    p.value[index] = value.unwrap_or(old);
                }
                seen += 1;
            }
        });
        if seen == k {
            let columns = self.x.ncols();
            let slot = &mut self.x[[index / columns, index % columns]];
            old = *slot;
            *slot = value.unwrap_or(old);
        }
        old.as_f64()
    }
}
