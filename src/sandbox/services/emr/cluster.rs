//! A cluster as `ListClusters` and `DescribeCluster` show it.

use serde_json::{Value, json};

use super::super::json::seconds;
use crate::sandbox::world::account_region::AccountRegion;
use crate::sandbox::world::clusters::{Cluster, ClusterState, Recipe};
use crate::sandbox::world::identities::SERVICE_ROLE;
use crate::sandbox::world::marker;

/// `ClusterSummary`
pub(super) fn summary(here: &AccountRegion, cluster: &Cluster, now_ms: i64) -> Value {
    json!({
        "Id": cluster.id,
        "Name": cluster.name,
        "Status": status(here.recipe(cluster), cluster, now_ms),
        "NormalizedInstanceHours": instance_hours(cluster, now_ms),
        "ClusterArn": arn(here, cluster),
    })
}

/// `Cluster`
pub(super) fn detail(here: &AccountRegion, cluster: &Cluster, now_ms: i64) -> Value {
    let recipe = here.recipe(cluster);
    let secret = |offset: u32| marker(recipe.secret + offset);
    let mut tags: Vec<Value> = recipe
        .tags
        .iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect();
    tags.push(json!({"Key": secret(4), "Value": secret(5)}));
    let mut body = json!({
        "Id": cluster.id,
        "Name": cluster.name,
        "Status": status(recipe, cluster, now_ms),
        "Ec2InstanceAttributes": {
            "Ec2KeyName": secret(2),
            "Ec2SubnetId": "subnet-0a1b2c3d",
            "Ec2AvailabilityZone": format!("{}a", here.region),
            "IamInstanceProfile": recipe.instance_profile,
        },
        "InstanceCollectionType": "INSTANCE_GROUP",
        "AutoTerminate": recipe.is_job,
        "TerminationProtected": !recipe.is_job,
        "VisibleToAllUsers": true,
        "Applications": [
            {"Name": "Hadoop", "Version": "3.3.6"},
            {"Name": "Spark", "Version": "3.5.0", "Args": ["--password", secret(6)]},
        ],
        "Tags": tags,
        "ServiceRole": SERVICE_ROLE,
        "NormalizedInstanceHours": instance_hours(cluster, now_ms),
        "MasterPublicDnsName": format!("ec2-{}.compute.amazonaws.com", secret(1)),
        "Configurations": configurations(recipe, &secret(3)),
        "ScaleDownBehavior": "TERMINATE_AT_TASK_COMPLETION",
        "EbsRootVolumeSize": 64,
        "ClusterArn": arn(here, cluster),
        "StepConcurrencyLevel": 1,
    });
    let mut set = |name: &str, value: Value| body[name] = value;
    match recipe.release_label {
        Some(label) => set("ReleaseLabel", json!(label)),
        None => {
            set("RequestedAmiVersion", json!("3.11.0"));
            set("RunningAmiVersion", json!("3.11.0"));
        }
    }
    if let Some(uri) = &recipe.log_uri {
        set("LogUri", json!(uri));
    }
    if let Some(key) = &recipe.log_key {
        set("LogEncryptionKmsKeyId", json!(key));
    }
    if let Some(name) = recipe.security_configuration {
        set("SecurityConfiguration", json!(name));
    }
    let mut monitoring = json!({});
    if !recipe.upload_policy.is_empty() {
        let policy: Value = recipe
            .upload_policy
            .iter()
            .map(|(kind, choice)| ((*kind).to_owned(), json!(choice)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        monitoring["S3LoggingConfiguration"] = json!({"LogTypeUploadPolicy": policy});
    }
    if let Some(cloudwatch) = &recipe.beside.cloudwatch {
        monitoring["CloudWatchLogConfiguration"] = json!({
            "Enabled": true,
            "LogStreamNamePrefix": "emr",
            "EncryptionKeyArn": cloudwatch.requested_key,
            "LogTypes": {"STEP_LOGS": ["STDOUT", "STDERR"], "SPARK_DRIVER": ["STDERR"]},
        });
    }
    if monitoring != json!({}) {
        set("MonitoringConfiguration", monitoring);
    }
    if recipe.beside.session.is_some() {
        set("SessionEnabled", json!(true));
    }
    if recipe.kerberos {
        set(
            "KerberosAttributes",
            json!({
                "Realm": "EC2.INTERNAL",
                "KdcAdminPassword": secret(7),
                "CrossRealmTrustPrincipalPassword": secret(8),
                "ADDomainJoinUser": "joiner",
                "ADDomainJoinPassword": secret(9),
            }),
        );
    }
    body
}

/// Where logs go, among what nobody else may see.
fn configurations(recipe: &Recipe, secret: &str) -> Value {
    let hive = json!({
        "javax.jdo.option.ConnectionURL": "jdbc:mysql://metastore:3306/hive",
        "javax.jdo.option.ConnectionPassword": secret,
    });
    let mut all = vec![("hive-site", hive)];
    for (classification, property, value) in &recipe.beside.properties {
        match all.iter_mut().find(|(known, _)| known == classification) {
            Some((_, properties)) => properties[*property] = json!(value),
            None => {
                let properties = json!({*property: value, "spark.hadoop.password": secret});
                all.push((*classification, properties));
            }
        }
    }
    all.into_iter()
        .map(|(classification, properties)| {
            json!({"Classification": classification, "Properties": properties,
                "Configurations": []})
        })
        .collect()
}

fn status(recipe: &Recipe, cluster: &Cluster, now_ms: i64) -> Value {
    let state = cluster.state_at(now_ms, recipe);
    let code = match state {
        ClusterState::TerminatedWithErrors => Some("STEP_FAILURE"),
        ClusterState::Terminated | ClusterState::Terminating if recipe.is_job => {
            Some("ALL_STEPS_COMPLETED")
        }
        ClusterState::Terminated | ClusterState::Terminating => Some("USER_REQUEST"),
        _ => None,
    };
    let mut reason = json!({"Message": marker(recipe.secret)});
    if let Some(code) = code {
        reason["Code"] = json!(code);
    }
    let mut timeline = json!({"CreationDateTime": seconds(cluster.created_ms)});
    if cluster.ready_ms <= now_ms {
        timeline["ReadyDateTime"] = seconds(cluster.ready_ms);
    }
    if let Some(ended) = cluster.ended_at(now_ms) {
        timeline["EndDateTime"] = seconds(ended);
    }
    json!({"State": state.as_str(), "StateChangeReason": reason, "Timeline": timeline})
}

fn arn(here: &AccountRegion, cluster: &Cluster) -> String {
    format!(
        "arn:aws:elasticmapreduce:{}:{}:cluster/{}",
        here.region, here.account_id, cluster.id
    )
}

/// Sixteen normalized units for every begun hour.
fn instance_hours(cluster: &Cluster, now_ms: i64) -> i64 {
    let until = cluster.ended_at(now_ms).unwrap_or(now_ms);
    (until - cluster.created_ms) / 3_600_000 * 16 + 16
}
