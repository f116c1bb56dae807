//! EL-13: the log key says whose it is and what it protects, in the tags whose names are configured.

use super::{Fact, Judge, Judged, Rule, customer_key, not_read_of_key};
use crate::assess::case::Case;
use crate::assess::key_use::KeyUse;
use crate::model::text::Text;
use crate::model::words::{Lookup, Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-13",
    name: "key-tagged",
    version: 1,
    kind: RuleKind::Advises,
    severity: Severity::Low,
    conclusions: &[
        (Outcome::Pass, "key_tagged"),
        (Outcome::Fail, "tags_missing"),
        (Outcome::Unknown, "tags_not_read"),
        (Outcome::Unknown, "key_not_described"),
        (Outcome::Unknown, "key_not_found"),
        (Outcome::Unknown, "key_reference_unparseable"),
        (Outcome::NotApplicable, "no_tag_name_configured"),
        (Outcome::NotApplicable, "aws_managed_key"),
        (Outcome::NotApplicable, "no_log_key"),
        (Outcome::NotApplicable, "no_log_uri"),
    ],
    supports: &["PCI DSS 4.0.1 3.6.1.1", "NIST SP 800-53 r5 CM-8"],
    judge: Judge::Keys(judge),
};

fn judge(case: &Case<'_>, key: &KeyUse) -> Judged {
    let asked = case.ctx.config.key_tags;
    if !(asked.owner || asked.cost_center || asked.data_classification) {
        return Judged::not_applicable("no_tag_name_configured");
    }
    let row = match customer_key(case, key) {
        Ok(row) => row,
        Err(judged) => return judged,
    };
    let name = key.name();
    let tags = [
        ("owner", asked.owner, &row.owner),
        ("cost_center", asked.cost_center, &row.cost_center),
        (
            "data_classification",
            asked.data_classification,
            &row.data_classification,
        ),
    ];
    // A tag of blanks says nothing.
    let blank = |value: &Option<String>| value.as_deref().is_none_or(|v| v.trim().is_empty());
    let missing: Vec<&str> = tags
        .iter()
        .filter(|(_, asked, value)| *asked && blank(value))
        .map(|(name, ..)| *name)
        .collect();
    let judged = match row.tags_lookup {
        Lookup::Found if missing.is_empty() => Judged::pass("key_tagged"),
        Lookup::Found => {
            let settings: Vec<_> = missing.iter().map(|tag| format!("tags.{tag}")).collect();
            Judged::fail(
                "tags_missing",
                format!(
                    "tag {} (kms:TagResource) with the names configured as {}",
                    name.map(Text::as_str).unwrap_or_default(),
                    settings.join(", ")
                ),
            )
            .with("tags", Some(missing))
        }
        lookup => not_read_of_key(key, "tags_not_read", lookup, "kms:ListResourceTags"),
    };
    judged.about_key().read(Fact::Key).with("key", name)
}
