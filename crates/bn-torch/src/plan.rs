use crate::{chain::Chain, error::Error, python};
use bn_layers::{LayerExt, Scalar};
use bn_net::{Network, NetworkSpec};
use std::collections::{BTreeMap, BTreeSet};

/// What a network is in PyTorch: its modules, and where its arrays are in the state_dict.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) tensors: BTreeMap<String, Tensor>, // by the names of the network's arrays
    pub(crate) counters: BTreeMap<String, String>, // names in the state_dict, by the names of the network's counters
    pub(crate) classes: BTreeSet<python::Class>,
    pub(crate) notes: BTreeSet<&'static str>,
    pub(crate) modules: Vec<String>, // of the `nn.Sequential`
}

/// The tensor of an array: the same values with their axes in another order.
#[derive(Debug)]
pub(crate) struct Tensor {
    pub(crate) name: String,      // in the state_dict
    pub(crate) shape: Vec<usize>, // in the state_dict
    pub(crate) axes: Vec<usize>,  // the lengths of the array's axes; an image has three
    pub(crate) order: Vec<usize>, // the axes as the tensor has them
}

impl Tensor {
    pub(crate) fn len(&self) -> usize {
        self.axes.iter().product()
    }
}

impl Plan {
    pub(crate) fn of<T: Scalar>(network: &Network<T>) -> Result<(Self, NetworkSpec), Error> {
        let spec = network.spec()?;
        let mut plan = Self::default();
        plan.modules = Chain::whole(&mut plan, &spec)?;
        // A layer from outside may describe itself as one of the library's and have other arrays.
        let mut left: BTreeSet<&String> = plan.tensors.keys().collect();
        let mut unknown = None;
        network.visit(&mut |p| {
            let tensor = plan.tensors.get(p.name);
            left.remove(&p.name.to_owned());
            if tensor.is_none_or(|tensor| tensor.len() != p.value.len()) {
                unknown.get_or_insert_with(|| p.name.to_owned());
            }
        });
        match unknown.or_else(|| left.first().map(|&name| name.clone())) {
            Some(array) => Err(Error::Array { array }),
            None => Ok((plan, spec)),
        }
    }
}
