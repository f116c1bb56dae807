//! What every client shares: credentials of the default chain, Region, endpoint, timeouts, clock and
//! connection pool.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::meta::region::ProvideRegion as _;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::profile::region::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_sts::config::{
    Credentials, IdentityCache, ProvideCredentials as _, SharedCredentialsProvider,
    SharedHttpClient,
};
use aws_types::sdk_config::TimeSource;

use crate::aws::clients::Kept;
use crate::aws::error::{causes, shorten};
use crate::aws::http::{ClockOffset, SharedHttp};
use crate::model::ids::Region;
use crate::time::Clock;

/// How to reach AWS.
#[derive(Clone)]
pub struct AwsOptions {
    /// Profile of the shared configuration files. Given here, it wins over credentials in the
    /// environment, as with the AWS CLI.
    pub profile: Option<String>,
    /// Region of STS and of the archive's first request. Default: the chain's Region (environment,
    /// profile, instance), else `us-east-1`.
    pub region: Option<Region>,
    /// One URL for every service, S3 then in path style. Default: `AWS_ENDPOINT_URL` and its kin.
    /// A loopback URL is never sent through a proxy.
    pub endpoint_url: Option<String>,
    /// Signs requests and measures the offset to AWS; may be a shifted clock.
    pub clock: Arc<dyn Clock>,
    /// Longest wait for one answer, connecting included. 10 s is a good value.
    pub attempt_timeout: Duration,
    /// Longest wait for a connection. 3 s is a good value.
    pub connect_timeout: Duration,
    /// Access key id and secret in place of the default chain: a sandbox's, never a real account's.
    pub static_credentials: Option<(String, String)>,
}

impl AwsOptions {
    /// The default chain, endpoints and timeouts.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            profile: None,
            region: None,
            endpoint_url: None,
            clock,
            attempt_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            static_credentials: None,
        }
    }
}

/// Why no session could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(
        "no AWS credentials found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
         or run where a web identity, container or instance role is attached ({detail})"
    )]
    NoCredentials { detail: String },
    #[error(
        "AWS profile '{profile}' gives no credentials: the shared files (~/.aws/config and \
         ~/.aws/credentials) do not have it, or it names none ({detail}); `aws configure list-profiles` \
         lists the profiles that are there"
    )]
    NoProfile { profile: String, detail: String },
    #[error(
        "AWS profile '{profile}' cannot be used: {detail}; see `aws configure list-profiles`, and \
         log in again (`aws sso login`) if it is an SSO profile"
    )]
    BadProfile { profile: String, detail: String },
    #[error(
        "AWS credentials could not be obtained: {detail}; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY, to use others"
    )]
    Credentials { detail: String },
    #[error("endpoint URL '{url}' is not of the form http://host:port or https://host")]
    BadEndpoint { url: String },
}

/// A connection to AWS with the caller's own credentials. Cheap to clone.
#[derive(Clone)]
pub struct AwsShell {
    pub(super) base: SdkConfig,
    pub(super) region: Region,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) offset: Arc<ClockOffset>,
    pub(super) attempt_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) kept: Arc<Kept>,
}

impl AwsShell {
    /// Loads the default chain (environment, profile, SSO, web identity, container, instance) and
    /// asks it for credentials once, so that a machine without any fails here and not in a cell.
    /// The credentials refresh themselves for as long as the shell lives.
    pub async fn connect(options: AwsOptions) -> Result<Self, ConnectError> {
        let credentials = options
            .static_credentials
            .as_ref()
            .map(|(id, secret)| Credentials::new(id, secret, None, None, "given"));
        Self::connect_with(options, credentials).await
    }

    /// `credentials` stand in for the chain's where they are known.
    pub(super) async fn connect_with(
        options: AwsOptions,
        credentials: Option<Credentials>,
    ) -> Result<Self, ConnectError> {
        let endpoint = options.endpoint_url.as_deref();
        if let Some(url) = endpoint.filter(|url| !is_endpoint(url)) {
            return Err(ConnectError::BadEndpoint { url: shorten(url) });
        }
        let offset = Arc::new(ClockOffset::default());
        let http = SharedHttpClient::new(SharedHttp::new(
            Arc::clone(&options.clock),
            Arc::clone(&offset),
            !endpoint.is_some_and(is_loopback),
        ));
        let time = ClockSource(Arc::clone(&options.clock));
        let timeouts = timeouts(options.connect_timeout, options.attempt_timeout);

        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http.clone())
            .time_source(time.clone())
            .timeout_config(timeouts.clone())
            .identity_cache(IdentityCache::lazy().build())
            .stalled_stream_protection(
                StalledStreamProtectionConfig::enabled()
                    .grace_period(options.attempt_timeout)
                    .build(),
            )
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        if let Ok(name) = AppName::new(concat!("keyproof-", env!("CARGO_PKG_VERSION"))) {
            loader = loader.app_name(name);
        }
        if let Some(url) = endpoint {
            loader = loader.endpoint_url(url);
        }
        let mut region = options.region.clone();
        if let Some(profile) = &options.profile {
            let provider = ProviderConfig::default()
                .with_http_client(http)
                .with_time_source(time)
                .with_timeout_config(timeouts);
            let profile_region = ProfileFileRegionProvider::builder()
                .configure(&provider)
                .profile_name(profile)
                .build()
                .region()
                .await;
            region = region.or_else(|| profile_region.as_ref()?.as_ref().parse().ok());
            loader = loader.profile_name(profile).credentials_provider(
                ProfileFileCredentialsProvider::builder()
                    .configure(&provider.with_region(profile_region))
                    .profile_name(profile)
                    .build(),
            );
        }
        if let Some(credentials) = credentials {
            loader = loader.credentials_provider(credentials);
        }
        if let Some(region) = &region {
            loader = loader.region(sdk_region(region));
        }
        let loaded = loader.load().await;

        if let Some(provider) = loaded.credentials_provider() {
            provider
                .provide_credentials()
                .await
                .map_err(|e| connect_error(&e, options.profile.as_deref()))?;
        }
        let region: Region = loaded
            .region()
            .and_then(|r| r.as_ref().parse().ok())
            .unwrap_or_else(default_region);
        // Retries are the collector's own: the SDK's would bypass the rate budgets of the accounts.
        // They stay on inside the credential providers, which read the loader's settings.
        let base = loaded
            .into_builder()
            .region(sdk_region(&region))
            .retry_config(RetryConfig::disabled())
            .build();
        Ok(Self {
            base,
            region,
            clock: options.clock,
            offset,
            attempt_timeout: options.attempt_timeout,
            connect_timeout: options.connect_timeout,
            kept: Arc::default(),
        })
    }

    /// Region of STS and of everything that is not asked for by Region.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// What answers the collector's own calls, for messages.
    pub fn endpoint(&self) -> String {
        match self.base.endpoint_url() {
            Some(url) => url.to_owned(),
            None => format!("AWS STS in {}", self.region),
        }
    }

    /// The same settings with a member's credentials. They are handed over resolved and not cached:
    /// the SDK's cache holds 64 identities and evicts arbitrarily.
    pub(super) fn with_credentials(&self, credentials: Credentials) -> SdkConfig {
        self.base
            .to_builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .identity_cache(IdentityCache::no_cache())
            .build()
    }
}

impl fmt::Debug for AwsShell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AwsShell({})", self.region)
    }
}

/// Explicit limits: by default the SDK waits for an answer for ever.
pub(super) fn timeouts(connect: Duration, attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(connect)
        .operation_attempt_timeout(attempt)
        .build()
}

/// Our Region as the SDK's.
pub(super) fn sdk_region(region: &Region) -> aws_config::Region {
    aws_config::Region::new(region.as_str().to_owned())
}

/// The Region that signs requests to a partition's global services (Organizations, account).
/// <https://docs.aws.amazon.com/general/latest/gr/ao.html>
pub(super) fn global_region(home: &Region) -> Region {
    let name = match home.partition() {
        "aws-cn" => "cn-northwest-1",
        "aws-us-gov" => "us-gov-west-1",
        "aws-eusc" => "eusc-de-east-1",
        "aws-iso" => "us-iso-east-1",
        "aws-iso-b" => "us-isob-east-1",
        _ => "us-east-1",
    };
    name.parse().unwrap_or_else(|_| home.clone())
}

fn default_region() -> Region {
    "us-east-1".parse().unwrap_or_else(|_| Region::global())
}

/// `http://` or `https://`, then a host.
fn is_endpoint(url: &str) -> bool {
    host(url).is_some_and(|host| !host.is_empty())
}

fn is_loopback(url: &str) -> bool {
    host(url).is_some_and(|host| {
        host == "localhost"
            || host.ends_with(".localhost")
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
    })
}

/// The host of an endpoint URL; IPv6 without its brackets. `None` with user information, which would
/// end up in messages.
fn host(url: &str) -> Option<&str> {
    let rest = ["http://", "https://"]
        .into_iter()
        .find_map(|scheme| url.strip_prefix(scheme))?;
    let authority = rest.split('/').next()?;
    let clean = authority
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    if !clean {
        return None;
    }
    if let Some(v6) = authority.strip_prefix('[') {
        return v6.split_once(']').map(|(ip, _)| ip);
    }
    authority.split(':').next()
}

fn connect_error(error: &CredentialsError, profile: Option<&str>) -> ConnectError {
    let detail = shorten(&causes(error));
    let named = profile
        .map(str::to_owned)
        .or_else(|| std::env::var("AWS_PROFILE").ok());
    match (error, named) {
        (CredentialsError::CredentialsNotLoaded(_), Some(profile)) => {
            ConnectError::NoProfile { profile, detail }
        }
        // Whatever else was tried, the profile that was named did not do.
        (_, Some(profile)) => ConnectError::BadProfile { profile, detail },
        (CredentialsError::CredentialsNotLoaded(_), None) => ConnectError::NoCredentials { detail },
        _ => ConnectError::Credentials { detail },
    }
}

/// Our clock as the SDK's, so that a simulated day signs with its own time.
#[derive(Clone)]
pub(super) struct ClockSource(pub Arc<dyn Clock>);

impl fmt::Debug for ClockSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClockSource")
    }
}

impl TimeSource for ClockSource {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.now().0.max(0).unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_urls_with_a_host_and_nothing_secret() {
        for good in [
            "http://127.0.0.1:4566",
            "https://x.example",
            "http://[::1]:80/",
        ] {
            assert!(is_endpoint(good), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1:4566",
            "ftp://x",
            "http://",
            "http:///x",
            "https://user:secret@x",
            "http://a b",
        ] {
            assert!(!is_endpoint(bad), "{bad}");
        }
    }

    #[test]
    fn loopback_is_told_from_the_world() {
        for yes in [
            "http://127.0.0.1:1",
            "http://[::1]:80",
            "http://localhost/",
            "https://s3.localhost:1",
        ] {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in ["http://10.0.0.1", "https://localhost.example.com"] {
            assert!(!is_loopback(no), "{no}");
        }
    }

    #[test]
    fn global_services_sign_for_their_partition() {
        for (home, signed) in [
            ("eu-west-1", "us-east-1"),
            ("cn-north-1", "cn-northwest-1"),
            ("us-gov-east-1", "us-gov-west-1"),
            ("eusc-de-east-1", "eusc-de-east-1"),
        ] {
            let home: Region = home.parse().expect("Region");
            assert_eq!(global_region(&home).as_str(), signed);
        }
    }
}
