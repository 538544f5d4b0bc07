use super::{safety::Gradients, spec::OptimizerSpec, state::OptimizerState, step::Optimizer};
use crate::error::Error;
use bn_layers::ParamMut;
use bn_tensor::{Scalar, check_setting};
use wildmatch::WildMatch;

/// An optimizer whose learning rate and weight decay differ between groups of parameters: the parameter
/// groups of `torch.optim`. A parameter belongs to the first group whose pattern its name matches; a
/// parameter of no group is updated as the optimizer does without groups.
///
/// ```
/// use bn_net::{AdamW, Network, Optimizer, ParamGroup, ParamGroups};
/// let mut network = Network::builder(4).affine(8).batch_norm().relu().affine(3).build(1)?;
/// let mut optimizer = ParamGroups::new(AdamW::new(1e-3, 0.01)?)
///     .group("layers.0.*", ParamGroup::default().learning_rate(0.1))? // a tenth of the learning rate
///     .decay_weights_only(); // no decay of gamma, beta and biases
/// optimizer.step(&mut network)?;
/// # Ok::<(), bn_net::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ParamGroups<O> {
    optimizer: O,
    groups: Vec<(WildMatch, ParamGroup)>,
    weights_only: bool,
}

/// The settings of a group of parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParamGroup {
    learning_rate: f64, // a factor
    weight_decay: Option<f64>,
}

impl Default for ParamGroup {
    /// As without groups.
    fn default() -> Self {
        Self {
            learning_rate: 1.0,
            weight_decay: None,
        }
    }
}

impl ParamGroup {
    /// Sets the factor by which the optimizer's learning rate, and so a schedule, is multiplied.
    #[must_use]
    pub fn learning_rate(self, factor: f64) -> Self {
        Self {
            learning_rate: factor,
            ..self
        }
    }

    /// Sets the weight decay, instead of the optimizer's.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self {
            weight_decay: Some(weight_decay),
            ..self
        }
    }
}

impl<O> ParamGroups<O> {
    /// An optimizer without groups yet.
    pub fn new(optimizer: O) -> Self {
        Self {
            optimizer,
            groups: Vec::new(),
            weights_only: false,
        }
    }

    /// Adds a group: the parameters whose names match `pattern` and none of the groups before. In the
    /// pattern, `*` stands for any characters and `?` for one. Names are such as `layers.0.weight`.
    ///
    /// # Errors
    /// [`bn_tensor::Error::InvalidSetting`] for a factor or a weight decay that is negative or not finite,
    /// and for a weight decay of an optimizer that has none.
    pub fn group<T: Scalar>(mut self, pattern: &str, group: ParamGroup) -> Result<Self, Error>
    where
        O: Optimizer<T>,
    {
        let factor = group.learning_rate;
        let (what, range) = (
            "the factor of a learning rate",
            "a finite number, 0 or more",
        );
        check_setting(what, range, factor, factor.is_finite() && factor >= 0.0)?;
        if let Some(weight_decay) = group.weight_decay {
            let own = self.optimizer.weight_decay();
            self.optimizer.set_weight_decay(weight_decay)?;
            self.optimizer.set_weight_decay(own)?;
        }
        self.groups.push((WildMatch::new(pattern), group));
        Ok(self)
    }

    /// No weight decay of biases, gamma, beta and other parameters that are not weights, unless a group
    /// sets one.
    #[must_use]
    pub fn decay_weights_only(mut self) -> Self {
        self.weights_only = true;
        self
    }

    /// The optimizer.
    pub fn optimizer(&self) -> &O {
        &self.optimizer
    }

    /// The settings of a parameter.
    fn of<T>(&self, p: &ParamMut<'_, T>) -> ParamGroup {
        let mut groups = self.groups.iter();
        let group = groups.find(|(pattern, _)| pattern.matches(p.name));
        let group = group.map_or(ParamGroup::default(), |(_, group)| *group);
        match self.weights_only && !p.is_decayed && group.weight_decay.is_none() {
            true => group.weight_decay(0.0),
            false => group,
        }
    }
}

impl<T: Scalar, O: Optimizer<T>> Optimizer<T> for ParamGroups<O> {
    fn state(&self) -> Option<&OptimizerState<T>> {
        self.optimizer.state()
    }

    fn state_mut(&mut self) -> Option<&mut OptimizerState<T>> {
        self.optimizer.state_mut()
    }

    /// That of the optimizer, with the groups as settings.
    fn describe(&self) -> Option<OptimizerSpec> {
        let mut spec = self.optimizer.describe()?;
        let mut add = |name: String, value: f64| spec.settings.insert(name, value);
        for (i, (pattern, group)) in self.groups.iter().enumerate() {
            let name = format!("group {i} ({pattern})");
            add(format!("{name} learning_rate"), group.learning_rate);
            if let Some(weight_decay) = group.weight_decay {
                add(format!("{name} weight_decay"), weight_decay);
            }
        }
        if self.weights_only {
            add("decay_weights_only".to_owned(), 1.0);
        }
        Some(spec)
    }

    fn begin_step(&mut self) {
        self.optimizer.begin_step();
    }

    fn check(&self, name: &str, len: usize) -> Result<(), Error> {
        self.optimizer.check(name, len)
    }

    fn update(&mut self, p: ParamMut<'_, T>) -> Result<(), Error> {
        let group = self.of(&p);
        let optimizer = &mut self.optimizer;
        let own = (optimizer.learning_rate(), optimizer.weight_decay());
        let result = optimizer
            .set_learning_rate(own.0 * group.learning_rate)
            .and_then(|()| optimizer.set_weight_decay(group.weight_decay.unwrap_or(own.1)))
            .and_then(|()| optimizer.update(p));
        optimizer.set_learning_rate(own.0)?;
        optimizer.set_weight_decay(own.1)?;
        result
    }

    /// That of the optimizer, if no group has a higher learning rate or weight decay than it.
    fn stays_finite(&self, gradients: &Gradients<'_, T>) -> bool {
        let own = self.optimizer.weight_decay();
        let is_lower = |group: &ParamGroup| {
            group.learning_rate <= 1.0 && group.weight_decay.is_none_or(|decay| decay <= own)
        };
        let all = self.groups.iter().all(|(_, group)| is_lower(group));
        all && self.optimizer.stays_finite(gradients)
    }

    fn learning_rate(&self) -> f64 {
        self.optimizer.learning_rate()
    }

    fn set_learning_rate(&mut self, lr: f64) -> Result<(), Error> {
        self.optimizer.set_learning_rate(lr)
    }

    fn weight_decay(&self) -> f64 {
        self.optimizer.weight_decay()
    }

    fn set_weight_decay(&mut self, weight_decay: f64) -> Result<(), Error> {
        self.optimizer.set_weight_decay(weight_decay)
    }
}
