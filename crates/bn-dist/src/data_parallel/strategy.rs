//! The passes of one rank, together with the others.

use super::{DataParallel, MESSAGE_BYTES};
use crate::{digest, error::Error, exchange::Exchange, header::Header, reduction::Batch};
use bn_data::BatchPart;
use bn_layers::{Layer, LayerExt, Outcome};
use bn_net::{Error as NetError, Loss, Network, Optimizer, Strategy, Targets, WeightedLoss};
use bn_tensor::{Scalar, enter_pool};
use bytemuck::Pod;
use ndarray::ArrayView2;
use std::path::Path;

impl<T: Scalar + Pod> Strategy<T> for DataParallel<'_, T> {
    fn part(&self) -> BatchPart {
        self.layout.part(self.world.rank()).clone()
    }

    fn is_writer(&self) -> bool {
        self.world.rank() == 0
    }

    fn read(&mut self, path: &Path) -> Result<Option<Vec<u8>>, NetError> {
        let mut bytes = Vec::new();
        let mut len = 0; // of the file and one more, or 0 if there is none
        if self.is_writer() && path.exists() {
            match bn_data::read_whole(path) {
                Ok(read) => (len, bytes) = (read.len() as u64 + 1, read),
                Err(source) => {
                    let path = path.to_owned();
                    return self.failed(NetError::Read { path, source });
                }
            }
        }
        let link = &self.world.link;
        let headers = match Header::read(len).meet(link) {
            Ok(headers) => headers,
            Err(error) => return self.failed(error),
        };
        let Some(len) = headers[0].rows.checked_sub(1) else {
            return Ok(None);
        };
        bytes.resize(len as usize, 0);
        let mut counts = vec![0; link.size()];
        for part in bytes.chunks_mut(MESSAGE_BYTES) {
            counts[0] = part.len();
            let mine = if link.rank() == 0 {
                part.to_vec()
            } else {
                Vec::new()
            };
            if let Err(error) = link.all_gather(&mine, &counts, part) {
                return self.failed(error);
            }
        }
        Ok(Some(bytes))
    }

    fn begin(
        &mut self,
        network: &Network<T>,
        optimizer: &dyn Optimizer<T>,
        settings: &str,
        rows: usize,
        wants_to_stop: bool,
    ) -> Result<bool, NetError> {
        let step = self.header.step;
        self.header.values = 0;
        if step.is_multiple_of(self.check_every) {
            let Self {
                bucket_bytes,
                is_local,
                check_every,
                ..
            } = *self;
            let of_ranks = (self.layout.shards, bucket_bytes, is_local, check_every);
            self.header = Header {
                network: digest::of_network(network),
                optimizer: digest::of_optimizer(optimizer),
                settings: digest::of((settings, of_ranks)),
                values: digest::of_values(network, is_local),
                ..self.header
            };
        }
        self.header.rows = rows as u64;
        self.header.wants_to_stop = wants_to_stop.into();
        let (header, link) = (self.header, &self.world.link);
        let headers = self.timer.communication(|| header.meet(link));
        let headers = match headers {
            Ok(headers) => headers,
            Err(error) => return self.failed(error),
        };
        self.header.step += 1;
        let (rank, rows) = (self.world.rank(), headers.iter().map(|h| h.rows as usize));
        let rows: Vec<usize> = rows.collect();
        if rows.iter().all(|&rows| rows == 0) {
            return self.failed(Error::Setting {
                what: "the number of rows of the whole batch",
                value: "0".to_owned(),
                must_be: "at least 1".to_owned(),
            });
        }
        self.first_row = rows[..rank].iter().sum();
        self.rows = self.layout.rows_of_shards(rank, &rows);
        Ok(headers.iter().any(|header| header.wants_to_stop != 0))
    }

    fn gradient(
        &mut self,
        network: &mut Network<T>,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
    ) -> Result<WeightedLoss, NetError> {
        let result = enter_pool(|| self.exchange(network, x, t, loss));
        if result.is_err() {
            network.settle(Outcome::TakenBack);
        }
        result
    }
}

impl<T: Scalar + Pod> DataParallel<'_, T> {
    /// The error, after it was said to the other ranks.
    fn failed<R>(&self, error: impl Into<NetError>) -> Result<R, NetError> {
        let error = error.into();
        self.world.fail(&error);
        Err(error)
    }

    /// The loss and the gradients of all ranks.
    fn exchange(
        &mut self,
        network: &mut Network<T>,
        x: ArrayView2<'_, T>,
        t: Targets<'_, T>,
        loss: &mut dyn Loss<T>,
    ) -> Result<WeightedLoss, NetError> {
        let (link, size) = (&self.world.link, self.bucket_bytes / size_of::<T>());
        let batch = Batch {
            link,
            layout: &self.layout,
            rows: &self.rows,
            first_row: self.first_row,
            is_local: self.is_local,
            timer: &self.timer,
        };
        if link.size() == 1 {
            return network.gradient_of_shards(x, t, loss, &batch, &mut |_| Ok(()));
        }
        let mut params = 0; // of which each bucket has one or more
        network.visit(&mut |_| params += 1);
        self.buckets.reserve(params);
        let ranks = [link.rank(), link.size()];
        let value = link.posted(|post| {
            let buckets = &mut self.buckets;
            let mut exchange = Exchange::new(&self.layout, ranks, size, post, buckets, &self.timer);
            let mut on_layer = |gradients: &mut _| Ok(exchange.add(gradients)?);
            let value = network.gradient_of_shards(x, t, loss, &batch, &mut on_layer);
            let value = value.and_then(|value| {
                exchange.finish()?;
                Ok(value)
            });
            // Before the wait for messages that may never come.
            value.inspect_err(|error| self.world.fail(error))
        })?;
        let mut buckets = self.buckets.read();
        let mut sums: &[T] = &[];
        network.set_gradients_of_shards(&mut |mut grad| {
            while !grad.is_empty() {
                if sums.is_empty() {
                    sums = buckets.next().unwrap_or_default();
                }
                let count = grad.len().min(sums.len()).max(1);
                let (to, rest) = grad.split_at_mut(count);
                let (from, after) = sums.split_at_checked(count).ok_or_else(missing)?;
                to.copy_from_slice(from);
                (grad, sums) = (rest, after);
            }
            Ok(())
        })?;
        Ok(value)
    }
}

fn missing() -> Error {
    Error::Differ {
        ranks: "this rank".to_owned(),
        what: "has more parameters than gradients".to_owned(),
    }
}
