use crate::dataset;
use crate::model::words::CheckOutcome;
use crate::time::Date;

dataset! {
    /// One row per check that the run made of the archive it was about to write to.
    pub struct ArchiveCheck: "archive" v 1, key [check_name];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Name of the check, e.g. `versioning`; `protection` alone for storage that has none.
    check_name: String = "word";
    /// Result of the check.
    outcome: CheckOutcome = "pass, fail, unknown, not_applicable";
    /// Whether its failure refuses a run that was not told to write all the same.
    required: bool = "true or false";
    /// What was found.
    detail: String = "text", volatile;
}
