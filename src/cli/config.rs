//! `keyproof config`: every setting, its value and where the value comes from.

use std::fmt::Write as _;

use super::common::{self, Common};
use crate::config::SETTINGS;
use crate::error::{Exit, Failure};
use crate::report::WIDTH;
use crate::report::text::wrap;

/// Where values and meanings stand.
const INDENT: usize = 27;

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
        let name = setting.name;
        let in_columns = format!("{name:<26} {value:<28} {origin}");
        if in_columns.chars().count() <= WIDTH {
            let _ = writeln!(text, "{in_columns}");
        } else {
            let words = wrap(&format!("{value} {origin}"), WIDTH, INDENT);
            let _ = writeln!(text, "{name:<26} {words}");
        }
        let meaning = wrap(setting.meaning, WIDTH, INDENT);
        let _ = writeln!(text, "{:<26} {meaning}", "");
    }
    for rule in &config.exceptions {
        let words = format!(
            "exception {} {} until {}, approved by {}",
            rule.id, rule.kind, rule.expires, rule.approver
        );
        let _ = writeln!(text, "{}", wrap(&words, WIDTH, 0));
    }
    common::print(&text)
}
