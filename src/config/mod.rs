//! Configuration: `keyproof.toml` < `KEYPROOF_*` < flags, resolved once into [`Config`].
//!
//! - [`settings`]: the table of every setting, and the layers that are laid over each other.
//! - [`file`]: reads `keyproof.toml`; an unknown key is an error.
//! - [`schema`]: the same table as a JSON Schema.
//! - [`resolve`]: texts into values ready to use. Nothing else interprets an option.

mod file;
mod resolve;
mod schema;
mod settings;

/// A first `keyproof.toml`, as it stands after `keyproof init`.
pub const EXAMPLE: &str = include_str!("example.toml");

pub use resolve::{ArchiveUrl, Config, ScopeMode, SigningKey, default_state_dir};
pub use schema::json_schema;
pub use settings::{Layer, Origin, SETTINGS, Setting, Settings, distance};

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {path}: {detail}")]
    Unreadable { path: String, detail: String },
    #[error("{path} is not valid TOML: {detail}")]
    Syntax { path: String, detail: String },
    #[error("{origin} has an unknown setting '{name}'{}", hint(.near))]
    Unknown {
        origin: Origin,
        name: String,
        near: Option<&'static str>,
    },
    #[error("setting '{name}' ({origin}): {detail}")]
    Invalid {
        origin: Origin,
        name: &'static str,
        detail: String,
    },
    #[error("exception {index} of {path}: {detail}")]
    Exception {
        path: String,
        index: usize,
        detail: String,
    },
    #[error("{0}")]
    Conflict(String),
}

fn hint(near: &Option<&'static str>) -> String {
    near.map(|n| format!("; did you mean '{n}'?"))
        .unwrap_or_else(|| "; `keyproof config` lists the settings".to_owned())
}
