//! bn
