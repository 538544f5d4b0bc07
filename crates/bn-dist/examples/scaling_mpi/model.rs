//! A model of a step: the time to compute it, from measurements, and that to communicate, from the latency and the
//! bandwidth of a network. What overlaps is not taken off, so the truth is a little faster.

use bn_dist::BUCKET_BYTES;

/// The network between the ranks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network {
    pub(crate) latency: f64,   // seconds for a message
    pub(crate) bandwidth: f64, // bytes a second that a rank sends while it receives as many
}

/// The time that the processor spends on one message of many.
const MESSAGE: f64 = 1e-6;

/// What is computed and sent in a step.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Seconds of one rank for any number of images, and for each image.
    pub(crate) fixed: f64,
    pub(crate) per_image: f64,
    /// Bytes of the gradients.
    pub(crate) gradients: f64,
    /// Channels of each Batch Normalization.
    pub(crate) norms: Vec<f64>,
}

impl Step {
    /// Seconds of a rank that computes `images` images.
    pub(crate) fn compute(&self, images: f64) -> f64 {
        self.fixed + self.per_image * images
    }

    /// Seconds of communication.
    pub(crate) fn communicate(&self, ranks: f64, network: Network) -> f64 {
        if ranks < 2.0 {
            return 0.0;
        }
        // Every rank tells all others so many bytes.
        let gather = |bytes: f64| {
            ranks.log2().ceil() * network.latency + (ranks - 1.0) * bytes / network.bandwidth
        };
        let (header, loss) = (gather(64.0), gather(16.0));
        // Forward a count, the means and the m2s; backward two sums for each channel.
        let norms = self
            .norms
            .iter()
            .map(|channels| gather(8.0 * (1.0 + 2.0 * channels)) + gather(8.0 * 2.0 * channels));
        // Reduce-scatter and all-gather.
        let buckets = (self.gradients / BUCKET_BYTES as f64).ceil();
        let messages = 2.0 * buckets * (network.latency + (ranks - 1.0) * MESSAGE);
        let bytes = 2.0 * (ranks - 1.0) / ranks * self.gradients;
        header + loss + norms.sum::<f64>() + messages + bytes / network.bandwidth
    }

    /// Seconds of a step in which each of `ranks` ranks has `images` images, with a processor of its own.
    pub(crate) fn seconds(&self, ranks: f64, images: f64, network: Network) -> f64 {
        self.compute(images) + self.communicate(ranks, network)
    }
}
