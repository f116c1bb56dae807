//! `keyproof config`: every setting, its value and where the value comes from.

use std::fmt::Write as _;

use super::common::{self, Common};
use crate::config::SETTINGS;
use crate::error::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
}

pub fn run(args: Args) -> Result<Exit, Failure> {
    let (config, settings) = common::load(&args.common, Default::default())?;
    let mut text = String::new();
    for setting in SETTINGS {
        let value = settings.text(setting.name).unwrap_or("-");
        // An external id guards the role's trust: shown nowhere.
        let value = if setting.name == "external_id" && value != "-" {
            "(set)"
        } else {
            value
        };
        let origin = settings.origin(setting.name);
        let _ = writeln!(text, "{:<26} {:<28} {origin}", setting.name, value);
        let _ = writeln!(text, "{:<26} {}", "", setting.meaning);
    }
    for rule in &config.exceptions {
        let _ = writeln!(
            text,
            "exception {:<16} {:<8} until {}  approved by {}",
            rule.id, rule.kind, rule.expires, rule.approver
        );
    }
    common::print(&text)
}
