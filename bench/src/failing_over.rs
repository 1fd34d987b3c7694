//! A fail-over on an alert: the number of sequential round trips before the cut, and the times.

use crate::{median, table};
use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, TimeDelta};
use onair_core::fail_over;
use onair_core::pair::freshness::PlaylistProbe;
use onair_core::pair::next::{Effect, Next, Question};
use onair_core::pair::observed::{Answer, Observed, PairDocuments};
use onair_core::pair::state::PairState;
use onair_core::pair::trigger::{PairEvent, Trigger};
use onair_core::pair::{CutBy, Pair, Side, Sides, Source};
use onair_core::publish_playlist::{
    Document, Published, PublishedIndex, SidePlaylist, index, steering,
};
use scenes::event;
use scenes::lambda::Lambda;
use scenes::pair::{self, ALERT, channel_arn};
use stand_in::{Call, SyntheticStream};
use std::time::{Duration, Instant};

/// The latency that the stand-in adds to every request.
const LATENCY: Duration = Duration::from_millis(25);
/// A fail-over is short, so it is measured more often.
const TIMES_PER_RUN: usize = 4;

/// The measurement of one fail-over.
struct Measured {
    /// Requests before the cut, in groups. Each group waits for a response to the group before.
    waves: Vec<Vec<Call>>,
    /// From the event to the request that cuts the side.
    until_cut: Duration,
    /// From the event to the function's answer.
    until_answer: Duration,
}

pub(crate) async fn measure(runs: usize) -> Result<()> {
    eprintln!("failing over");
    let (first, cold_waves) = compare("first event of a process", runs, false).await?;
    let (warm, _) = compare("a process that has seen the pair", runs, true).await?;
    let head = [
        "fail-over on an alert",
        "round trips until the cut",
        "cut sent",
        "answered",
        "cut sent without latency",
    ];
    table::print("Failing over, 25 ms a request", head, [first, warm]);
    table::print(
        "The round trips before the cut, first event of a process",
        ["", "at once"],
        wave_rows(&cold_waves),
    );
    let decided = (0..DECISIONS)
        .map(|_| decide())
        .collect::<Result<Vec<_>>>()?;
    println!(
        "The decision itself (state, playlist and steering manifest of eight variants): {:.2} ms",
        median(decided)?
    );
    Ok(())
}

/// Measures with and without latency. Returns a row of the table, and the waves of a typical run.
async fn compare(name: &str, runs: usize, is_warm: bool) -> Result<([String; 5], Vec<Vec<Call>>)> {
    let mut slow = Vec::new();
    let mut fast = Vec::new();
    for _ in 0..runs * TIMES_PER_RUN {
        slow.push(measure_one(LATENCY, is_warm).await?);
        fast.push(measure_one(Duration::ZERO, is_warm).await?);
    }
    let trips = median(slow.iter().map(|measured| measured.waves.len()).collect())?;
    let row = [
        name.to_owned(),
        trips.to_string(),
        format!("{:.0} ms", median_ms(&slow, |one| one.until_cut)?),
        format!("{:.0} ms", median_ms(&slow, |one| one.until_answer)?),
        format!("{:.1} ms", median_ms(&fast, |one| one.until_cut)?),
    ];
    let typical = slow
        .into_iter()
        .find(|measured| measured.waves.len() == trips);
    Ok((row, typical.map(|one| one.waves).unwrap_or_default()))
}

fn median_ms(measured: &[Measured], time: fn(&Measured) -> Duration) -> Result<f64> {
    let times = measured.iter().map(|one| time(one).as_secs_f64() * 1_000.0);
    median(times.collect())
}

fn wave_rows(waves: &[Vec<Call>]) -> Vec<[String; 2]> {
    let row = |(number, wave): (usize, &Vec<Call>)| {
        let calls: Vec<String> = wave
            .iter()
            .map(|call| format!("{} {}", call.service, call.operation))
            .collect();
        [(number + 1).to_string(), calls.join(", ")]
    };
    waves.iter().enumerate().map(row).collect()
}

/// A decision is very short, so many are measured.
const DECISIONS: usize = 100;

/// Milliseconds from the documents that were read to the documents to write.
fn decide() -> Result<f64> {
    let state = PairState::default();
    let published = published(&state)?;
    let read = state.to_text();
    let probe = advancing_probe();
    let pair = pair(Some(TimeDelta::seconds(10)));
    let mut observed = Observed::new(by_hand(), false, Sides::default());
    let begin = Instant::now();
    let state = PairState::parse(&read).map_err(anyhow::Error::msg)?;
    observed.read(PairDocuments { state, published });
    let written = run(&pair, &mut observed, &probe)?;
    let elapsed = begin.elapsed();
    ensure!(written.len() == 3, "{} documents written", written.len());
    Ok(elapsed.as_secs_f64() * 1_000.0)
}

/// Drives a fail-over to its end. Returns the documents that it writes.
fn run(pair: &Pair, observed: &mut Observed, probe: &PlaylistProbe) -> Result<Vec<String>> {
    let mut written = Vec::new();
    loop {
        match fail_over::next(pair, observed) {
            Next::Ask(questions) => {
                for question in questions {
                    observed.record(answer(question, probe)?);
                }
            }
            Next::WriteState(change) => {
                written.push(change.state.to_text());
                observed.written(*change);
            }
            Next::Apply { effect, .. } => {
                if let Effect::Steer(text) | Effect::Publish(text) = &effect {
                    written.push(text.clone());
                }
                observed.applied(pair, effect, None);
            }
            Next::Report(_) => return Ok(written),
            other => bail!("a fail-over by hand ends with {other:?}"),
        }
    }
}

fn by_hand() -> PairEvent {
    PairEvent {
        trigger: Trigger::Manual { side: Side::A },
        dry_run: false,
        by_hand: true,
    }
}

fn advancing_probe() -> PlaylistProbe {
    PlaylistProbe {
        last_updated_ms: Some(0),
        text: "#EXTM3U\n#EXT-X-TARGETDURATION:6\n".to_owned() + &"#EXTINF:6.0,\n1.ts\n".repeat(10),
        at: DateTime::UNIX_EPOCH,
    }
}

fn answer(question: Question, probe: &PlaylistProbe) -> Result<Answer> {
    match question {
        Question::Media(side, url) => Ok(Answer::Media(side, url, Ok(probe.clone()))),
        Question::Endpoint(side) => Ok(Answer::Endpoint(side, Ok(None))),
        other => bail!("a fail-over by hand asks {other:?}"),
    }
}

/// The documents of a pair with eight variants on each side.
fn published(state: &PairState) -> Result<Published> {
    let variants: String = (1..=8)
        .map(|number| format!("#EXT-X-STREAM-INF:BANDWIDTH={number}000000,RESOLUTION={number}00x{number}00,CODECS=\"avc1.64001f,mp4a.40.2\"\n{number}.m3u8\n"))
        .collect();
    let text = format!("#EXTM3U\n#EXT-X-VERSION:4\n{variants}");
    let playlist =
        |url: &str| SidePlaylist::parse(&text, &url.parse()?).map_err(anyhow::Error::msg);
    let playlists = Sides {
        a: Some(playlist("https://a.example.com/i.m3u8")?),
        b: Some(playlist("https://b.example.com/i.m3u8")?),
    };
    let document = |text: String| {
        Some(Document {
            text,
            generation: 0,
        })
    };
    Ok(Published {
        index: document(index::render(state, &playlists, true).text).map(PublishedIndex::parse),
        steering: document(steering::render(state, &playlists, TimeDelta::seconds(10))),
    })
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
