use super::{class_rule::ClassRule, definition::Metric};
use crate::{
    error::Error,
    targets::{check_binary, is_above, misfit, target_value},
};
use bn_data::Targets;
use bn_tensor::{Scalar, try_resize};
use ndarray::ArrayView2;
use std::{fmt::Debug, marker::PhantomData};

/// How the scores of the classes become one number, as scikit-learn's `average`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Average {
    /// The score of class 1 of two.
    Binary,
    /// The mean of the scores of the classes. A class that is neither a target nor predicted does not count,
    /// unless each output is a label of its own.
    Macro,
    /// The score of the sums of the counts of all classes.
    Micro,
    /// The mean of the scores, weighted by the number of rows of each class.
    Weighted,
}

/// A score of classes: [`Precision`](super::Precision), [`Recall`](super::Recall) or [`F1`](super::F1).
///
/// The class of a row is its largest output, as for [`Accuracy`](super::Accuracy). With a
/// [threshold](Self::with_threshold), one output stands for the classes 0 and 1, and each of several outputs
/// is a label of its own. A row with a NaN among its outputs is predicted as no class.
#[derive(Debug, Clone)]
pub struct ClassScore<F> {
    average: Average,
    rule: ClassRule,
    counts: Vec<[u64; 3]>, // (C): true positives, rows predicted as the class, rows of the class
    width: usize,          // of the outputs
    rows: u64,
    function: PhantomData<F>,
}

/// The function of a [`ClassScore`].
pub trait ScoreFunction: Debug + Clone + Send {
    #[doc(hidden)]
    const NAME: &'static str;
    /// Numerator and denominator, of the true positives, the rows predicted as a class and the rows of it.
    #[doc(hidden)]
    fn ratio(counts: [u64; 3]) -> (u64, u64);
}

impl<F: ScoreFunction> ClassScore<F> {
    /// Creates the score of the classes that the largest outputs stand for.
    pub fn new(average: Average) -> Self {
        Self {
            average,
            rule: ClassRule::default(),
            counts: Vec::new(),
            width: 0,
            rows: 0,
            function: PhantomData,
        }
    }

    /// Creates the score of class 1 for one output, which is positive above `threshold`: 0 for logits, 0.5 for probabilities.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a NaN.
    pub fn binary(threshold: f64) -> Result<Self, Error> {
        Self::new(Average::Binary).with_threshold(threshold)
    }

    /// The same with each output compared with `threshold` by itself: one output of two classes, or several
    /// labels at once, whose targets are values from 0 to 1, positive above one half.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a NaN.
    pub fn with_threshold(mut self, threshold: f64) -> Result<Self, Error> {
        self.rule = self.rule.with_threshold(threshold)?;
        Ok(self)
    }

    /// The same without the rows of this label.
    #[must_use]
    pub fn with_ignored_label(mut self, label: usize) -> Self {
        self.rule.ignored_label = Some(label);
        self
    }

    /// The threshold, if each of several outputs is a label of its own.
    fn label_threshold(&self, width: usize) -> Option<f64> {
        self.rule.threshold.filter(|_| width > 1)
    }

    /// Makes room for the counts of outputs of this width.
    fn prepare(&mut self, width: usize) -> Result<(), Error> {
        if self.width == width {
            return Ok(());
        }
        if self.rows > 0 {
            let expected = format!("{} outputs, as in the rows before", self.width);
            return Err(misfit(F::NAME, expected, width.to_string()));
        }
        try_resize(F::NAME, &mut self.counts, &[ClassRule::classes(width)])?;
        self.width = width;
        Ok(())
    }

    fn add(&mut self, class: usize, is_target: bool, is_predicted: bool) {
        let counts = [is_target && is_predicted, is_predicted, is_target];
        for (sum, count) in self.counts[class].iter_mut().zip(counts) {
            *sum += u64::from(count);
        }
    }

    fn score(counts: [u64; 3]) -> f64 {
        match F::ratio(counts) {
            (_, 0) => 0.0,
            (numerator, denominator) => numerator as f64 / denominator as f64,
        }
    }

    /// The mean of the scores of all classes with these weights.
    fn weighted_mean(&self, weight: impl Fn([u64; 3]) -> f64) -> f64 {
        let (mut sum, mut weights) = (0.0, 0.0);
        for &counts in &self.counts {
            sum += weight(counts) * Self::score(counts);
            weights += weight(counts);
        }
        if weights == 0.0 { 0.0 } else { sum / weights }
    }

    fn averaged(&self) -> f64 {
        match self.average {
            Average::Binary => Self::score(self.counts[1]),
            Average::Macro => {
                let all_count = self.label_threshold(self.width).is_some();
                self.weighted_mean(|[_, predicted, of_class]| {
                    f64::from(u8::from(all_count || predicted + of_class > 0))
                })
            }
            Average::Micro => {
                let add = |a: [u64; 3], b: &[u64; 3]| std::array::from_fn(|i| a[i] + b[i]);
                Self::score(self.counts.iter().fold([0; 3], add))
            }
            Average::Weighted => self.weighted_mean(|[_, _, of_class]| of_class as f64),
        }
    }
}

impl<T: Scalar, F: ScoreFunction> Metric<T> for ClassScore<F> {
    fn name(&self) -> String {
        let average = match self.average {
            Average::Binary => "",
            Average::Macro => "macro ",
            Average::Micro => "micro ",
            Average::Weighted => "weighted ",
        };
        format!("{average}{}", F::NAME)
    }

    fn check(&self, rows: usize, width: usize, t: Targets<'_, T>) -> Result<(), Error> {
        let labels = self.label_threshold(width).is_some();
        if self.average == Average::Binary && (labels || ClassRule::classes(width) != 2) {
            let expected = "outputs of two classes, or another `Average`";
            return Err(misfit(F::NAME, expected, format!("{width} outputs")));
        }
        match labels {
            true => check_binary(F::NAME, (rows, width), None, t),
            false => self.rule.check(F::NAME, (rows, width), t),
        }
    }

    fn reset(&mut self) {
        (self.width, self.rows) = (0, 0);
        self.counts.clear();
    }

    fn update(&mut self, y: ArrayView2<'_, T>, t: Targets<'_, T>) -> Result<(), Error> {
        let width = y.ncols();
        self.check(y.nrows(), width, t)?;
        self.prepare(width)?;
        let threshold = self.label_threshold(width);
        for (n, y) in y.rows().into_iter().enumerate() {
            if let Some(threshold) = threshold {
                for (k, &y) in y.iter().enumerate() {
                    let is_target = target_value(t, n, k) > 0.5;
                    self.add(k, is_target, is_above(y, threshold) == Some(true));
                }
            } else if let Some(class) = self.rule.target(t, n, width) {
                let predicted = self.rule.predicted(y);
                self.add(class, true, predicted == Some(class));
                if let Some(predicted) = predicted.filter(|&predicted| predicted != class) {
                    self.add(predicted, false, true);
                }
            } else {
                continue;
            }
            self.rows += 1;
        }
        Ok(())
    }

    fn value(&self) -> f64 {
        match self.rows {
            0 => f64::NAN,
            _ => self.averaged(),
        }
    }
}
