//! Runs a BatchNormalization case of a golden file through the layer, and through the functional
//! form.

use super::{
    AnyShape, Compare, bits, evaluated,
    golden::{Arr, BatchNormCase, Pass},
};
use bn_layers::{
    BatchNormCache, BatchNormConfig, BatchNormalization, LayerExt, Layout, Mode, RunningStats,
    batch_norm_backward, batch_norm_eval, batch_norm_train,
};
use bn_tensor::Scalar;
use ndarray::Array3;

impl BatchNormCase {
    /// The same case with each `(N, C, H, W)` as `(N, H, W, C)`.
    pub(crate) fn to_channels_last(&self) -> Self {
        let moved = |pass: &Pass| Pass {
            x: pass.x.to_channels_last(),
            dout: pass.dout.to_channels_last(),
            y: pass.y.to_channels_last(),
            dx: pass.dx.to_channels_last(),
            ..pass.clone()
        };
        Self {
            name: format!("{} as channels last", self.name),
            updates: self.updates.iter().map(moved).collect(),
            evaluation: moved(&self.evaluation),
            ..self.clone()
        }
    }

    /// `(outer, channels, inner)` of this case's arrays, computed independently of the layer.
    pub(crate) fn view(&self, layout: Layout) -> (usize, usize, usize) {
        match (layout, &self.evaluation.x.shape[..]) {
            (Layout::ChannelsFirst, &[n, c, h, w]) => (n, c, h * w),
            (Layout::PerPosition, &[n, c, h, w]) => (n, c * h * w, 1),
            (Layout::ChannelsLast, &[ref rows @ .., c]) => (rows.iter().product(), c, 1),
            (layout, shape) => panic!("{layout:?} of {shape:?}?"),
        }
    }

    /// Checks the layer: the forward pass, the backward pass and the running statistics of each update,
    /// then both forms of evaluation and its backward pass.
    pub(crate) fn check_layer<T: Scalar>(
        &self,
        config: BatchNormConfig,
        layout: Layout,
        compare: &mut Compare,
    ) {
        let (_, channels, _) = self.view(layout);
        let mut bn = BatchNormalization::<T>::new(channels, config)
            .unwrap()
            .with_layout(layout);
        if let (Some(gamma), Some(beta)) = (&self.gamma, &self.beta) {
            bn = bn.with_gamma_beta(gamma.vector(), beta.vector()).unwrap();
        }
        assert_eq!(bn.gamma().is_some(), self.gamma.is_some());
        for (step, pass) in self.updates.iter().enumerate() {
            let at = format!("{} update {step}", self.name);
            self.check_pass(&mut bn, pass, Mode::Train, &at, compare);
            assert_eq!(bn.running().is_some(), pass.running_mean.is_some());
            if let Some(running) = bn.running() {
                assert_eq!(running.updates, step as u64 + 1);
                check_running(pass, running, &at, compare);
            }
        }

        let before = super::values(&bn);
        let at = format!("{} evaluation", self.name);
        let y = self.check_pass(&mut bn, &self.evaluation, Mode::Eval, &at, compare);
        assert_eq!(super::values(&bn), before, "{at} changed the layer");
        let rows = self.evaluation.x.rows();
        let through_ref = evaluated(&bn, rows.view(), rows.ncols());
        assert_eq!(bits(&through_ref), y, "{at}: eval_into");
    }

    /// Returns the bits of y.
    fn check_pass<T: Scalar>(
        &self,
        bn: &mut BatchNormalization<T>,
        pass: &Pass,
        mode: Mode,
        at: &str,
        compare: &mut Compare,
    ) -> Vec<u64> {
        let (x, dout) = (pass.x.full::<T>(), pass.dout.full::<T>());
        let y = bn.forward(x.view(), mode).unwrap();
        let dx = bn.backward(x.view(), dout.view()).unwrap();
        assert_eq!((y.shape(), dx.shape()), (x.shape(), x.shape()));
        compare.same(&format!("{at} y"), &y, &pass.y.data);
        compare.same(&format!("{at} dx"), &dx, &pass.dx.data);
        if let (Some(dgamma), Some(dbeta)) = (&pass.dgamma, &pass.dbeta) {
            compare.same(&format!("{at} dgamma"), bn.dgamma().unwrap(), &dgamma.data);
            compare.same(&format!("{at} dbeta"), bn.dbeta().unwrap(), &dbeta.data);
        }

        // The trait, on rows, must give the same bits.
        let (x, dout) = (pass.x.rows::<T>(), pass.dout.rows::<T>());
        let again = if mode == Mode::Train {
            Mode::BatchStats
        } else {
            mode
        };
        let mut of_rows = AnyShape(bn.clone());
        let y_rows = of_rows.forward(x.view(), again).unwrap();
        let dx_rows = of_rows
            .backward(x.view(), y_rows.view(), dout.view())
            .unwrap();
        assert_eq!(bits(&y_rows), bits(&y), "{at}: rows and images differ");
        assert_eq!(bits(&dx_rows), bits(&dx), "{at}: rows and images differ");
        bits(&y)
    }

    /// Checks the functional form, with gamma and beta each present or absent as in the case.
    pub(crate) fn check_functional<T: Scalar>(
        &self,
        config: BatchNormConfig,
        layout: Layout,
        compare: &mut Compare,
    ) {
        let view = self.view(layout);
        let gamma = self.gamma.as_ref().map(Arr::vector::<T>);
        let beta = self.beta.as_ref().map(Arr::vector::<T>);
        let gamma = gamma.as_ref().map(|v| v.view());
        let beta = beta.as_ref().map(|v| v.view());
        let mut running = config
            .track_running_stats
            .then(|| RunningStats::<T>::new(view.1, &config).unwrap());
        let mut cache = BatchNormCache::default();
        let passes = self.updates.iter().map(|pass| (pass, true));
        for (step, (pass, train)) in passes.chain([(&self.evaluation, false)]).enumerate() {
            let at = format!("{} functional {step}", self.name);
            let x = pass.x.full().into_shape_with_order(view).unwrap();
            let dout = pass.dout.full().into_shape_with_order(view).unwrap();
            let mut y = Array3::from_elem(view, T::nan());
            let (x, dout) = (x.view(), dout.view());
            match &mut running {
                Some(running) if !train => {
                    batch_norm_eval(x, gamma, beta, running, &config, &mut cache, y.view_mut())
                }
                running => {
                    let running = running.as_mut();
                    batch_norm_train(x, gamma, beta, running, &config, &mut cache, y.view_mut())
                }
            }
            .unwrap();
            compare.same(&format!("{at} y"), &y, &pass.y.data);
            if let (Some(running), true) = (&running, train) {
                check_running(pass, running, &at, compare);
            }

            let mut dx = Array3::from_elem(view, T::nan());
            let mut dgamma = pass.dgamma.as_ref().map(|_| vec![T::nan(); view.1]);
            let mut dbeta = pass.dbeta.as_ref().map(|_| vec![T::nan(); view.1]);
            batch_norm_backward(
                x,
                dout,
                gamma,
                &mut cache,
                dgamma.as_deref_mut(),
                dbeta.as_deref_mut(),
                Some(dx.view_mut()),
            )
            .unwrap();
            compare.same(&format!("{at} dx"), &dx, &pass.dx.data);
            for (name, got, want) in [
                ("dgamma", &dgamma, &pass.dgamma),
                ("dbeta", &dbeta, &pass.dbeta),
            ] {
                if let (Some(got), Some(want)) = (got, want) {
                    compare.same(&format!("{at} {name}"), got, &want.data);
                }
            }
        }
    }
}

fn check_running<T: Scalar>(
    pass: &Pass,
    running: &RunningStats<T>,
    at: &str,
    compare: &mut Compare,
) {
    let (mean, var) = (&pass.running_mean, &pass.running_var);
    let (mean, var) = (mean.as_ref().unwrap(), var.as_ref().unwrap());
    compare.same(&format!("{at} running_mean"), &running.mean, &mean.data);
    compare.same(&format!("{at} running_var"), &running.var, &var.data);
    if let Some(count) = pass.num_batches_tracked {
        assert_eq!(running.updates, count, "{at}");
    }
}
