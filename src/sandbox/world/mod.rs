//! The generated organization as plain, immutable data. Deterministic from [`Options`].
