use crate::{
    error::Error,
    layer::{Io, Layer, LayerExt, Outcome, Wanted},
    pass::{Mode, Pass},
    shape::Shape,
};
use bn_tensor::{check_setting, to_row_major, try_zeros};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};

/// Checks every gradient of a layer, or of a whole network, against central differences
/// `(L(v + h) − L(v − h))/2h` in double precision (the book's `numerical_gradient`,
/// `common/gradient.py`).
///
/// The layer runs in [`Mode::BatchStats`], so running statistics do not change, and its counters are
/// reset before each pass, so that every evaluation has the same dropout mask. After the check the
/// parameters and counters have the same bits as before; the layer's stored gradients are those at `x`.
/// A layer that needs to know the shape of an image is checked inside a network that knows it.
///
/// - **A batch of one** is refused by a BatchNormalization: `xn` would be 0 and the check would
///   compare 0 with 0. Use at least 4 rows.
/// - **A kink** (a ReLU at 0) between `v − h` and `v + h` makes the difference quotient wrong, not
///   the gradient. An entry that disagrees is tried again with `h/10` and `h/100`. If the two one-sided
///   slopes still differ and enclose the gradient, it is counted in [`ParamReport::kinks`] and not
///   compared.
/// - **A gradient that is not finite** is never right: its relative difference is NaN.
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
    /// At most this many entries of each array are checked, evenly spread.
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
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Entry {
    /// Its position in the array, row-major.
    pub index: usize,
    /// The gradient that the backward pass computes.
    pub analytic: f64,
    /// The central difference.
    pub numeric: f64,
}

impl Entry {
    /// `|analytic − numeric|`.
    pub fn difference(&self) -> f64 {
        (self.analytic - self.numeric).abs()
    }
}

/// The differences in one array.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct ParamReport {
    /// The parameter's name, or `x` for the input.
    pub name: String,
    /// The number of entries compared.
    pub checked: usize,
    /// The number of entries that were not compared because of a kink within the step.
    pub kinks: usize,
    /// The entry with the largest difference.
    pub worst: Entry,
    /// The mean of `|analytic − numeric|`.
    pub mean_difference: f64,
    /// The largest `|analytic − numeric|`, relative to the larger of the two, but at least to a
    /// thousandth of the largest finite gradient in the whole check: if a gradient is zero (that of a bias
    /// before BatchNormalization), there is only rounding to compare. It is NaN if a gradient is not finite,
    /// or if there are entries and none was compared.
    pub relative: f64,
}

/// The result of a [`GradientCheck`]: the parameters in order, then the input `x`.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// One entry for each array.
    pub params: Vec<ParamReport>,
}

/// The worst array of a report without arrays.
static NOTHING: ParamReport = ParamReport::new(String::new(), f64::NAN);

impl ParamReport {
    const fn new(name: String, relative: f64) -> Self {
        Self {
            name,
            checked: 0,
            kinks: 0,
            worst: Entry {
                index: 0,
                analytic: 0.0,
                numeric: 0.0,
            },
            mean_difference: 0.0,
            relative,
        }
    }
}

impl Report {
    /// The array with the largest relative difference; one with a NaN comes first. Without arrays the
    /// relative difference is NaN.
    pub fn worst(&self) -> &ParamReport {
        let mut arrays = self.params.iter();
        let first = arrays.next().unwrap_or(&NOTHING);
        arrays.fold(first, |worst, array| {
            match is_larger(array.relative, worst.relative) {
                true => array,
                false => worst,
            }
        })
    }
}

/// Whether `a` is the larger difference; a NaN is larger than all others.
fn is_larger(a: f64, b: f64) -> bool {
    a > b || (a.is_nan() && !b.is_nan())
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
    /// As [`check_objective`](Self::check_objective).
    pub fn check(
        &self,
        layer: &mut dyn Layer<f64>,
        x: ArrayView2<'_, f64>,
    ) -> Result<Report, Error> {
        // An irrational rotation: the coefficients are spread out and have no symmetry.
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
    /// Those of the layer's forward and backward passes and of the objective; [`Error::EmptyBatch`];
    /// [`bn_tensor::Error::InvalidSetting`] for a step that is not above 0; [`Error::Tensor`] for a trained
    /// parameter whose gradient has another length.
    pub fn check_objective(
        &self,
        layer: &mut dyn Layer<f64>,
        x: ArrayView2<'_, f64>,
        objective: &mut Objective<'_>,
    ) -> Result<Report, Error> {
        let step = self.step;
        let passes = step.is_finite() && step > 0.0;
        check_setting("the step", "a finite number above 0", step, passes)?;
        let width = layer.output_shape(Shape::Flat(x.ncols()))?.checked_size()?;
        if x.nrows() == 0 {
            return Err(Error::EmptyBatch { layer: OP });
        }
        let mut counters = Vec::new();
        layer.visit_counters(&mut |_, value| counters.push(value));
        let mut probe = Probe {
            dout: try_zeros(OP, (x.nrows(), width))?,
            y: try_zeros(OP, (x.nrows(), width))?,
            x: to_row_major(OP, &x)?.into_owned(),
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
        let all = analytic.iter().flat_map(|(_, grad)| grad);
        let finite = all.filter(|grad| grad.is_finite());
        let floor = 1e-3 * finite.fold(0.0f64, |largest, grad| largest.max(grad.abs()));
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
        let mut report = ParamReport::new(name, 0.0);
        let stride = grad.len().div_ceil(self.entries.max(1)).max(1);
        for (index, &analytic) in grad.iter().enumerate().step_by(stride) {
            let Some(numeric) = self.entry(probe, k, index, analytic, floor)? else {
                report.kinks += 1;
                continue;
            };
            report.checked += 1;
            let difference = (analytic - numeric).abs();
            report.mean_difference += difference;
            let relative = relative(analytic, numeric, floor);
            if is_larger(relative, report.relative) {
                report.relative = relative;
            }
            if report.checked == 1 || is_larger(difference, report.worst.difference()) {
                report.worst = Entry {
                    index,
                    analytic,
                    numeric,
                };
            }
        }
        if report.checked == 0 && report.kinks > 0 {
            report.relative = f64::NAN;
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

/// `|analytic − numeric|` relative to the larger of the two and to `floor`; NaN if either is not finite.
fn relative(analytic: f64, numeric: f64, floor: f64) -> f64 {
    let difference = (analytic - numeric).abs();
    if !analytic.is_finite() || !numeric.is_finite() {
        return f64::NAN;
    }
    if difference == 0.0 {
        return 0.0;
    }
    difference / analytic.abs().max(numeric.abs()).max(floor)
}

/// The name of the check in errors.
const OP: &str = "GradientCheck";

/// A layer at a point. One entry is moved at a time.
struct Probe<'a, 'o> {
    layer: &'a mut dyn Layer<f64>,
    objective: &'a mut Objective<'o>,
    x: Array2<f64>,
    y: Array2<f64>,
    dout: Array2<f64>,
    counters: Vec<u64>,
}

impl Probe<'_, '_> {
    /// Resets the counters, so that the next pass draws the same masks as the first one.
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
        let mut dx = try_zeros(OP, self.x.dim())?;
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
        let (mut all, mut result) = (Vec::new(), Ok(()));
        self.layer.visit(&mut |p| {
            if !p.is_trained {
                return;
            }
            if p.grad.len() != p.value.len() && result.is_ok() {
                let op = "GradientCheck: the gradient of a trained parameter";
                result = Err(Error::shape(op, &[p.value.len()], &[p.grad.len()]));
            }
            all.push((p.name.to_owned(), p.grad.to_vec()));
        });
        result?;
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
        old
    }
}
