//! bn-net
