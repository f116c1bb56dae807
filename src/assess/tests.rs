//! Tables: one thing spoiled, and what every rule and the verdict then say.

mod advice_tables;
mod easily_wrong;
mod properties;
mod rule_tables;
mod verdicts;
