//! The golden files' format; `tests/golden/README.md` describes it.

use super::Compare;
use bn_layers::{Layer, LayerExt, Layout, Mode};
use bn_tensor::Scalar;
use ndarray::{Array1, Array2, ArrayD, IxDyn};
use serde::Deserialize;

/// An array, flat and row-major.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Arr {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<f64>,
}

impl Arr {
    /// The array in its own shape.
    pub(crate) fn full<T: Scalar>(&self) -> ArrayD<T> {
        let data = self.data.iter().map(|&v| T::from_f64(v)).collect();
        ArrayD::from_shape_vec(IxDyn(&self.shape), data).unwrap()
    }

    /// The array as a matrix of flattened rows.
    pub(crate) fn rows<T: Scalar>(&self) -> Array2<T> {
        let (n, width): (_, usize) = (self.shape[0], self.shape[1..].iter().product());
        self.full().into_shape_with_order((n, width)).unwrap()
    }

    /// The array as a vector.
    pub(crate) fn vector<T: Scalar>(&self) -> Array1<T> {
        self.data.iter().map(|&v| T::from_f64(v)).collect()
    }

    /// `(N, C, H, W)` as `(N, H, W, C)`.
    pub(crate) fn to_channels_last(&self) -> Self {
        let moved = self.full::<f64>().permuted_axes(vec![0, 2, 3, 1]);
        Self {
            shape: moved.shape().to_vec(),
            data: moved.iter().copied().collect(),
        }
    }

    /// The transpose of a matrix.
    pub(crate) fn transposed(&self) -> Self {
        let moved = self.full::<f64>().reversed_axes();
        Self {
            shape: moved.shape().to_vec(),
            data: moved.iter().copied().collect(),
        }
    }
}

/// One forward and backward pass, and the running statistics after it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Pass {
    pub(crate) x: Arr,
    pub(crate) dout: Arr,
    pub(crate) y: Arr,
    pub(crate) dx: Arr,
    pub(crate) dgamma: Option<Arr>,
    pub(crate) dbeta: Option<Arr>,
    pub(crate) running_mean: Option<Arr>,
    pub(crate) running_var: Option<Arr>,
    pub(crate) num_batches_tracked: Option<u64>,
}

/// The settings of the framework; `None` where it has no such setting.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Config {
    pub(crate) eps: f64,
    pub(crate) momentum_kept: Option<f64>,
    pub(crate) momentum: Option<f64>,
    pub(crate) affine: Option<bool>,
    pub(crate) track_running_stats: Option<bool>,
    pub(crate) scale: Option<bool>,
    pub(crate) center: Option<bool>,
    pub(crate) running_var: Option<String>,
    statistics: String,
}

impl Config {
    pub(crate) fn layout(&self) -> Layout {
        match &*self.statistics {
            "per_feature" | "channels_last" => Layout::ChannelsLast,
            "channels_first" => Layout::ChannelsFirst,
            "per_position" => Layout::PerPosition,
            other => panic!("statistics {other}?"),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct BatchNormCase {
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) gamma: Option<Arr>,
    pub(crate) beta: Option<Arr>,
    pub(crate) updates: Vec<Pass>,
    pub(crate) evaluation: Pass,
}

#[derive(Debug, Deserialize)]
pub(crate) struct AffineCase {
    pub(crate) name: String,
    pub(crate) weight_layout: String,
    pub(crate) weight: Arr,
    pub(crate) bias: Arr,
    pub(crate) x: Arr,
    pub(crate) dout: Arr,
    pub(crate) y: Arr,
    pub(crate) dx: Arr,
    pub(crate) dweight: Arr,
    pub(crate) dbias: Arr,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ActivationCase {
    pub(crate) name: String,
    pub(crate) slope: Option<f64>,
    pub(crate) x: Arr,
    pub(crate) dout: Arr,
    pub(crate) y: Arr,
    pub(crate) dx: Arr,
}

impl ActivationCase {
    /// Runs `layer` on this case in every mode.
    pub(crate) fn check<T: Scalar>(&self, layer: &mut impl Layer<T>, compare: &mut Compare) {
        let name = &self.name;
        let (x, dout) = (self.x.rows::<T>(), self.dout.rows::<T>());
        for mode in [Mode::Train, Mode::BatchStats, Mode::Eval] {
            let y = layer.forward(x.view(), mode).unwrap();
            let dx = layer.backward(x.view(), y.view(), dout.view()).unwrap();
            compare.same(&format!("{name} {mode:?} y"), &y, &self.y.data);
            compare.same(&format!("{name} {mode:?} dx"), &dx, &self.dx.data);
        }
        let y = super::evaluated(layer, x.view(), x.ncols());
        compare.same(&format!("{name} eval_into y"), &y, &self.y.data);
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Golden {
    pub(crate) batch_norm: Vec<BatchNormCase>,
    #[serde(default)]
    pub(crate) affine: Vec<AffineCase>,
    #[serde(default)]
    pub(crate) activation: Vec<ActivationCase>,
}

impl Golden {
    /// A file of `tests/golden`.
    pub(crate) fn read(file: &str) -> Self {
        let path = format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    pub(crate) fn batch_norm(&self, name: &str) -> &BatchNormCase {
        let case = self.batch_norm.iter().find(|c| c.name == name);
        case.unwrap_or_else(|| panic!("no case {name}"))
    }
}
