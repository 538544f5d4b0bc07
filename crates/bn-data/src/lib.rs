//! bn-data
