use super::{
    chain::{FusedLayer, NamedLayer, Network},
    concat::Concat,
    residual::Residual,
};
use crate::error::Error;
use bn_layers::{
    LayerSpec,
    fusion::{Folded, fold, fuse},
};
use bn_tensor::Scalar;
use ndarray::ArrayView2;
use std::any::Any;

impl<T: Scalar> Network<T> {
    /// Folds each BatchNormalization into the Affine or convolution before it, for inference: the
    /// weights become `W·scale` and the bias `b·scale + shift`, by the current running statistics.
    /// Returns the largest change of an output for `sample: (N, D)`, which is due to rounding. It is
    /// infinite if folded weights overflow.
    ///
    /// A BatchNormalization is not folded if there is another layer in between, or if it has no running
    /// statistics. Layers keep their positions and names. A folded BatchNormalization has no parameters,
    /// and its [`activation`](Self::activation) is the output of the layer before it. That layer gets a
    /// bias if it had none. The network can be trained further, as one without the normalisation.
    ///
    /// ```
    /// use bn_net::NetworkBuilder;
    /// use ndarray::array;
    /// let mut network = NetworkBuilder::<f64>::new(2).affine(8).batch_norm().relu().affine(1).build(1)?;
    /// let sample = array![[0.5, -1.0], [2.0, 0.25]];
    /// let before = network.predict(sample.view())?;
    /// let deviation = network.fold(sample.view())?;
    /// assert!(deviation < 1e-12);
    /// assert!((network.predict(sample.view())? - before).iter().all(|d| d.abs() <= deviation));
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    ///
    /// # Errors
    /// The errors of [`predict`](Self::predict), and [`Error::NonFinite`] if an output for the sample is
    /// not finite. On an error, the network has not changed.
    pub fn fold(&mut self, sample: ArrayView2<'_, T>) -> Result<f64, Error> {
        let before = self.predict(sample)?;
        if before.iter().any(|y| !y.is_finite()) {
            let place = "the output for the sample".to_owned();
            return Err(Error::NonFinite { place, hint: "" });
        }
        self.fold_layers();
        let after = self.predict(sample)?;
        let deviations = before
            .iter()
            .zip(&after)
            .map(|(b, a)| (*a - *b).abs().as_f64());
        Ok(deviations.fold(0.0, |most, d| {
            if d <= most {
                most
            } else if d.is_nan() {
                f64::INFINITY
            } else {
                d
            }
        }))
    }

    /// Folds each BatchNormalization into the layer before it, also in the networks inside layers.
    pub(super) fn fold_layers(&mut self) {
        self.layers.iter_mut().for_each(NamedLayer::unfreeze);
        let mut kept: Vec<NamedLayer<T>> = Vec::with_capacity(self.layers.len());
        for mut l in std::mem::take(&mut self.layers) {
            fold_inside(&mut l);
            let Some(before) = kept.last_mut() else {
                kept.push(l);
                continue;
            };
            let folded = fold(&mut *before.layer, &*l.layer);
            if matches!(folded, Folded::Not) {
                push(&mut kept, l);
                continue;
            }
            // A layer that computes nothing takes its position.
            let spec = Some(LayerSpec::new("Reshape", self.shapes[l.index]));
            let index = l.index;
            before.fused.push(FusedLayer { index, spec });
            let Folded::Rectifier(rectifier) = folded else {
                before.fused.append(&mut l.fused);
                before.name_state();
                continue;
            };
            before.name_state();
            let is_reshape =
                |f: &FusedLayer| f.spec.as_ref().is_some_and(|spec| spec.layer == "Reshape");
            while l.fused.first().is_some_and(is_reshape) {
                before.fused.push(l.fused.remove(0));
            }
            l.layer = rectifier;
            l.index = l.fused.remove(0).index;
            l.name_state();
            push(&mut kept, l);
        }
        self.outputs = kept.iter().map(|_| Vec::new()).collect();
        self.layers = kept;
        self.rows = 0;
    }
}

/// Folds the networks that a layer holds.
fn fold_inside<T: Scalar>(l: &mut NamedLayer<T>) {
    let layer = &mut *l.layer as &mut dyn Any;
    if let Some(network) = layer.downcast_mut::<Network<T>>() {
        network.fold_layers();
    } else if let Some(residual) = layer.downcast_mut::<Residual<T>>() {
        residual.fold();
    } else if let Some(concat) = layer.downcast_mut::<Concat<T>>() {
        concat.fold();
    } else {
        return;
    }
    l.name_state();
}

/// Appends a layer, or fuses it into the one before it.
fn push<T: Scalar>(kept: &mut Vec<NamedLayer<T>>, l: NamedLayer<T>) {
    if let Some(before) = kept.last_mut()
        && fuse(&mut *before.layer, &*l.layer)
    {
        let (index, spec) = (l.index, l.layer.describe());
        before.fused.push(FusedLayer { index, spec });
        before.fused.extend(l.fused);
        before.name_state();
    } else {
        kept.push(l);
    }
}
