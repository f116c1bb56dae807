//! Tables: one thing spoiled, and what every rule and the verdict then say.

mod access_tables;
mod advice_tables;
mod channel_tables;
mod easily_wrong;
mod everyone;
mod fences;
mod launches;
mod object_tables;
mod properties;
mod rule_tables;
mod seed_scenarios;
mod verdicts;
mod waivers;
