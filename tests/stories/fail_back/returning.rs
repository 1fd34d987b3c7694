//! How a side returns, and which side is active then.

use super::{A, B, cut, run};
use serde_json::{Value, json};
use stand_in::{Endpoints, Reply};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use stories::pair::{
    ALERT, CHANNELS, ENDPOINTS, Stage, alert_cleared, alert_set, attribute, by_hand, metrics,
};
use stories::{event, response};

/// The definition without the attributes that each new endpoint changes.
fn lasting(mut definition: Value) -> Value {
    for name in ["arn", "createdAt", "url"] {
        definition.as_object_mut().unwrap().remove(name).unwrap();
    }
    definition
}

async fn fail_over(stage: &Stage, settings: &[(&str, &str)], event: Value) -> Value {
    response(stage.call("fail-over", settings, event).await)
}

/// Promise P53. A deleted endpoint is recreated from its saved definition, with its tags and with
/// attributes that On Air does not know.
#[tokio::test]
async fn a_deleted_endpoint_is_created_again_with_all_its_attributes() {
    let stage = Stage::published(&[]).await;
    let definition = stage.mediapackage.endpoint(ENDPOINTS[A]).unwrap();
    assert_eq!(definition["tags"], json!({ "show": "evening" }));
    fail_over(&stage, &[], alert_set(A)).await;
    let answer = run(&stage, &[], alert_cleared(A)).await;
    assert_eq!(
        answer["steps"],
        json!([
            "restore A",
            "create endpoint show-a-hls",
            "take A back",
            "publish",
            "steer"
        ])
    );
    let made = stage.mediapackage.endpoint(ENDPOINTS[A]).unwrap();
    assert_ne!(
        (&made["url"], &made["arn"]),
        (&definition["url"], &definition["arn"])
    );
    assert_eq!(lasting(made), lasting(definition));
}

/// Promise P53. A deleted endpoint is recreated from its saved definition, with its tags and with
/// attributes that On Air does not know.
#[tokio::test]
async fn a_denied_endpoint_is_allowed_again_and_is_otherwise_unchanged() {
    let settings = [("CUT", "deny")];
    let stage = Stage::published(&settings).await;
    let definition = stage.mediapackage.endpoint(ENDPOINTS[A]);
    fail_over(&stage, &settings, alert_set(A)).await;
    // A change by a person in the meantime stays.
    let mut denied = stage.mediapackage.endpoint(ENDPOINTS[A]).unwrap();
    assert_eq!(denied["origination"], "DENY");
    denied["description"] = "changed meanwhile".into();
    stage.mediapackage.update(ENDPOINTS[A], &denied);
    let answer = run(&stage, &settings, alert_cleared(A)).await;
    assert_eq!(
        answer["steps"],
        json!([
            "restore A",
            "allow endpoint show-a-hls",
            "take A back",
            "publish",
            "steer"
        ])
    );
    assert_eq!(answer["notes"], Value::Null);
    let mut expected = definition.unwrap();
    expected["description"] = "changed meanwhile".into();
    assert_eq!(stage.mediapackage.endpoint(ENDPOINTS[A]), Some(expected));
}

/// Promise P53: of a CMAF endpoint only the manifests have URLs.
#[tokio::test]
async fn a_cmaf_endpoint_returns_with_its_manifests() {
    for cut_by in ["delete", "deny"] {
        let settings = [("CUT", cut_by)];
        let stage = Stage::new();
        stage.mediapackage.delete(ENDPOINTS[A]);
        let made = stage.mediapackage.create(&json!({
            "id": ENDPOINTS[A],
            "channelId": CHANNELS[A],
            "cmafPackage": { "segmentPrefix": "show", "hlsManifests": [{ "id": "hls", "manifestName": "live", "newer": 1 }] },
        }));
        stage.publish(&settings).await;
        assert!(
            stage.variants()[0].1.ends_with("/hls/live_1.m3u8"),
            "{:?}",
            stage.variants()
        );
        assert_eq!(
            fail_over(&stage, &settings, alert_set(A)).await["outcome"],
            "failed_over"
        );
        let answer = run(&stage, &settings, alert_cleared(A)).await;
        assert_eq!(answer["outcome"], "failed_back", "{answer:#}");
        let mut again = stage.mediapackage.endpoint(ENDPOINTS[A]).unwrap();
        assert_eq!(again["arn"] == made["arn"], cut_by == "deny");
        again["cmafPackage"]["hlsManifests"][0]["url"] =
            made["cmafPackage"]["hlsManifests"][0]["url"].clone();
        assert_eq!(lasting(again), lasting(made));
        let there = stage
            .variants()
            .into_iter()
            .find(|(pathway, _)| pathway == "A.2")
            .unwrap()
            .1;
        assert!(there.ends_with("/hls/live_1.m3u8"), "{there}");
    }
}

/// Promise P53: the response to an update is compared with the definition before it.
#[tokio::test]
async fn an_unexpected_change_by_an_update_is_reported() {
    let settings = [("CUT", "deny")];
    let undisturbed = cut(&settings, A).await;
    undisturbed.traffic.reset_calls();
    run(&undisturbed, &settings, alert_cleared(A)).await;
    let calls = undisturbed.traffic.calls();
    let update = calls
        .iter()
        .find(|call| call.operation == "UpdateOriginEndpoint")
        .unwrap()
        .index;

    let stage = cut(&settings, A).await;
    stage.traffic.reset_calls();
    let endpoints = Endpoints::clone(&stage.mediapackage);
    stage.traffic.before_call(update, move || {
        let mut other = endpoints.endpoint(ENDPOINTS[A]).unwrap();
        other["tags"] = json!({});
        endpoints.delete(ENDPOINTS[A]);
        endpoints.create(&other);
    });
    let answer = run(&stage, &settings, alert_cleared(A)).await;
    assert_eq!(answer["outcome"], "failed_back");
    let note = answer["notes"][0].as_str().unwrap_or_default();
    assert!(
        note.starts_with("endpoint show-a-hls: origination is ALLOW, but arn, ")
            && note.contains("tags"),
        "{answer:#}"
    );
}

/// Promise P53. A deleted endpoint is recreated from its saved definition, with its tags and with
/// attributes that On Air does not know.
#[tokio::test]
async fn an_endpoint_that_was_missing_before_the_cut_cannot_be_restored_but_one_created_by_hand_is_adopted()
 {
    let stage = Stage::published(&[]).await;
    let definition = stage.mediapackage.endpoint(ENDPOINTS[A]).unwrap();
    stage.mediapackage.delete(ENDPOINTS[A]);
    fail_over(&stage, &[], alert_set(A)).await;
    let answer = run(&stage, &[], alert_cleared(A)).await;
    assert_eq!(answer["outcome"], "held");
    assert!(
        answer["why"].as_str().unwrap().contains("create it"),
        "{answer:#}"
    );
    stage.mediapackage.create(&definition);
    assert_eq!(
        run(&stage, &[], event("fail-back/schedule.json")).await["outcome"],
        "failed_back"
    );
    assert!(
        stage.variants()[1]
            .1
            .starts_with(stage.bases()[A].as_deref().unwrap())
    );
}

/// Promise P54. Viewers are never sent to a side before it serves and is advancing.
#[tokio::test]
async fn viewers_are_not_sent_to_a_side_before_it_serves() {
    for cut_by in ["delete", "deny", "none"] {
        let settings = [("CUT", cut_by), ("PREFER", "A")];
        let stage = cut(&settings, A).await;
        let seen = |stage: &Stage| (stage.steering(), stage.public("index.m3u8"));
        let before = seen(&stage);
        for (file, reply, reason) in [
            ("", Reply::Status(404), "returned 404"),
            (
                "index.m3u8",
                Reply::Text("#EXTM3U\n".to_owned()),
                "cannot be parsed",
            ),
            (
                "index_1.m3u8",
                Reply::Status(404),
                "index_1.m3u8 returned 404",
            ),
            (
                "index_1.m3u8",
                Reply::Text("<html>".to_owned()),
                "the media playlist cannot be parsed",
            ),
            (
                "index_1.m3u8",
                Reply::Text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-ENDLIST\n".to_owned()),
                "has ended",
            ),
        ] {
            stage.mediapackage.set_reply(ENDPOINTS[A], file, reply);
            for event in [alert_cleared(A), by_hand(A)] {
                let answer = run(&stage, &settings, event).await;
                let why = answer["why"].as_str().unwrap_or_default();
                assert_eq!(answer["outcome"], "held", "{cut_by} {reason}: {answer:#}");
                assert!(
                    why.starts_with("side A is not advancing yet") && why.contains(reason),
                    "{reason}: {why}"
                );
                assert_eq!(
                    (seen(&stage), stage.statuses()[A].as_str()),
                    (before.clone(), "returning")
                );
            }
            stage.mediapackage.clear_replies(ENDPOINTS[A]);
        }
        assert_eq!(
            run(&stage, &settings, event("fail-back/schedule.json")).await["outcome"],
            "failed_back"
        );
    }
}

/// Promise P54: a new endpoint does not serve at once.
#[tokio::test]
async fn the_schedule_probes_again_until_the_side_serves() {
    let stage = cut(&[], A).await;
    stage.mediapackage.set_start_delay(Duration::from_secs(2));
    let fail_back = stage.start("fail-back", &[]);
    assert_eq!(
        response(fail_back.invoke(alert_cleared(A)).await)["outcome"],
        "held"
    );
    assert_eq!(metrics(&fail_back)["Held"], 1);
    let url = stage.mediapackage.url(ENDPOINTS[A]);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(
        response(fail_back.invoke(event("fail-back/schedule.json")).await)["outcome"],
        "failed_back"
    );
    assert_eq!(
        stage.mediapackage.url(ENDPOINTS[A]),
        url,
        "the endpoint is created once"
    );
    assert_eq!(metrics(&fail_back)["FailedBack"], 1);
}

/// Promise P54. Viewers are never sent to a side before it serves and is advancing.
#[tokio::test]
async fn viewers_are_not_sent_to_a_stale_side() {
    let stage = cut(&[("CUT", "none")], A).await;
    stage.mediapackage.stall(CHANNELS[A]);
    tokio::time::sleep(Duration::from_millis(3_600)).await;
    for event in [alert_cleared(A), by_hand(A)] {
        let answer = run(&stage, &[], event).await;
        assert_eq!(answer["outcome"], "held");
        assert!(
            answer["why"]
                .as_str()
                .unwrap()
                .contains("the newest segment was created"),
            "{answer:#}"
        );
    }
    assert_eq!(stage.steering()["PATHWAY-PRIORITY"][0], "B");
    stage.mediapackage.resume(CHANNELS[A]);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(
        run(&stage, &[], alert_cleared(A)).await["outcome"],
        "failed_back"
    );
}

/// Promise P54: without timestamps, a second probe is needed.
#[tokio::test]
async fn a_side_without_timestamps_is_probed_twice() {
    let stage = cut(&[], A).await;
    let playlist = |first: u64| {
        Reply::Text(format!(
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n#EXTINF:1,\n1.ts\n#EXTINF:1,\n2.ts\n"
        ))
    };
    stage
        .mediapackage
        .set_reply(ENDPOINTS[A], "index_1.m3u8", playlist(5));
    for _ in 0..2 {
        let answer = run(&stage, &[], alert_cleared(A)).await;
        assert_eq!(answer["outcome"], "held");
        assert!(
            answer["why"]
                .as_str()
                .unwrap()
                .contains("has no timestamps"),
            "{answer:#}"
        );
    }
    stage
        .mediapackage
        .set_reply(ENDPOINTS[A], "index_1.m3u8", playlist(6));
    assert_eq!(
        run(&stage, &[], alert_cleared(A)).await["outcome"],
        "failed_back"
    );
}

/// The pathways of a player that opened this playlist and then reads this manifest, each with its
/// URLs by stable variant id. As in hls.js, clones are added in the order of the array, and a clone
/// that is known or has no base is skipped.
fn pathways(playlist: &str, steering: &Value) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut known: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let lines: Vec<&str> = playlist.lines().collect();
    for pair in lines
        .windows(2)
        .filter(|pair| pair[0].starts_with("#EXT-X-STREAM-INF:"))
    {
        let urls = known
            .entry(attribute(pair[0], "PATHWAY-ID").to_owned())
            .or_default();
        urls.insert(
            attribute(pair[0], "STABLE-VARIANT-ID").to_owned(),
            pair[1].to_owned(),
        );
    }
    for clone in steering["PATHWAY-CLONES"].as_array().into_iter().flatten() {
        let name = |name: &str| clone[name].as_str().unwrap().to_owned();
        let Some(mut urls) = known
            .get(&name("BASE-ID"))
            .cloned()
            .filter(|_| !known.contains_key(&name("ID")))
        else {
            continue;
        };
        for (id, url) in clone["URI-REPLACEMENT"]["PER-VARIANT-URIS"]
            .as_object()
            .into_iter()
            .flatten()
        {
            urls.insert(id.clone(), url.as_str().unwrap().to_owned());
        }
        known.insert(name("ID"), urls);
    }
    known
}

/// Promise P55. After a delete or deny, a side returns under a new pathway name (`A.2`), which the
/// steering manifest announces to running players (`PATHWAY-CLONES`).
#[tokio::test]
async fn a_player_that_has_been_running_from_the_beginning_can_follow_every_switch() {
    for (cut_by, changes_url) in [("delete", true), ("deny", false)] {
        let settings = [("CUT", cut_by)];
        let stage = Stage::published(&settings).await;
        let opened_at_first = stage.public("index.m3u8");
        let (mut names, mut opened_later) = (Vec::new(), Vec::new());
        for side in [A, B, A, B] {
            let url = stage.mediapackage.url(ENDPOINTS[side]);
            assert_eq!(
                fail_over(&stage, &settings, by_hand(side)).await["outcome"],
                "failed_over"
            );
            assert_eq!(
                run(&stage, &settings, by_hand(side)).await["outcome"],
                "failed_back"
            );
            stage.an_hour_passes();
            assert_eq!(stage.mediapackage.url(ENDPOINTS[side]) != url, changes_url);
            opened_later.push(stage.public("index.m3u8"));
            let steering = stage.steering();
            let priority: Vec<String> =
                serde_json::from_value(steering["PATHWAY-PRIORITY"].clone()).unwrap();
            for playlist in opened_later.iter().chain([&opened_at_first]) {
                let known = pathways(playlist, &steering);
                for pathway in &priority {
                    let base = stage.bases()[usize::from(pathway.starts_with('B'))]
                        .clone()
                        .unwrap();
                    assert_eq!(known[pathway].len(), 3);
                    assert!(
                        known[pathway].values().all(|url| url.starts_with(&base)),
                        "{pathway}: {known:#?}"
                    );
                }
            }
            names.push(priority);
        }
        assert_eq!(
            names,
            [["B", "A.2"], ["A.2", "B.2"], ["B.2", "A.3"], ["A.3", "B.3"]],
            "{cut_by}"
        );
    }
}

/// Promise P55: a side that was only steered away from keeps its pathway.
#[tokio::test]
async fn a_side_that_served_without_errors_keeps_its_pathway() {
    let settings = [("CUT", "none")];
    let stage = cut(&settings, A).await;
    run(&stage, &settings, alert_cleared(A)).await;
    assert_eq!(
        stage.steering(),
        json!({ "VERSION": 1, "TTL": 10, "PATHWAY-PRIORITY": ["B", "A"] })
    );
}

/// Promise P56. With `PREFER=stay` viewers stay where they are, and with `PREFER=A` they return to
/// A when it is healthy.
#[tokio::test]
async fn viewers_stay_or_return_as_prefer_is_set() {
    for (prefer, lost, active) in [
        ("stay", A, "B"),
        ("stay", B, "A"),
        ("A", A, "A"),
        ("A", B, "A"),
        ("B", A, "B"),
        ("B", B, "B"),
    ] {
        for cut_by in ["delete", "none"] {
            let settings = [("PREFER", prefer), ("CUT", cut_by)];
            let stage = cut(&settings, lost).await;
            assert_eq!(
                run(&stage, &settings, alert_cleared(lost)).await["outcome"],
                "failed_back"
            );
            let first = stage.steering()["PATHWAY-PRIORITY"][0]
                .as_str()
                .unwrap()
                .to_owned();
            assert_eq!(
                (&first[..1], stage.variants()[0].0.as_str()),
                (active, first.as_str()),
                "{prefer} {cut_by}"
            );
            assert_eq!(stage.state()["first"], active);
        }
    }
}

/// Promise P57. A person can return a side without waiting (`{"onair": {"side": "A"}}`), and
/// promote a side that is live.
#[tokio::test]
async fn by_hand_a_side_returns_without_a_stabilization_period() {
    let settings = [("QUIET_SECONDS", "3600")];
    let stage = cut(&settings, A).await;
    stage.medialive.set_alert(CHANNELS[A], 0, ALERT);
    stage.medialive.set_state(CHANNELS[A], "IDLE");
    assert_eq!(
        run(&stage, &settings, event("fail-back/schedule.json")).await["outcome"],
        "unchanged"
    );
    // A request for the other side does not bring this one back.
    assert_eq!(
        run(&stage, &settings, by_hand(B)).await["outcome"],
        "unchanged"
    );
    let answer = run(&stage, &settings, event("fail-back/by-hand.json")).await;
    assert_eq!(
        (&answer["outcome"], &answer["returned"]),
        (&json!("failed_back"), &json!("A"))
    );
}

/// Promise P57. A person can return a side without waiting (`{"onair": {"side": "A"}}`), and
/// promote a side that is live.
#[tokio::test]
async fn a_person_promotes_a_side_that_is_live_and_advancing() {
    let stage = Stage::published(&[]).await;
    let before = stage.snapshot();
    stage
        .mediapackage
        .set_reply(ENDPOINTS[B], "index_1.m3u8", Reply::Status(404));
    assert_eq!(run(&stage, &[], by_hand(B)).await["outcome"], "held");
    assert_eq!(stage.snapshot(), before);
    stage.mediapackage.clear_replies(ENDPOINTS[B]);
    let answer = run(&stage, &[], by_hand(B)).await;
    assert_eq!(
        (&answer["outcome"], &answer["steps"]),
        (
            &json!("failed_back"),
            &json!(["promote B", "publish", "steer"])
        )
    );
    assert_eq!(stage.steering()["PATHWAY-PRIORITY"], json!(["B", "A"]));
    assert_eq!(stage.variants()[0].0, "B");
    let before = stage.snapshot();
    assert_eq!(run(&stage, &[], by_hand(B)).await["outcome"], "unchanged");
    assert_eq!(stage.snapshot(), before);
}

/// Promise P53: fail-back reverses the cut that the state records, whatever CUT is now.
#[tokio::test]
async fn a_side_returns_by_its_cut_record_and_not_by_the_settings() {
    for (then, now) in [("deny", "delete"), ("delete", "none"), ("none", "deny")] {
        let stage = cut(&[("CUT", then)], A).await;
        let before = stage.snapshot();
        assert_eq!(
            fail_over(&stage, &[("CUT", now)], alert_set(A)).await["outcome"],
            "unchanged",
            "{then} {now}"
        );
        assert_eq!(stage.snapshot(), before);
        let begin = SystemTime::now();
        assert_eq!(
            run(&stage, &[("CUT", now)], alert_cleared(A)).await["outcome"],
            "failed_back",
            "{begin:?}"
        );
        assert_eq!(
            stage.mediapackage.endpoint(ENDPOINTS[A]).unwrap()["origination"],
            "ALLOW"
        );
    }
}
