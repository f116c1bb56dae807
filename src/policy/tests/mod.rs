//! Across the module: what must hold for any policies, and hostile documents.

mod easily_wrong;
mod hostile;
mod properties;
