/// The errors of ranks that work together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is out of its range.
    #[error("{what} is {value}, but must be {must_be}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        must_be: String,
    },
    /// The ranks do not do the same.
    #[error("{ranks} {what}")]
    Differ {
        /// Those that differ from most: `rank 2`, `ranks 0, 3`.
        ranks: String,
        /// In what, and what to do.
        what: String,
    },
    /// Another rank has failed.
    #[error("rank {rank} failed: {reason}")]
    Failed {
        /// The rank.
        rank: usize,
        /// Its error.
        reason: String,
    },
    /// The other ranks did not answer in time.
    #[error(
        "rank {rank} has waited {seconds} s for another rank; the connection is lost, or a rank hangs (the time is a \
         setting, World::set_watchdog)"
    )]
    Watchdog {
        /// The rank that waited.
        rank: usize,
        /// How long.
        seconds: f64,
    },
    /// There is no MPI to start.
    #[error("{reason}")]
    Mpi {
        /// Why.
        reason: &'static str,
    },
}

impl From<Error> for bn_net::Error {
    fn from(error: Error) -> Self {
        bn_net::Error::Strategy(Box::new(error))
    }
}

impl From<Error> for bn_layers::Error {
    fn from(error: Error) -> Self {
        bn_layers::Error::Shards {
            reason: error.to_string(),
        }
    }
}
