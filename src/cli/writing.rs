//! The flag of every command that writes to an archive.

use crate::config::Layer;

#[derive(Debug, clap::Args)]
pub struct Writing {
    /// Write into a bucket that does not protect the archive; what is sealed says so
    #[arg(long)]
    allow_unprotected: bool,
}

impl Writing {
    /// It is a setting, too.
    pub fn add_to(&self, flags: &mut Layer) {
        let allowed = self.allow_unprotected.then(|| "true".to_owned());
        flags.flag("allow_unprotected", allowed);
    }
}
