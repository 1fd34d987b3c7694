use super::{client_with, get_signed, hls, refusal, refused, start};
use aws_sdk_mediapackage::error::DisplayErrorContext;
use aws_sdk_mediapackage::types::{
    AdMarkers, CmafPackageCreateOrUpdateParameters, DashPackage, HlsEncryption,
    HlsManifestCreateOrUpdateParameters, HlsPackage, Origination, PlaylistType, SpekeKeyProvider,
    StreamOrder, StreamSelection,
};
use serde_json::{Value, json};

#[tokio::test]
async fn an_endpoint_comes_back_as_it_was_made() {
    let (mediapackage, client) = start();
    let keys = SpekeKeyProvider::builder()
        .resource_id("stream")
        .role_arn("arn:aws:iam::123456789012:role/speke")
        .system_ids("81376844-f976-481e-a84e-cc25d39b0b33")
        .url("https://keys.example.com/speke");
    let selection = StreamSelection::builder()
        .max_video_bits_per_second(5_000_000)
        .min_video_bits_per_second(1_000)
        .stream_order(StreamOrder::VideoBitrateDescending)
        .build();
    let package = HlsPackage::builder()
        .ad_markers(AdMarkers::Daterange)
        .encryption(
            HlsEncryption::builder()
                .speke_key_provider(keys.build())
                .build(),
        )
        .include_dvb_subtitles(true)
        .playlist_window_seconds(120)
        .program_date_time_interval_seconds(2)
        .stream_selection(selection);
    let made = client
        .create_origin_endpoint()
        .id("a-hls")
        .channel_id("a")
        .description("side A")
        .manifest_name("live")
        .origination(Origination::Allow)
        .startover_window_seconds(3600)
        .time_delay_seconds(10)
        .whitelist("192.0.2.0/24")
        .tags("show", "final")
        .hls_package(package.clone().build())
        .send()
        .await
        .unwrap();
    let described = client
        .describe_origin_endpoint()
        .id("a-hls")
        .send()
        .await
        .unwrap();
    assert_eq!(described.hls_package(), made.hls_package());
    // Missing attributes have their defaults. All others are as in the request.
    let filled = package
        .playlist_type(PlaylistType::Event)
        .segment_duration_seconds(6)
        .include_iframe_only_stream(false)
        .use_audio_rendition_group(false)
        .build();
    assert_eq!(described.hls_package(), Some(&filled));
    assert_eq!(described.description(), Some("side A"));
    assert_eq!(described.startover_window_seconds(), Some(3600));
    assert_eq!(described.time_delay_seconds(), Some(10));
    assert_eq!(described.whitelist(), ["192.0.2.0/24"]);
    assert_eq!(described.tags().unwrap()["show"], "final");
    let uuid = described
        .arn()
        .unwrap()
        .strip_prefix("arn:aws:mediapackage:us-west-2:123456789012:origin_endpoints/");
    let url = format!(
        "{}/out/v1/{}/live.m3u8",
        mediapackage.origin_url(),
        uuid.unwrap()
    );
    assert_eq!(
        (described.url(), uuid.unwrap().len()),
        (Some(url.as_str()), 32)
    );
    assert_eq!(mediapackage.url("a-hls"), url);
}

#[tokio::test]
async fn what_was_not_said_gets_its_default() {
    let (mediapackage, client) = start();
    let packaged = client.create_origin_endpoint().channel_id("a");
    let made = packaged
        .clone()
        .id("hls")
        .hls_package(HlsPackage::builder().build())
        .send()
        .await
        .unwrap();
    assert_eq!(
        (made.manifest_name(), made.origination()),
        (Some("index"), Some(&Origination::Allow))
    );
    assert_eq!(
        (made.startover_window_seconds(), made.time_delay_seconds()),
        (Some(0), Some(0))
    );
    assert!(
        made.description().is_none()
            && made.authorization().is_none()
            && made.created_at().is_some()
    );
    let package = made.hls_package().unwrap();
    assert_eq!(
        (
            package.segment_duration_seconds(),
            package.playlist_window_seconds()
        ),
        (Some(6), Some(60))
    );
    assert_eq!(
        package
            .stream_selection()
            .unwrap()
            .max_video_bits_per_second(),
        Some(i32::MAX)
    );

    let manifest = HlsManifestCreateOrUpdateParameters::builder()
        .id("main")
        .build();
    let package = CmafPackageCreateOrUpdateParameters::builder()
        .hls_manifests(manifest)
        .build();
    let made = packaged
        .clone()
        .id("cmaf")
        .cmaf_package(package)
        .send()
        .await
        .unwrap();
    let package = made.cmaf_package().unwrap();
    assert_eq!(
        (made.url(), package.segment_prefix()),
        (Some(""), Some("a"))
    );
    let manifest = &package.hls_manifests()[0];
    assert!(
        manifest.url().unwrap().ends_with("/main/index.m3u8"),
        "{manifest:?}"
    );
    assert_eq!(manifest.manifest_name(), Some("index"));

    let made = packaged
        .id("dash")
        .dash_package(DashPackage::builder().build())
        .send()
        .await
        .unwrap();
    assert!(made.url().unwrap().ends_with("/index.mpd"));
    assert_eq!(
        made.dash_package()
            .unwrap()
            .suggested_presentation_delay_seconds(),
        Some(25)
    );
    let mss = mediapackage.create(&json!({"id": "mss", "channelId": "a", "mssPackage": {}}));
    assert!(
        mss["url"]
            .as_str()
            .unwrap()
            .ends_with("/index.ism/Manifest")
    );
}

#[tokio::test]
async fn an_update_sets_back_what_it_leaves_out() {
    let (mediapackage, client) = start();
    let made = mediapackage.create(&json!({
        "id": "a-hls", "channelId": "a", "description": "side A", "tags": {"show": "final"},
        "whitelist": ["192.0.2.0/24"], "hlsPackage": {"playlistWindowSeconds": 120},
    }));
    let update = client
        .update_origin_endpoint()
        .id("a-hls")
        .origination(Origination::Deny);
    let updated = update.send().await.unwrap();
    assert_eq!(
        (updated.origination(), updated.description()),
        (Some(&Origination::Deny), None)
    );
    assert!(updated.whitelist().is_empty());
    assert_eq!(
        updated.hls_package().unwrap().playlist_window_seconds(),
        Some(60)
    );
    // Attributes that are not settings stay, and so does the URL.
    let described = mediapackage.endpoint("a-hls").unwrap();
    for kept in ["id", "channelId", "tags", "arn", "createdAt", "url"] {
        assert_eq!(described[kept], made[kept], "{kept}");
    }
    let renamed = mediapackage.update("a-hls", &json!({"manifestName": "live", "hlsPackage": {}}));
    assert_eq!(
        renamed["url"],
        made["url"].as_str().unwrap().replace("index", "live")
    );
}

#[test]
fn a_definition_that_goes_back_as_it_was_described_changes_nothing() {
    let (mediapackage, _) = start();
    let manifests = json!([{"id": "main", "playlistWindowSeconds": 90}]);
    let packages = [
        ("hlsPackage", json!({})),
        ("cmafPackage", json!({"hlsManifests": manifests})),
        ("dashPackage", json!({})),
    ];
    for (package, settings) in packages {
        let mut endpoint =
            json!({"id": package, "channelId": "a", "newerThanTheModel": {"b": [1, null]}});
        endpoint[package] = settings;
        let made = mediapackage.create(&endpoint);
        assert_eq!(mediapackage.update(package, &made), made);
        mediapackage.delete(package);
        let again = mediapackage.create(&made);
        assert_ne!((&again["url"], &again["arn"]), (&made["url"], &made["arn"]));
        let uuid = |endpoint: &Value| {
            endpoint["arn"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned()
        };
        let moved = made.to_string().replace(&uuid(&made), &uuid(&again));
        let mut moved: Value = serde_json::from_str(&moved).unwrap();
        moved["createdAt"] = again["createdAt"].clone();
        assert_eq!(again, moved);
    }
}

#[test]
fn an_update_without_a_packager_keeps_its_type() {
    let (mediapackage, _) = start();
    let manifests = json!([{"id": "main", "playlistWindowSeconds": 90}]);
    mediapackage.create(
        &json!({"id": "cmaf", "channelId": "a", "cmafPackage": {"hlsManifests": manifests}}),
    );
    let updated = mediapackage.update("cmaf", &json!({}));
    let manifest = &updated["cmafPackage"]["hlsManifests"][0];
    assert_eq!(
        (&manifest["id"], &manifest["playlistWindowSeconds"]),
        (&json!("main"), &json!(60))
    );
}

#[tokio::test]
async fn a_deleted_endpoint_is_gone_and_made_again_it_has_another_address() {
    let (mediapackage, client) = start();
    let first = mediapackage.create(&hls("a-hls"));
    client
        .delete_origin_endpoint()
        .id("a-hls")
        .send()
        .await
        .unwrap();
    let gone = refused(404, "NotFoundException");
    assert_eq!(
        refusal(client.describe_origin_endpoint().id("a-hls").send().await),
        gone
    );
    assert_eq!(
        refusal(client.delete_origin_endpoint().id("a-hls").send().await),
        gone
    );
    assert_eq!(
        refusal(client.update_origin_endpoint().id("a-hls").send().await),
        gone
    );
    let second = mediapackage.create(&hls("a-hls"));
    assert_ne!(
        (&first["url"], &first["arn"]),
        (&second["url"], &second["arn"])
    );
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_with_a_reason() {
    let (mediapackage, client) = start();
    mediapackage.create(&hls("taken"));
    let create = |id: &str| client.create_origin_endpoint().id(id).channel_id("a");
    let package = HlsPackage::builder().build();
    let wrong = HlsPackage::builder().playlist_type("LOOP".into()).build();
    let negative = HlsPackage::builder().playlist_window_seconds(-1).build();
    let dash = DashPackage::builder().build();
    let refusals = [
        create("taken").hls_package(package.clone()).send().await,
        create("an id").hls_package(package.clone()).send().await,
        create("none").send().await,
        create("two")
            .hls_package(package.clone())
            .dash_package(dash.clone())
            .send()
            .await,
        create("wrong").hls_package(wrong).send().await,
        create("negative").hls_package(negative).send().await,
    ];
    let reasons = refusals.map(|refusal| {
        let error = refusal.unwrap_err();
        assert!(
            error
                .as_service_error()
                .unwrap()
                .is_unprocessable_entity_exception(),
            "{error:?}"
        );
        DisplayErrorContext(error).to_string()
    });
    let words = [
        "taken already exists",
        "id must be",
        "exactly one",
        "exactly one",
        "playlistType",
        "playlistWindow",
    ];
    for (reason, word) in reasons.iter().zip(words) {
        assert!(reason.contains(word), "{reason}");
    }
    let update = client
        .update_origin_endpoint()
        .id("taken")
        .dash_package(dash)
        .send()
        .await;
    assert_eq!(
        refusal(update),
        refused(422, "UnprocessableEntityException")
    );
    let nowhere = create("nowhere")
        .channel_id("b")
        .hls_package(package)
        .send()
        .await;
    assert_eq!(refusal(nowhere), refused(404, "NotFoundException"));
}

#[tokio::test]
async fn a_list_is_of_a_channel_and_comes_in_pages() {
    let (mediapackage, client) = start();
    mediapackage.create_channel("b", stand_in::SyntheticStream::default());
    for n in 0..5 {
        mediapackage.create(&hls(&format!("a-{n}")));
    }
    mediapackage.create(&json!({"id": "b-0", "channelId": "b", "hlsPackage": {}}));
    let all = client.list_origin_endpoints().send().await.unwrap();
    assert_eq!((all.origin_endpoints().len(), all.next_token()), (6, None));
    assert_eq!(all.origin_endpoints()[5].channel_id(), Some("b"));
    let mut pages = client
        .list_origin_endpoints()
        .channel_id("a")
        .max_results(2)
        .into_paginator()
        .send();
    let mut ids: Vec<Vec<String>> = Vec::new();
    while let Some(page) = pages.next().await {
        ids.push(
            page.unwrap()
                .origin_endpoints()
                .iter()
                .filter_map(|endpoint| endpoint.id().map(str::to_owned))
                .collect(),
        );
    }
    assert_eq!(ids, [vec!["a-0", "a-1"], vec!["a-2", "a-3"], vec!["a-4"]]);
    let none = client.list_origin_endpoints().max_results(0).send().await;
    assert_eq!(refusal(none), refused(422, "UnprocessableEntityException"));
}

#[tokio::test]
async fn a_request_must_be_signed_for_the_place_it_goes_to() {
    let (mediapackage, _) = start();
    let stranger = client_with(&mediapackage, "stranger");
    let list = stranger.list_origin_endpoints().send().await;
    assert_eq!(refusal(list), refused(403, "UnrecognizedClientException"));
    let url = format!("{}/origin_endpoints", mediapackage.endpoint_url());
    assert_eq!(get_signed("mediapackage", "us-west-2", &url).status, 200);
    for (page, code) in [
        (
            get_signed("mediapackage", "eu-west-1", &url),
            "InvalidSignatureException",
        ),
        (
            get_signed("s3", "us-west-2", &url),
            "InvalidSignatureException",
        ),
        (super::get(&url), "MissingAuthenticationTokenException"),
    ] {
        assert_eq!(
            (page.status, page.headers["x-amzn-errortype"].as_str()),
            (403, code)
        );
    }
    assert_eq!(
        get_signed(
            "mediapackage",
            "us-west-2",
            &url.replace("origin_endpoints", "channels")
        )
        .status,
        501
    );
}
