//! `keyproof completions`.

use clap::CommandFactory;

use super::Cli;
use crate::error::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell to complete for
    shell: clap_complete::Shell,
}

pub fn run(args: Args) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "keyproof", &mut text);
    super::common::print(&String::from_utf8_lossy(&text))
}
