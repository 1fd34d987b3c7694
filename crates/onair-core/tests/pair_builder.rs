//! The redundant playlist and the steering manifest: examples, and properties that hold for any two
//! ladders.

use chrono::{DateTime, TimeDelta, Utc};
use onair_core::fail_back;
use onair_core::fail_over::{self, Loss};
use onair_core::pair::endpoint::Definition;
use onair_core::pair::held::HeldReason;
use onair_core::pair::state::{PairState, Until};
use onair_core::pair::{CutBy, Side, Sides};
use onair_core::playlist::MultivariantPlaylist;
use onair_core::publish_playlist::{
    Document, Published, PublishedIndex, SideFetch, SidePlaylist, index, plan, steering,
};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn playlist(side: &str, text: &str) -> SidePlaylist {
    SidePlaylist::parse(
        text,
        &format!("https://{side}.example.com/out/v1/1/index.m3u8")
            .parse()
            .unwrap(),
    )
    .unwrap()
}

fn definition(side: Side, uuid: u32) -> Definition {
    Definition::parse(&json!({
        "id": side.to_string(), "channelId": side.to_string(), "arn": format!("arn:{side}:{uuid}"),
        "url": format!("https://{side}.example.com/out/v1/{uuid}/index.m3u8"),
    }))
    .unwrap()
}

const LADDER: &str = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n\
    #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"aac\",NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,URI=\"audio.m3u8\"\n\
    #EXT-X-STREAM-INF:BANDWIDTH=3000000,RESOLUTION=1280x720,FRAME-RATE=30.000,CODECS=\"avc1.64001f,mp4a.40.2\",AUDIO=\"aac\",CLOSED-CAPTIONS=NONE\nhd.m3u8\n\
    #EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=640x360,FRAME-RATE=30.000,CODECS=\"avc1.64001f,mp4a.40.2\",AUDIO=\"aac\",CLOSED-CAPTIONS=NONE\nsd.m3u8\n\
    #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=200000,RESOLUTION=640x360,CODECS=\"avc1.64001f\",URI=\"if.m3u8\"\n";

fn both(a: &str, b: &str) -> Sides<Option<SidePlaylist>> {
    Sides {
        a: Some(playlist("a", a)),
        b: Some(playlist("b", b)),
    }
}

#[test]
fn the_variants_of_a_pair_are_adjacent_and_have_the_same_attributes() {
    // B's encoder measured another peak, and writes the attributes in another order.
    let b = LADDER.replace(
        "BANDWIDTH=3000000,RESOLUTION=1280x720",
        "RESOLUTION=1280x720,BANDWIDTH=3100000",
    );
    let rendered = index::render(&PairState::default(), &both(LADDER, &b), true);
    insta::assert_snapshot!(rendered.text, @r#"
    #EXTM3U
    #EXT-X-VERSION:6
    #EXT-X-INDEPENDENT-SEGMENTS
    #EXT-X-CONTENT-STEERING:SERVER-URI="steering.json",PATHWAY-ID="A"
    #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac-A",NAME="English",LANGUAGE="en",DEFAULT=YES,STABLE-RENDITION-ID="aac-en-English",URI="https://a.example.com/out/v1/1/audio.m3u8"
    #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac-B",NAME="English",LANGUAGE="en",DEFAULT=YES,STABLE-RENDITION-ID="aac-en-English",URI="https://b.example.com/out/v1/1/audio.m3u8"
    #EXT-X-STREAM-INF:BANDWIDTH=3100000,RESOLUTION=1280x720,FRAME-RATE=30.000,CODECS="avc1.64001f,mp4a.40.2",AUDIO="aac-A",CLOSED-CAPTIONS=NONE,PATHWAY-ID="A",STABLE-VARIANT-ID="1280x720-30.00-avc1.64001f+mp4a.40.2"
    https://a.example.com/out/v1/1/hd.m3u8
    #EXT-X-STREAM-INF:BANDWIDTH=3100000,RESOLUTION=1280x720,FRAME-RATE=30.000,CODECS="avc1.64001f,mp4a.40.2",AUDIO="aac-B",CLOSED-CAPTIONS=NONE,PATHWAY-ID="B",STABLE-VARIANT-ID="1280x720-30.00-avc1.64001f+mp4a.40.2"
    https://b.example.com/out/v1/1/hd.m3u8
    #EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=640x360,FRAME-RATE=30.000,CODECS="avc1.64001f,mp4a.40.2",AUDIO="aac-A",CLOSED-CAPTIONS=NONE,PATHWAY-ID="A",STABLE-VARIANT-ID="640x360-30.00-avc1.64001f+mp4a.40.2"
    https://a.example.com/out/v1/1/sd.m3u8
    #EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=640x360,FRAME-RATE=30.000,CODECS="avc1.64001f,mp4a.40.2",AUDIO="aac-B",CLOSED-CAPTIONS=NONE,PATHWAY-ID="B",STABLE-VARIANT-ID="640x360-30.00-avc1.64001f+mp4a.40.2"
    https://b.example.com/out/v1/1/sd.m3u8
    #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=200000,RESOLUTION=640x360,CODECS="avc1.64001f",PATHWAY-ID="A",STABLE-VARIANT-ID="i-frames-640x360-avc1.64001f",URI="https://a.example.com/out/v1/1/if.m3u8"
    #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=200000,RESOLUTION=640x360,CODECS="avc1.64001f",PATHWAY-ID="B",STABLE-VARIANT-ID="i-frames-640x360-avc1.64001f",URI="https://b.example.com/out/v1/1/if.m3u8"
    "#);
    assert!(rendered.unpaired.is_empty() && rendered.steered);
}

#[test]
fn an_entry_of_only_one_side_stays_and_turns_steering_off() {
    let b: String = LADDER
        .split_inclusive('\n')
        .filter(|line| !line.contains("640x360,FRAME") && *line != "sd.m3u8\n")
        .collect();
    let rendered = index::render(&PairState::default(), &both(LADDER, &b), true);
    assert!(
        rendered
            .text
            .contains("https://a.example.com/out/v1/1/sd.m3u8"),
        "{}",
        rendered.text
    );
    assert!(!rendered.text.contains("CONTENT-STEERING") && !rendered.steered);
    insta::assert_debug_snapshot!(rendered.unpaired, @r#"
    [
        "B lacks variant 640x360-30.00-avc1.64001f+mp4a.40.2, 900000 bit/s",
    ]
    "#);
}

fn loss(side: Side) -> Loss {
    Loss {
        side,
        why: "test".to_owned(),
        until: Until::Healthy,
    }
}

#[test]
fn a_side_that_returned_at_another_url_is_announced_as_a_new_pathway() {
    let show = pair();
    let state = PairState::default();
    let was = definition(Side::A, 1);
    let cut = fail_over::cut(&show, &state, &loss(Side::A), Some(&was), at(0));
    insta::assert_snapshot!(steering::render(&cut, &both(LADDER, LADDER), TimeDelta::seconds(10)), @r#"{"VERSION":1,"TTL":10,"PATHWAY-PRIORITY":["B"]}"#);
    let back = fail_back::returned(&cut, Side::A, Some(&definition(Side::A, 2)), None, at(900));
    insta::assert_snapshot!(steering::render(&back, &both(LADDER, LADDER), TimeDelta::seconds(10)), @r#"{"VERSION":1,"TTL":10,"PATHWAY-PRIORITY":["B","A.2"],"PATHWAY-CLONES":[{"BASE-ID":"B","ID":"A.2","URI-REPLACEMENT":{"PER-VARIANT-URIS":{"1280x720-30.00-avc1.64001f+mp4a.40.2":"https://a.example.com/out/v1/1/hd.m3u8","640x360-30.00-avc1.64001f+mp4a.40.2":"https://a.example.com/out/v1/1/sd.m3u8","i-frames-640x360-avc1.64001f":"https://a.example.com/out/v1/1/if.m3u8"},"PER-RENDITION-URIS":{"aac-en-English":"https://a.example.com/out/v1/1/audio.m3u8"}}}]}"#);
    // Then B is cut and returns. Its new pathway derives from that of the active side.
    let was = definition(Side::B, 1);
    let cut = fail_over::cut(&show, &back, &loss(Side::B), Some(&was), at(1000));
    let back = fail_back::returned(
        &cut,
        Side::B,
        Some(&definition(Side::B, 2)),
        Some(Side::A),
        at(1900),
    );
    let manifest: Value = serde_json::from_str(&steering::render(
        &back,
        &both(LADDER, LADDER),
        TimeDelta::seconds(10),
    ))
    .unwrap();
    assert_eq!(manifest["PATHWAY-PRIORITY"], json!(["A.2", "B.2"]));
    let clones: Vec<_> = manifest["PATHWAY-CLONES"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (&c["ID"], &c["BASE-ID"]))
        .collect();
    assert_eq!(
        clones,
        [(&json!("A.2"), &json!("B")), (&json!("B.2"), &json!("A.2"))]
    );
}

/// The attributes of a variant that pairing compares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rung {
    height: u64,
    rate: &'static str,
    codecs: &'static str,
    kbps: u64,
}

fn rung() -> impl Strategy<Value = Rung> {
    (
        select(&[0_u64, 360, 720, 1080][..]),
        select(&["", "29.970", "30.000", "60"][..]),
        select(
            &[
                "avc1.64001f,mp4a.40.2",
                "mp4a.40.2,avc1.64001f",
                "hvc1.1.6.L93,mp4a.40.2",
                "",
            ][..],
        ),
        1_000..1_400_u64,
    )
        .prop_map(|(height, rate, codecs, kbps)| Rung {
            height,
            rate,
            codecs,
            kbps,
        })
}

fn text(rungs: &[Rung], has_audio: bool, has_i_frames: bool) -> String {
    let mut text = "#EXTM3U\n#EXT-X-VERSION:4\n".to_owned();
    if has_audio {
        text += "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x\",URI=\"audio.m3u8\"\n";
    }
    for (
        number,
        Rung {
            height,
            rate,
            codecs,
            kbps,
        },
    ) in rungs.iter().enumerate()
    {
        text += &format!("#EXT-X-STREAM-INF:BANDWIDTH={}", kbps * 1000);
        for (name, value) in [
            (
                "RESOLUTION",
                (*height > 0).then(|| format!("{}x{height}", height * 2)),
            ),
            ("FRAME-RATE", (!rate.is_empty()).then(|| (*rate).to_owned())),
            (
                "CODECS",
                (!codecs.is_empty()).then(|| format!("\"{codecs}\"")),
            ),
            ("AUDIO", has_audio.then(|| "\"a\"".to_owned())),
        ] {
            if let Some(value) = value {
                text += &format!(",{name}={value}");
            }
        }
        text += &format!("\n{number}.m3u8?x=1,2\n");
        if has_i_frames {
            text += &format!(
                "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={kbps},RESOLUTION=2x{height},URI=\"i{number}.m3u8\"\n"
            );
        }
    }
    text
}

/// Two ladders that share some rungs, with different bandwidths and in different orders.
fn ladders() -> impl Strategy<Value = (Vec<Rung>, Vec<Rung>, bool, bool)> {
    let rungs = || proptest::collection::vec(rung(), 0..3);
    (
        rungs(),
        rungs(),
        proptest::collection::vec((rung(), 0..60_u64), 1..4),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_flat_map(|(only_a, only_b, shared, audio, i_frames)| {
            let a: Vec<Rung> = shared
                .iter()
                .map(|(rung, _)| rung.clone())
                .chain(only_a)
                .collect();
            let b: Vec<Rung> = shared
                .into_iter()
                .map(|(rung, more)| Rung {
                    kbps: rung.kbps + more,
                    ..rung
                })
                .chain(only_b)
                .collect();
            (
                Just(a).prop_shuffle(),
                Just(b).prop_shuffle(),
                Just(audio),
                Just(i_frames),
            )
        })
}

fn uris(playlist: &str, side: &str) -> BTreeSet<String> {
    let playlist = MultivariantPlaylist::parse(playlist).unwrap();
    playlist
        .all_uris()
        .map(|uri| format!("https://{side}.example.com/out/v1/1/{uri}"))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn a_published_playlist_names_every_url_once_and_parses_to_the_same_pairs((a, b, audio, i_frames) in ladders(), first in select(&Side::BOTH[..])) {
        let (a, b) = (text(&a, audio, i_frames), text(&b, audio, i_frames));
        let mut state = PairState::default();
        state.active = first;
        let rendered = index::render(&state, &both(&a, &b), true);
        let playlist = MultivariantPlaylist::parse(&rendered.text).unwrap();

        // The playlist names each URL of each side once, and otherwise only the steering manifest.
        let mut named: Vec<String> = playlist.all_uris().map(str::to_owned).collect();
        named.sort();
        let mut own: Vec<String> = uris(&a, "a").into_iter().chain(uris(&b, "b")).collect();
        own.extend(rendered.steered.then(|| "steering.json".to_owned()));
        own.sort();
        prop_assert_eq!(named, own);

        // The variants of a pair are equal, and the active side's is first.
        let mut by_name: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for line in rendered.text.lines().filter(|line| line.starts_with("#EXT-X-STREAM-INF")) {
            let value = |name: &str| line.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().to_owned();
            let (pathway, id) = (value("PATHWAY-ID"), value("STABLE-VARIANT-ID"));
            let alike = line.replace(&format!("PATHWAY-ID=\"{pathway}\""), "").replace(&format!("-{pathway}\""), "\"");
            by_name.entry(id).or_default().push((pathway, alike));
        }
        for (id, variants) in &by_name {
            match variants.as_slice() {
                [_] => prop_assert!(!rendered.steered, "{} is alone in a steered playlist", id),
                [one, other] => {
                    prop_assert_eq!(&one.1, &other.1);
                    prop_assert_eq!(&one.0, &first.to_string());
                    prop_assert_eq!(&other.0, &first.other().to_string());
                }
                more => prop_assert!(false, "{} is the id of {:?}", id, more),
            }
        }

        // From the published playlist it can be rendered again, also with one side alone.
        let known = index::split(&index::parse(&rendered.text).unwrap(), &state);
        prop_assert_eq!(&index::render(&state, &known, true), &rendered);
        let manifest = |playlists| steering::render(&state, playlists, TimeDelta::seconds(5));
        prop_assert_eq!(manifest(&known), manifest(&both(&a, &b)));
        let alone = Sides { a: None, b: known.b };
        let alone = index::render(&state, &alone, true);
        prop_assert!(alone.steered && alone.unpaired.is_empty());
        let of_b: BTreeSet<String> = MultivariantPlaylist::parse(&alone.text).unwrap().all_uris().filter(|uri| *uri != "steering.json").map(str::to_owned).collect();
        prop_assert_eq!(of_b, uris(&b, "b"));
    }
}

fn pair() -> onair_core::pair::Pair {
    crate::pair_world::pair(CutBy::Delete, None)
}

fn published(text: &str, generation: u64) -> Published {
    let steering = steering::render(
        &PairState::default(),
        &both(LADDER, LADDER),
        TimeDelta::seconds(10),
    );
    Published {
        index: Some(PublishedIndex::parse(Document {
            text: text.to_owned(),
            generation,
        })),
        steering: Some(Document {
            text: steering,
            generation,
        }),
    }
}

#[test]
fn a_side_that_does_not_answer_stays_and_one_without_an_endpoint_is_left_out() {
    let state = PairState::default();
    let text = index::render(&state, &both(LADDER, LADDER), true).text;
    let b = || SideFetch::Playlist(Box::new(playlist("b", LADDER)));
    let plan_with = |published: &Published, a: SideFetch| {
        plan(&pair(), &state, published, &Sides { a, b: b() }, false)
    };

    let silent = plan_with(
        &published(&text, 0),
        SideFetch::Unavailable("GET returned 500".to_owned()),
    )
    .unwrap();
    assert_eq!(
        (silent.index, silent.variants),
        (None, Sides { a: 2, b: 2 })
    );
    assert_eq!(
        silent.missing,
        ["A: GET returned 500; its published part stays"]
    );

    let gone = plan_with(&published(&text, 0), SideFetch::NoEndpoint).unwrap();
    assert_eq!(gone.variants, Sides { a: 0, b: 2 });
    assert!(!gone.index.unwrap().contains("a.example.com"));

    let never = plan_with(
        &Published::default(),
        SideFetch::Unavailable("GET returned 500".to_owned()),
    )
    .unwrap();
    assert_eq!(never.variants, Sides { a: 0, b: 2 });

    let silent = || SideFetch::Unavailable("GET returned 500".to_owned());
    let nothing = plan(
        &pair(),
        &state,
        &Published::default(),
        &Sides {
            a: silent(),
            b: silent(),
        },
        false,
    );
    assert!(
        matches!(nothing, Err(HeldReason::NothingToPublish { .. })),
        "{nothing:?}"
    );
    assert!(published(&text, 1).is_ahead_of(&state));
    assert!(!published(&text, 0).is_ahead_of(&state));
}

#[test]
fn a_playlist_that_on_air_did_not_write_is_not_used() {
    let state = PairState::default();
    let foreign = published(LADDER, 0);
    let fetches = Sides {
        a: SideFetch::Unavailable("away".to_owned()),
        b: SideFetch::Playlist(Box::new(playlist("b", LADDER))),
    };
    let plan = plan(&pair(), &state, &foreign, &fetches, false).unwrap();
    assert_eq!(plan.variants, Sides { a: 0, b: 2 });
}

#[test]
fn a_playlist_with_variables_is_refused() {
    let text = LADDER.replace(
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "#EXT-X-DEFINE:NAME=\"x\",VALUE=\"y\"",
    );
    let url = "https://a.example.com/index.m3u8".parse().unwrap();
    assert!(
        SidePlaylist::parse(&text, &url)
            .unwrap_err()
            .contains("EXT-X-DEFINE")
    );
}
