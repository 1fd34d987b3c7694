//! Single runs of fail-over and fail-back with answers that the model of `pair_world` never gives.

use crate::pair_builder::at;
use crate::pair_world::pair;
use chrono::TimeDelta;
use onair_core::fail_back;
use onair_core::fail_over::{self, Loss};
use onair_core::pair::endpoint::Definition;
use onair_core::pair::freshness::PlaylistProbe;
use onair_core::pair::next::{Effect, Next, Question};
use onair_core::pair::observed::{Answer, Observed, PairDocuments};
use onair_core::pair::state::{PairState, PathwayClone, Until};
use onair_core::pair::trigger::{PairEvent, Trigger};
use onair_core::pair::{CutBy, Pair, Side, Sides};
use onair_core::publish_playlist::{
    Document, Published, PublishedIndex, SideFetch, SidePlaylist, index,
};
use serde_json::json;

fn playlist(base: &str, variants: usize) -> SidePlaylist {
    let variants: String = (1..=variants)
        .map(|number| format!("#EXT-X-STREAM-INF:BANDWIDTH={number}00\n{number}.m3u8\n"))
        .collect();
    let url = format!("https://{base}.example.com/index.m3u8");
    SidePlaylist::parse(&format!("#EXTM3U\n{variants}"), &url.parse().unwrap()).unwrap()
}

fn definition(side: Side) -> Definition {
    let url = format!("https://{side}.example.com/index.m3u8");
    let id = format!("{side}-hls");
    Definition::parse(&json!({ "id": id, "channelId": "c", "arn": id, "url": url })).unwrap()
}

/// Both sides, as they were published from this state.
fn documents(state: PairState, playlists: Sides<SidePlaylist>) -> PairDocuments {
    let text = index::render(&state, &playlists.map(Some), true).text;
    let generation = state.generation;
    let index = PublishedIndex::parse(Document { text, generation });
    PairDocuments {
        state,
        published: Published {
            index: Some(index),
            steering: None,
        },
    }
}

fn observed(trigger: Trigger, seconds: i64) -> Observed {
    let event = PairEvent {
        trigger,
        dry_run: false,
        by_hand: false,
    };
    let mut observed = Observed::new(event, false, Sides::default());
    observed.begin(at(seconds));
    observed
}

/// Runs until there is something else to do than to read, to ask and to write the state.
fn run_to_effect(
    pair: &Pair,
    next: fn(&Pair, &Observed) -> Next,
    observed: &mut Observed,
    documents: &PairDocuments,
    answer: &dyn Fn(Question) -> Answer,
) -> Next {
    for _ in 0..20 {
        match next(pair, observed) {
            Next::Read(_) => observed.read(documents.clone()),
            Next::Ask(questions) => {
                for question in questions {
                    observed.record(answer(question));
                }
            }
            Next::WriteState(change) => observed.written(*change),
            other => return other,
        }
    }
    panic!("the run asks again and again: {:?}", next(pair, observed));
}

fn stale(seconds: i64) -> PlaylistProbe {
    PlaylistProbe {
        last_updated_ms: Some(at(seconds - 300).timestamp_millis()),
        text: "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n1.ts\n".to_owned(),
        at: at(seconds),
    }
}

/// The published playlist of A and A's own name different media playlists, and B waits to be cut.
#[test]
fn a_check_ends_although_a_sides_own_playlist_is_not_the_published_one() {
    let pair = pair(CutBy::Deny, None);
    let mut state = PairState::default();
    state.sides.a.since = Some(at(0));
    state.sides.a.pathway = "A.2".to_owned();
    state.clones = vec![PathwayClone {
        id: "A.2".to_owned(),
        base: "B".to_owned(),
    }];
    let loss = Loss {
        side: Side::B,
        why: "test".to_owned(),
        until: Until::Healthy,
    };
    let endpoint = definition(Side::B);
    let state = fail_over::cut(&pair, &state, &loss, Some(&endpoint), at(1));
    let published = documents(state, Sides::of(|side| playlist(&side.to_string(), 2)));
    let answer = |question: Question| match question {
        Question::Endpoint(side) => Answer::Endpoint(side, Ok(Some(definition(side)))),
        Question::Playlist(side) => Answer::Playlist(
            side,
            SideFetch::Playlist(Box::new(playlist("elsewhere", 1))),
        ),
        Question::Media(side, url) if url.host_str() == Some("elsewhere.example.com") => {
            Answer::Media(side, url, Ok(stale(100)))
        }
        Question::Media(side, url) => Answer::Media(side, url, Err("404".to_owned())),
        Question::SetAlerts(side) => Answer::SetAlerts(side, Ok(Vec::new())),
        other => panic!("{other:?}"),
    };
    let mut observed = observed(Trigger::ScheduledCheck, 100);

    loop {
        match run_to_effect(&pair, fail_over::next, &mut observed, &published, &answer) {
            Next::Apply { effect, .. } => observed.applied(&pair, effect, None),
            Next::Report(ending) => {
                assert!(
                    ending.notes[0].contains("side B is not cut yet"),
                    "{ending:?}"
                );
                break;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A lost side whose cut failed, and then another run replaced the published playlist.
#[test]
fn an_effect_that_failed_is_tried_again_after_a_conflict() {
    let pair = pair(CutBy::Delete, None);
    let published = documents(
        PairState::default(),
        Sides::of(|side| playlist(&side.to_string(), 2)),
    );
    let advancing = PlaylistProbe {
        last_updated_ms: Some(at(100).timestamp_millis()),
        ..stale(100)
    };
    let answer = |question: Question| match question {
        Question::Endpoint(side) => Answer::Endpoint(side, Ok(Some(definition(side)))),
        Question::Media(side, url) => Answer::Media(side, url, Ok(advancing.clone())),
        other => panic!("{other:?}"),
    };
    let mut observed = observed(Trigger::Manual { side: Side::A }, 100);
    let run = |observed: &mut Observed| {
        run_to_effect(&pair, fail_over::next, observed, &published, &answer)
    };
    let Next::Apply { effect, .. } = run(&mut observed) else {
        panic!("players are not told");
    };
    assert!(matches!(effect, Effect::Steer(_)));
    observed.applied(&pair, effect, None);
    let Next::Apply { effect: cut, .. } = run(&mut observed) else {
        panic!("the side is not cut");
    };
    observed.failed(cut.clone(), "503".to_owned());
    assert!(matches!(
        run(&mut observed),
        Next::Apply {
            effect: Effect::Publish(_),
            ..
        }
    ));
    let state = observed.state().unwrap().clone();

    observed.begin(at(101));
    observed.read(PairDocuments {
        state,
        published: published.published.clone(),
    });

    let mut steps = Vec::new();
    while let Next::Apply { effect, .. } = run(&mut observed) {
        steps.push(effect.clone());
        observed.applied(&pair, effect, None);
    }
    assert!(steps.contains(&cut), "{steps:?}");
}

/// A is promoted while B, whose playlist is not published, does not answer.
#[test]
fn a_note_is_reported_once() {
    let pair = Pair {
        steering_ttl: Some(TimeDelta::seconds(10)),
        ..pair(CutBy::Deny, None)
    };
    let mut state = PairState::default();
    state.active = Side::B;
    let mut published = documents(state, Sides::of(|side| playlist(&side.to_string(), 2)));
    published.published.index = None;
    let advancing = PlaylistProbe {
        last_updated_ms: Some(at(100).timestamp_millis()),
        ..stale(100)
    };
    let answer = |question: Question| match question {
        Question::Playlist(Side::A) => {
            Answer::Playlist(Side::A, SideFetch::Playlist(Box::new(playlist("A", 2))))
        }
        Question::Playlist(Side::B) => {
            Answer::Playlist(Side::B, SideFetch::Unavailable("500".to_owned()))
        }
        Question::Media(side, url) => Answer::Media(side, url, Ok(advancing.clone())),
        other => panic!("{other:?}"),
    };
    let mut observed = observed(Trigger::Manual { side: Side::A }, 100);

    while let Next::Apply { effect, notes } =
        run_to_effect(&pair, fail_back::next, &mut observed, &published, &answer)
    {
        observed.note(notes);
        observed.applied(&pair, effect, None);
    }

    assert_eq!(observed.notes(), ["B: 500"]);
}
