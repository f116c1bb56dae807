//! Steps and sessions, as `ListSteps` and `ListSessions` show them.

use serde_json::{Value, json};

use super::super::json::seconds;
use crate::sandbox::World;
use crate::sandbox::world::account_region::AccountRegion;
use crate::sandbox::world::beside::{self, Step};
use crate::sandbox::world::clusters::Cluster;
use crate::sandbox::world::marker;

/// `StepSummary`, newest first.
pub(super) fn steps(
    world: &World,
    here: &AccountRegion,
    cluster: &Cluster,
    now_ms: i64,
) -> Vec<Value> {
    let recipe = here.recipe(cluster);
    let secret = marker(recipe.activity_secret);
    beside::steps(&world.options, recipe, cluster, now_ms)
        .iter()
        .map(|step| summary(step, &secret))
        .collect()
}

fn summary(step: &Step<'_>, secret: &str) -> Value {
    let mut timeline = json!({"CreationDateTime": seconds(step.created_ms)});
    if step.state != "PENDING" {
        timeline["StartDateTime"] = seconds(step.created_ms + 1_000);
    }
    let mut shown = json!({
        "Id": step.id,
        "Name": format!("load --token {secret}"),
        "Config": {
            "Jar": "command-runner.jar",
            "Properties": {"password": secret},
            "MainClass": "",
            "Args": ["spark-submit", "--password", secret],
        },
        "ActionOnFailure": "CONTINUE",
        "Status": {"State": step.state, "StateChangeReason": {}, "Timeline": timeline},
    });
    if let Some(uri) = step.own.and_then(|own| own.uri.as_ref()) {
        shown["LogUri"] = json!(uri);
    }
    if let Some(key) = step.own.and_then(|own| own.key.as_ref()) {
        shown["EncryptionKeyArn"] = json!(key);
    }
    shown
}

/// `Session`: one for each cluster that has sessions, asked for with the launch.
pub(super) fn sessions(here: &AccountRegion, cluster: &Cluster, now_ms: i64) -> Vec<Value> {
    let recipe = here.recipe(cluster);
    let Some(logs) = &recipe.beside.session else {
        return Vec::new();
    };
    let secret = marker(recipe.activity_secret + 1);
    let group = recipe.beside.session_group.as_deref();
    vec![json!({
        "Id": format!("session-{}", &cluster.id[2..]),
        "ClusterId": cluster.id,
        "Name": "notebook",
        "State": match cluster.ended_at(now_ms) {
            Some(_) => "TERMINATED",
            None if now_ms < cluster.ready_ms => "SUBMITTED",
            None => "IDLE",
        },
        "CreatedAt": seconds(cluster.created_ms),
        "ServerUrl": format!("https://{secret}.example.com"),
        "EngineConfigurations": [{"Classification": "spark-defaults",
            "Properties": {"spark.hadoop.password": secret}}],
        "MonitoringConfiguration": {
            "S3LoggingConfiguration": {
                "Enabled": true, "LogUri": logs.uri, "EncryptionKeyArn": logs.key},
            "CloudWatchLoggingConfiguration": {
                "Enabled": group.is_some(), "LogGroup": group, "EncryptionKeyArn": logs.key},
            "ManagedLoggingConfiguration": {"Enabled": false},
        },
    })]
}
