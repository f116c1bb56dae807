//! CPU of one API call through the SDK alone, and as Keyproof makes it: what `scripts/bench sdk`
//! measures. Nothing is asserted; one line of JSON is printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_emr::config::{Credentials, Region as SdkRegion};
use keyproof::aws::{AwsOptions, AwsShell};
use keyproof::collect::api::{AssumeRole, Cloud as _, ClusterFilter};
use keyproof::model::ids::Region;
use keyproof::time::SystemClock;
use serde_json::json;

use super::at_scale::{Used, variable};

/// Requests in flight.
const CONCURRENCY: u64 = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: scripts/bench sdk"]
async fn list_clusters_through_the_sdk_alone_and_as_we_call_it() {
    let url = variable("KEYPROOF_BENCH_URL");
    let calls: u64 = variable("KEYPROOF_BENCH_CALLS").parse().expect("number");
    let account = variable("KEYPROOF_BENCH_ACCOUNT");
    let region: Region = variable("AWS_REGION").parse().expect("Region");

    let shared = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .endpoint_url(&url)
        .load()
        .await;
    let answer = aws_sdk_sts::Client::new(&shared)
        .assume_role()
        .role_arn(format!("arn:aws:iam::{account}:role/keyproof-reader"))
        .role_session_name("bench")
        .external_id(variable("KEYPROOF_BENCH_EXTERNAL_ID"))
        .send()
        .await
        .expect("the role");
    let given = answer.credentials.expect("credentials");
    let config = shared
        .to_builder()
        .region(SdkRegion::new(region.as_str().to_owned()))
        .credentials_provider(aws_sdk_emr::config::SharedCredentialsProvider::new(
            Credentials::new(
                given.access_key_id,
                given.secret_access_key,
                Some(given.session_token),
                None,
                "bench",
            ),
        ))
        .build();
    let client = aws_sdk_emr::Client::new(&config);
    let clusters = Arc::new(AtomicU64::new(0));
    let bare = measured(calls, || {
        let (client, clusters) = (client.clone(), clusters.clone());
        async move {
            let answer = client.list_clusters().send().await.expect("a list");
            let listed = answer.clusters.unwrap_or_default().len() as u64;
            clusters.fetch_add(listed, Ordering::Relaxed);
        }
    })
    .await;

    let options = AwsOptions {
        endpoint_url: Some(url),
        region: Some(region.clone()),
        ..AwsOptions::new(Arc::new(SystemClock))
    };
    let shell = AwsShell::connect(options).await.expect("connected");
    let role = AssumeRole {
        account_id: account.parse().expect("account"),
        role_name: "keyproof-reader".to_owned(),
        session_name: "bench".to_owned(),
        external_id: Some(variable("KEYPROOF_BENCH_EXTERNAL_ID")),
        duration_seconds: 3_600,
    };
    let member = Arc::<dyn keyproof::collect::api::Member>::from(
        shell.assume(&role).await.expect("the role"),
    );
    let ours = measured(calls, || {
        let (member, region, clusters) = (member.clone(), region.clone(), clusters.clone());
        async move {
            let filter = ClusterFilter {
                states: vec![],
                created_after: None,
            };
            let page = member
                .clusters(&region, &filter, None)
                .await
                .expect("a list");
            clusters.fetch_add(page.items.len() as u64, Ordering::Relaxed);
        }
    })
    .await;
    let listed = clusters.load(Ordering::Relaxed) as f64 / (2 * calls) as f64;
    println!(
        "measured {}",
        json!({"calls": calls, "clusters_per_page": listed, "bare": bare, "ours": ours})
    );
}

/// Makes so many calls, some at a time.
async fn measured<F: Future<Output = ()> + Send + 'static>(
    calls: u64,
    call: impl Fn() -> F,
) -> serde_json::Value {
    // Connections are opened before.
    for calls in [CONCURRENCY * 4, calls] {
        let begun = Used::now();
        let mut open = tokio::task::JoinSet::new();
        for _ in 0..calls {
            if open.len() as u64 >= CONCURRENCY {
                open.join_next().await.expect("open").expect("a call");
            }
            open.spawn(call());
        }
        while let Some(ended) = open.join_next().await {
            ended.expect("a call");
        }
        if calls > CONCURRENCY * 4 {
            let used = begun.since();
            return json!({"wall_s": used.wall_s, "cpu_s": used.cpu_s});
        }
    }
    json!(null)
}
