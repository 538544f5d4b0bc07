use super::{NamedLayer, Network, param_names};
use crate::Error;
use bn_tensor::Scalar;
use ndarray::ArrayView2;

impl<T: Scalar> Network<T> {
    /// Folds each BatchNormalization into the layer before it, for inference: `W·scale` and
    /// `b·scale + shift` do the work of both, with the running statistics of now. Returns the
    /// largest difference that it makes to the outputs for `sample: (N, D)`, which is rounding
    /// (infinite where folded weights overflow).
    ///
    /// A BatchNormalization that does not follow an Affine directly stays as it is, and so does
    /// one without running statistics. Layers keep their places and names; a folded one has no
    /// parameters left, its [`activation`](Self::activation) is what the Affine before it now puts
    /// out, and an Affine without a bias has one from then on. The network can be trained further, as one without the normalisation.
    ///
    /// ```
    /// use bn_net::Network;
    /// use ndarray::array;
    /// let mut network = Network::<f64>::builder(2).affine(8).batch_norm().relu().affine(1).build(1)?;
    /// let sample = array![[0.5, -1.0], [2.0, 0.25]];
    /// let before = network.predict(sample.view())?;
    /// let deviation = network.fold(sample.view())?;
    /// assert!(deviation < 1e-12);
    /// assert!((network.predict(sample.view())? - before).iter().all(|d| d.abs() <= deviation));
    /// # Ok::<(), bn_net::Error>(())
    /// ```
    ///
    /// # Errors
    /// The network's, and [`Error::NonFinite`] for a sample whose outputs are not finite; the
    /// network is then as it was.
    pub fn fold(&mut self, sample: ArrayView2<'_, T>) -> Result<f64, Error> {
        let before = self.predict(sample)?;
        if before.iter().any(|y| !y.is_finite()) {
            let place = "the output for the sample".to_owned();
            return Err(Error::NonFinite { place, hint: "" });
        }
        let mut kept: Vec<NamedLayer<T>> = Vec::with_capacity(self.layers.len());
        for mut l in std::mem::take(&mut self.layers) {
            let (map, last) = (l.layer.channel_map(), l.last);
            if let (Some(map), Some(before)) = (map, kept.last_mut())
                && before.layer.fold(&map)
            {
                before.param_names = param_names(&*before.layer, before.index);
                let Some(rectifier) = map.rectifier else {
                    before.last = last;
                    continue;
                };
                // Its own place again, after the one that was folded.
                before.last = l.index;
                l.layer = rectifier.into_layer();
                l.index = last;
                l.param_names.clear();
            }
            kept.push(l);
        }
        self.outputs = kept.iter().map(|_| Vec::new()).collect();
        self.layers = kept;
        self.rows = 0;
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
}
