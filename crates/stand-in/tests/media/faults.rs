use super::{Page, ask, client, get, get_signed, hls, refusal, refused};
use aws_sdk_mediapackage::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use stand_in::{
    ACCESS_KEY_ID, Endpoints, Fault, MediaLive, MediaPackage, REGION, S3, SECRET_ACCESS_KEY,
    SyntheticStream, Traffic, Versioning,
};
use std::time::{Duration, Instant};

/// All services with one traffic, and a call to each.
struct Everything {
    traffic: Traffic,
    s3: S3,
    mediapackage: MediaPackage,
    medialive: MediaLive,
    client: Client,
    s3_client: aws_sdk_s3::Client,
}

impl Everything {
    fn start() -> Self {
        let traffic = Traffic::default();
        let s3 = S3::builder().traffic(&traffic).start();
        s3.create_bucket("control", Versioning::Off);
        let mediapackage = MediaPackage::start(&traffic);
        mediapackage.create_channel("a", SyntheticStream::default());
        mediapackage.create(&hls("a-hls"));
        let medialive = MediaLive::start(&traffic);
        medialive.create_channel("1001", 1);
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(aws_sdk_s3::config::BehaviorVersion::v2026_01_12())
            .credentials_provider(aws_sdk_s3::config::Credentials::new(
                ACCESS_KEY_ID,
                SECRET_ACCESS_KEY,
                None,
                None,
                "stand-in",
            ))
            .endpoint_url(s3.endpoint_url())
            .region(aws_sdk_s3::config::Region::new(REGION))
            .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled());
        let client = client(&mediapackage);
        Self {
            traffic,
            s3,
            mediapackage,
            medialive,
            client,
            s3_client: aws_sdk_s3::Client::from_conf(config.build()),
        }
    }

    /// The HTTP status and the error code; the status is 0 if there was no answer.
    async fn put(&self) -> (u16, String) {
        match self
            .s3_client
            .put_object()
            .bucket("control")
            .key("state")
            .send()
            .await
        {
            Ok(_) => (200, String::new()),
            Err(error) => {
                let status = error
                    .raw_response()
                    .map_or(0, |response| response.status().as_u16());
                (status, error.code().unwrap_or_default().to_owned())
            }
        }
    }

    fn describe_channel(&self) -> Page {
        get_signed(
            "medialive",
            REGION,
            &format!("{}/prod/channels/1001", self.medialive.endpoint_url()),
        )
    }
}

#[tokio::test]
async fn calls_to_all_services_are_counted_together() {
    let everything = Everything::start();
    let url = everything.mediapackage.url("a-hls");
    everything.put().await;
    everything
        .client
        .describe_origin_endpoint()
        .id("a-hls")
        .send()
        .await
        .unwrap();
    get(&format!("{url}?m=1"));
    everything.describe_channel();
    everything.put().await;
    let calls = everything.traffic.calls();
    let path = url
        .strip_prefix(&everything.mediapackage.origin_url())
        .unwrap();
    let told: Vec<_> = calls
        .iter()
        .map(|call| {
            (
                call.index,
                call.service,
                call.operation.as_str(),
                call.key.as_str(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (0, "s3", "PutObject", "state"),
            (1, "mediapackage", "DescribeOriginEndpoint", "a-hls"),
            (2, "origin", "GET", path),
            (3, "medialive", "DescribeChannel", "1001"),
            (4, "s3", "PutObject", "state"),
        ]
    );
    assert_eq!(everything.s3.calls(), calls);
    everything.s3.reset_calls();
    assert!(everything.traffic.calls().is_empty());
}

#[tokio::test]
async fn a_status_strikes_whichever_service_the_call_goes_to() {
    let everything = Everything::start();
    let words = [
        (500, "InternalError", "InternalServerErrorException"),
        (503, "SlowDown", "ServiceUnavailableException"),
        (403, "AccessDenied", "AccessDeniedException"),
    ];
    for (status, of_s3, of_media) in words {
        everything.traffic.reset_calls();
        (0..4).for_each(|index| everything.traffic.fault(index, Fault::status(status)));
        assert_eq!(everything.put().await, refused(status, of_s3));
        let deleted = everything
            .client
            .delete_origin_endpoint()
            .id("a-hls")
            .send()
            .await;
        assert_eq!(refusal(deleted), refused(status, of_media));
        assert_eq!(get(&everything.mediapackage.url("a-hls")).status, status);
        let page = everything.describe_channel();
        assert_eq!(
            (page.status, page.headers["x-amzn-errortype"].as_str()),
            (status, of_media)
        );
        assert_eq!(page.json()["message"], "refused by the test");
    }
    // Nothing has taken effect, and what follows is undisturbed.
    assert!(everything.s3.keys("control", "").is_empty());
    everything
        .client
        .describe_origin_endpoint()
        .id("a-hls")
        .send()
        .await
        .unwrap();
    everything.traffic.fault(
        5,
        Fault::Status {
            status: 429,
            code: "TooManyRequestsException",
        },
    );
    let described = everything
        .client
        .describe_origin_endpoint()
        .id("a-hls")
        .send()
        .await;
    assert!(
        described
            .unwrap_err()
            .as_service_error()
            .unwrap()
            .is_too_many_requests_exception()
    );
}

#[tokio::test]
async fn a_reset_comes_before_or_after_the_effect() {
    let Everything {
        traffic,
        mediapackage,
        client,
        ..
    } = Everything::start();
    traffic.fault(0, Fault::ResetBefore);
    traffic.fault(1, Fault::ResetAfter);
    traffic.fault(2, Fault::ResetBefore);
    assert_eq!(
        refusal(client.delete_origin_endpoint().id("a-hls").send().await).0,
        0
    );
    assert!(mediapackage.endpoint("a-hls").is_some());
    assert_eq!(
        refusal(client.delete_origin_endpoint().id("a-hls").send().await).0,
        0
    );
    assert!(mediapackage.endpoint("a-hls").is_none());
    assert!(ask("GET", &format!("{}/", mediapackage.origin_url()), &[]).is_err());
}

#[tokio::test]
async fn a_held_call_is_announced_and_never_answered() {
    let Everything {
        traffic,
        mediapackage,
        client,
        ..
    } = Everything::start();
    for (fault, is_there) in [(Fault::HoldBefore, true), (Fault::HoldAfter, false)] {
        traffic.reset_calls();
        traffic.fault(0, fault);
        let delete = tokio::spawn(client.delete_origin_endpoint().id("a-hls").send());
        traffic.held().await;
        assert!(!delete.is_finished());
        delete.abort();
        assert_eq!(mediapackage.endpoint("a-hls").is_some(), is_there);
    }
}

#[tokio::test]
async fn a_hook_comes_in_between_two_services() {
    let everything = Everything::start();
    let endpoints = Endpoints::clone(&everything.mediapackage);
    everything
        .traffic
        .before_call(1, move || endpoints.delete("a-hls"));
    everything.put().await;
    assert!(everything.mediapackage.endpoint("a-hls").is_some());
    let described = everything
        .client
        .describe_origin_endpoint()
        .id("a-hls")
        .send()
        .await;
    assert_eq!(refusal(described), refused(404, "NotFoundException"));
}

#[tokio::test]
async fn latency_is_added_to_every_call() {
    let everything = Everything::start();
    let latency = Duration::from_millis(20);
    everything.traffic.set_latency(latency);
    let before = Instant::now();
    everything.put().await;
    everything
        .client
        .describe_origin_endpoint()
        .id("a-hls")
        .send()
        .await
        .unwrap();
    get(&everything.mediapackage.url("a-hls"));
    everything.describe_channel();
    assert!(before.elapsed() >= latency * 4);
}
