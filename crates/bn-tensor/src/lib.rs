//! bn-tensor
