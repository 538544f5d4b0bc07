//! bn-layers
