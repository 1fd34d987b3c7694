//! A fail-over on an alert: how many round trips come one after the other before the cut, and how
//! long all takes.

use crate::{median, table};
use anyhow::{Context, Result, ensure};
use chrono::{DateTime, TimeDelta};
use onair_core::pair::freshness::{PlaylistProbe, understand};
use onair_core::pair::state::{PairState, Until};
use onair_core::pair::{CutBy, Pair, Side, Sides, Source};
use onair_core::publish_playlist::{Document, Published, SideFetch, SidePlaylist, index, steering};
use onair_core::{fail_over, publish_playlist};
use scenes::event;
use scenes::lambda::Lambda;
use scenes::pair::{self, ALERT, channel_arn};
use stand_in::{Call, SyntheticStream};
use std::time::{Duration, Instant};

/// What every request is made to wait.
const LATENCY: Duration = Duration::from_millis(25);
/// A fail-over is short, so it is measured more often than other things.
const TIMES_PER_RUN: usize = 4;

/// What was measured of one fail-over.
struct Measured {
    /// Waves of requests, each of which waits for an answer to the one before.
    waves: Vec<Vec<Call>>,
    /// From the event to the cut being asked for.
    until_cut: Duration,
    /// From the event to the function's answer.
    until_answer: Duration,
}

pub(crate) async fn measure(runs: usize) -> Result<()> {
    eprintln!("failing over");
    let mut rows = Vec::new();
    let mut shown = None;
    for (name, is_warm) in [
        ("first event of a process", false),
        ("a process that has seen the pair", true),
    ] {
        let mut slow = Vec::new();
        let mut fast = Vec::new();
        for _ in 0..runs * TIMES_PER_RUN {
            slow.push(measure_one(LATENCY, is_warm).await?);
            fast.push(measure_one(Duration::ZERO, is_warm).await?);
        }
        let ms = |of: &[Measured], which: fn(&Measured) -> Duration| {
            median(
                of.iter()
                    .map(|measured| which(measured).as_secs_f64() * 1_000.0)
                    .collect(),
            )
        };
        let trips = median(slow.iter().map(|measured| measured.waves.len()).collect())?;
        rows.push([
            name.to_owned(),
            trips.to_string(),
            format!("{:.0} ms", ms(&slow, |measured| measured.until_cut)?),
            format!("{:.0} ms", ms(&slow, |measured| measured.until_answer)?),
            format!("{:.1} ms", ms(&fast, |measured| measured.until_cut)?),
        ]);
        shown = shown.or(slow
            .into_iter()
            .find(|measured| measured.waves.len() == trips));
    }
    let head = [
        "fail-over on an alert",
        "round trips until the cut",
        "cut sent",
        "answered",
        "cut sent without latency",
    ];
    table::print("Failing over, 25 ms a request", head, rows);
    let waves = shown.map(|measured| measured.waves).unwrap_or_default();
    let rows = waves.iter().enumerate().map(|(number, wave)| {
        let calls: Vec<String> = wave
            .iter()
            .map(|call| format!("{} {}", call.service, call.operation))
            .collect();
        [(number + 1).to_string(), calls.join(", ")]
    });
    table::print(
        "The round trips before the cut, first event of a process",
        ["", "at once"],
        rows.collect::<Vec<_>>(),
    );
    let decided = (0..DECISIONS)
        .map(|_| decide())
        .collect::<Result<Vec<_>>>()?;
    println!(
        "The decision itself (state, playlist and steering manifest of eight rungs): {:.2} ms",
        median(decided)?
    );
    Ok(())
}

/// Decisions are so short that many are timed.
const DECISIONS: usize = 100;

/// Milliseconds from what was read to what is to be written.
fn decide() -> Result<f64> {
    let rungs: String = (1..=8)
        .map(|rung| format!("#EXT-X-STREAM-INF:BANDWIDTH={rung}000000,RESOLUTION={rung}00x{rung}00,CODECS=\"avc1.64001f,mp4a.40.2\"\n{rung}.m3u8\n"))
        .collect();
    let text = format!("#EXTM3U\n#EXT-X-VERSION:4\n{rungs}");
    let playlist =
        |url: &str| SidePlaylist::parse(&text, &url.parse()?).map_err(anyhow::Error::msg);
    let playlists = Sides {
        a: Some(playlist("https://a.example.com/i.m3u8")?),
        b: Some(playlist("https://b.example.com/i.m3u8")?),
    };
    let state = PairState::default();
    let document = |text: String| {
        Some(Document {
            text,
            generation: 0,
        })
    };
    let published = Published {
        index: document(index::render(&state, &playlists, true).text),
        steering: document(steering::render(&state, &playlists, TimeDelta::seconds(10))),
    };
    let read = state.to_text();
    let look = PlaylistProbe {
        last_updated_ms: Some(0),
        text: "#EXTM3U\n#EXT-X-TARGETDURATION:6\n".to_owned() + &"#EXTINF:6.0,\n1.ts\n".repeat(10),
        at: DateTime::UNIX_EPOCH,
    };
    let pair = pair(Some(TimeDelta::seconds(10)));
    let begin = Instant::now();
    let state = PairState::parse(&read).map_err(anyhow::Error::msg)?;
    let freshness = understand(&look, None).freshness;
    let cut = fail_over::cut(
        &pair,
        &state,
        Side::A,
        None,
        &freshness,
        ("bench", Until::Healthy),
        look.at,
    )?;
    let asked = Sides {
        a: SideFetch::Skipped,
        b: SideFetch::Skipped,
    };
    let plan = publish_playlist::plan(&pair, &cut, &published, &asked, false)?;
    let written = (cut.to_text(), plan.index, plan.steering);
    let elapsed = begin.elapsed();
    ensure!(
        written.1.is_some() && written.2.is_some(),
        "nothing was decided"
    );
    Ok(elapsed.as_secs_f64() * 1_000.0)
}

fn pair(steering_ttl: Option<TimeDelta>) -> Pair {
    let source = |side: Side| Source {
        channel_arn: channel_arn(usize::from(side == Side::B)),
        pipeline: "0".to_owned(),
        endpoint: side.to_string(),
        base_url: None,
        alarm: None,
    };
    Pair {
        name: "show".to_owned(),
        sides: Sides::of(source),
        cut: CutBy::Delete,
        steering_ttl,
        alert_types: [ALERT.to_owned()].into(),
        stabilization_period: TimeDelta::zero(),
        prefer: None,
    }
}

async fn measure_one(latency: Duration, is_warm: bool) -> Result<Measured> {
    let show = pair::Pair::with([SyntheticStream::default(), SyntheticStream::default()]);
    let start = |stem| Lambda::start(stem, show.environment(&[]));
    start("publish-playlist")?
        .expect("published", &event("publish-playlist/schedule.json")?)
        .await?;
    let function = start("fail-over")?;
    if is_warm {
        function
            .expect("unchanged", &event("fail-over/schedule.json")?)
            .await?;
    }
    function.started().await?;
    show.traffic.reset_calls();
    show.traffic.set_latency(latency);
    let alert = pair::alert(event("fail-over/alert-set.json")?, 0);
    let begin = Instant::now();
    function.expect("failed_over", &alert).await?;
    let until_answer = begin.elapsed();
    let calls = show.traffic.calls();
    let cut = calls
        .iter()
        .position(|call| call.operation == "DeleteOriginEndpoint")
        .context("nothing was cut")?;
    let mut waves: Vec<Vec<Call>> = Vec::new();
    for call in &calls[..cut] {
        // What was asked for before the first of a wave can have been answered belongs to it.
        match waves
            .last_mut()
            .filter(|wave| call.at - wave[0].at < latency)
        {
            Some(wave) => wave.push(call.clone()),
            None => waves.push(vec![call.clone()]),
        }
    }
    Ok(Measured {
        waves,
        until_cut: calls[cut].at - begin,
        until_answer,
    })
}
