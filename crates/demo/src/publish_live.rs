//! The chapter on `publish-live`: a transcoder writes to its disk, viewers read from S3, and
//! requests and programs fail.

use crate::monitor::{Observations, PublishedSegment};
use crate::narrate::{Narrator, count, seconds};
use crate::player::sequence;
use crate::stream::{DemoStream, MULTIVARIANT, RENDITIONS, TIME_LIMIT};
use anyhow::Context as _;
use stand_in::{Call, Fault};
use std::ops::Range;
use std::time::{Duration, SystemTime};

/// How long S3 works, and how long some of its requests fail.
const PHASE: Duration = Duration::from_secs(4);
/// One request of this many fails.
const FAULT_INTERVAL: usize = 4;
/// The time between a kill and the restart.
const DOWN_TIME: Duration = Duration::from_millis(500);
/// The time in which ffmpeg overwrites its last playlist. After it, only S3 has the old numbers.
const FIRST_PLAYLIST: Duration = Duration::from_secs(2);
/// More requests than publish-live sends in [`PHASE`].
const REQUESTS: usize = 1_000;
/// The tag before the first segment of a transcoder that restarted.
const DISCONTINUITY: &str = "#EXT-X-DISCONTINUITY";
/// The end of a complete playlist.
const END: &str = "#EXT-X-ENDLIST\n";
/// The VOD playlist that viewers open.
const MULTIVARIANT_VOD: &str = "index.vod.m3u8";

/// Runs the chapter.
pub(crate) async fn run(narrator: &mut Narrator) -> anyhow::Result<()> {
    let mut stream = DemoStream::start(&["--keep"])?;
    let monitor = stream.monitor();
    let began = SystemTime::now();
    narrator.heading("publish-live: from the transcoder to the viewers");
    narrator.explain(
        "A transcoder (ffmpeg: a test picture in two renditions, segments of 1 s) writes HLS into a folder. publish-live \
         uploads it to S3, from which viewers read. The demo checks the bucket all the time: everything that a playlist \
         names must exist, and its EXT-X-MEDIA-SEQUENCE must not decrease.",
    );
    start(narrator, &mut stream).await?;
    let faults_from = SystemTime::now();
    fail_requests(narrator, &mut stream).await?;
    let killed_at = SystemTime::now();
    kill_publisher(narrator, &mut stream).await?;
    let recovered_at = SystemTime::now();
    restart_both(narrator, &mut stream).await?;
    end_show(narrator, &mut stream).await?;
    narrator.heading("6. What the demo observed");
    let observed = monitor.finish().await;
    verify(narrator, &stream, &observed, recovered_at);
    narrator.explain(
        "The time from the close of a segment's file to its upload, and to the playlist that names it:",
    );
    let phases = [
        ("S3 works", began..faults_from),
        ("some requests fail", faults_from..killed_at),
        ("killed and restarted", killed_at..recovered_at),
    ];
    let head = [
        "while",
        "segments",
        "uploaded, median",
        "named, median",
        "named, worst",
    ];
    let row = |(name, phase)| lags(name, &segments_in(&observed, &phase));
    narrator.table(head, phases.map(row));
    Ok(())
}

async fn start(narrator: &mut Narrator, stream: &mut DemoStream) -> anyhow::Result<()> {
    narrator.heading("1. Start");
    let on_air = stream.until(DemoStream::is_on_air).await?;
    narrator.check(
        &format!(
            "viewers can open {MULTIVARIANT} after {}",
            seconds(on_air.unwrap_or_default())
        ),
        missing(on_air),
    );
    tokio::time::sleep(PHASE).await;
    Ok(())
}

async fn fail_requests(narrator: &mut Narrator, stream: &mut DemoStream) -> anyhow::Result<()> {
    narrator.heading("2. Some requests to S3 fail");
    narrator.explain(&format!(
        "Every {FAULT_INTERVAL}th request gets 500, 503 or no response, before or after its effect."
    ));
    let before = newest(stream);
    let (failed, all) = inject_faults(stream).await;
    let continued = until_after(stream, before).await?;
    let too_few = (failed < 3).then(|| "fewer than 3 requests failed".to_owned());
    narrator.check(
        &format!("{failed} of {all} requests failed, and the stream continued"),
        missing(continued).into_iter().chain(too_few),
    );
    Ok(())
}

async fn kill_publisher(narrator: &mut Narrator, stream: &mut DemoStream) -> anyhow::Result<()> {
    narrator.heading("3. The daemon is killed during a request, and restarted");
    let call = hold_a_request(stream).await?;
    narrator.show(&format!(
        "kill -9 {}  # during {} of {}",
        stream.publisher_id(),
        call.operation,
        call.key
    ));
    stream.kill_publisher();
    stream.scene.s3.reset_calls();
    let before = newest(stream);
    tokio::time::sleep(DOWN_TIME).await;
    stream.restart_publisher()?;
    let continued = until_after(stream, before).await?;
    narrator.check(
        &format!(
            "the stream continued {} after the restart",
            seconds(continued.unwrap_or_default())
        ),
        missing(continued),
    );
    until_after(stream, before + 3).await?;
    Ok(())
}

async fn restart_both(narrator: &mut Narrator, stream: &mut DemoStream) -> anyhow::Result<()> {
    narrator.heading(
        "4. Both are killed; ffmpeg restarts with number 0, and the daemon finds only those files",
    );
    let before = newest(stream);
    stream.kill_publisher();
    stream.restart_encoder()?;
    tokio::time::sleep(FIRST_PLAYLIST).await;
    stream.restart_publisher()?;
    let continued = until_after(stream, before).await?;
    let wrong = RENDITIONS.iter().filter_map(|rendition| {
        let playlist = stream.playlist(rendition);
        let tags = playlist.lines().filter(|line| *line == DISCONTINUITY);
        let tags = tags.count();
        (tags != 1).then(|| format!("{rendition} has {DISCONTINUITY} {tags} times"))
    });
    narrator.check(
        &format!(
            "the stream continued {} after the restart, with one EXT-X-DISCONTINUITY",
            seconds(continued.unwrap_or_default())
        ),
        missing(continued).into_iter().chain(wrong),
    );
    until_after(stream, before + 2).await?;
    Ok(())
}

async fn end_show(narrator: &mut Narrator, stream: &mut DemoStream) -> anyhow::Result<()> {
    narrator.heading("5. The show ends");
    stream.end_show()?;
    let ended = stream
        .until(|stream| stream.every_playlist(|playlist| playlist.ends_with(END)))
        .await?;
    narrator.check(
        &format!(
            "both renditions have EXT-X-ENDLIST {} after ffmpeg was stopped",
            seconds(ended.unwrap_or_default())
        ),
        missing(ended),
    );
    let kept = stream
        .until(|stream| vod_playlists(stream).iter().all(|text| text.ends_with(END)))
        .await?;
    let named = vod_playlists(stream)
        .map(|text| text.lines().filter(|line| !line.starts_with('#')).count() as u64);
    let made = RENDITIONS.map(|rendition| sequence(&stream.playlist(rendition)));
    let incomplete = (named != made).then(|| format!("ffmpeg wrote {made:?} segments"));
    narrator.check(
        &format!(
            "{MULTIVARIANT_VOD} has the whole show: {} and {} segments",
            named[0], named[1]
        ),
        missing(kept).into_iter().chain(incomplete),
    );
    Ok(())
}

fn vod_playlists(stream: &DemoStream) -> [String; 2] {
    RENDITIONS.map(|rendition| stream.vod_playlist(rendition))
}

/// Waits until every rendition has a segment after this one.
async fn until_after(stream: &mut DemoStream, number: u64) -> anyhow::Result<Option<Duration>> {
    stream
        .until(|stream| stream.every_playlist(|playlist| sequence(playlist) > number))
        .await
}

/// Lets requests fail for a while. Returns how many failed, and the number of all requests.
async fn inject_faults(stream: &DemoStream) -> (usize, usize) {
    let s3 = &stream.scene.s3;
    let faults = [
        Fault::status(500),
        Fault::ResetBefore,
        Fault::status(503),
        Fault::ResetAfter,
    ];
    let first = s3.calls().len();
    let failing = (first..first + REQUESTS).step_by(FAULT_INTERVAL);
    for (index, fault) in failing.zip(faults.into_iter().cycle()) {
        s3.fault(index, fault);
    }
    tokio::time::sleep(PHASE).await;
    let all = s3.calls().len() - first;
    s3.reset_calls();
    (all.div_ceil(FAULT_INTERVAL), all)
}

/// Holds all further requests before their effect. Returns the first.
async fn hold_a_request(stream: &DemoStream) -> anyhow::Result<Call> {
    let s3 = &stream.scene.s3;
    let next = s3.calls().len();
    (next..next + REQUESTS).for_each(|index| s3.fault(index, Fault::HoldBefore));
    tokio::time::timeout(TIME_LIMIT, s3.held())
        .await
        .context("publish-live sent no request")?;
    let calls = s3.calls().into_iter().rev();
    calls
        .take_while(|call| call.index >= next)
        .find(|call| !call.operation.is_empty())
        .context("the held request is not in the log of calls")
}

/// Checks the observations.
fn verify(
    narrator: &mut Narrator,
    stream: &DemoStream,
    observed: &Observations,
    recovered_at: SystemTime,
) {
    let snapshots = count(observed.snapshots);
    narrator.check(
        &format!("{snapshots} snapshots: everything that a playlist named existed"),
        observed.dead_ends.iter().cloned(),
    );
    narrator.check(
        "no EXT-X-MEDIA-SEQUENCE decreased",
        observed.steps_back.iter().cloned(),
    );
    let made = RENDITIONS.map(|rendition| sequence(&stream.playlist(rendition)));
    let lost = RENDITIONS
        .into_iter()
        .zip(made)
        .filter_map(|(rendition, made)| not_named(observed, rendition, made));
    narrator.check(
        &format!(
            "all {} and {} segments were named, without EXT-X-GAP",
            count(made[0]),
            count(made[1])
        ),
        lost.chain(observed.gaps.iter().cloned()),
    );
    // Printed and not checked, because it depends on the load of the machine.
    let wait = seconds(observed.longest_wait(recovered_at));
    narrator.explain(&format!(
        "While ffmpeg ran, viewers waited at most {wait} for the next segment of 1 s. Players buffer three segments."
    ));
}

fn not_named(observed: &Observations, rendition: &str, made: u64) -> Option<String> {
    let of_rendition = |segment: &&PublishedSegment| segment.playlist.contains(rendition);
    let named = observed.named.iter().filter(of_rendition).count() as u64;
    (named != made).then(|| format!("{named} of {made} segments of {rendition} were named"))
}

fn segments_in<'a>(
    observed: &'a Observations,
    phase: &Range<SystemTime>,
) -> Vec<&'a PublishedSegment> {
    let segments = observed.named.iter();
    segments
        .filter(|segment| phase.contains(&segment.named_at()))
        .collect()
}

/// A row of the table.
fn lags(name: &str, segments: &[&PublishedSegment]) -> [String; 5] {
    let uploaded = sorted(segments, |segment| segment.uploaded_after);
    let named = sorted(segments, |segment| segment.named_after);
    let shown = |lag: Option<&Duration>| lag.copied().map_or("–".to_owned(), seconds);
    let half = segments.len() / 2;
    [
        name.to_owned(),
        segments.len().to_string(),
        shown(uploaded.get(half)),
        shown(named.get(half)),
        shown(named.last()),
    ]
}

fn sorted(segments: &[&PublishedSegment], lag: fn(&PublishedSegment) -> Duration) -> Vec<Duration> {
    let mut lags: Vec<Duration> = segments.iter().copied().map(lag).collect();
    lags.sort_unstable();
    lags
}

/// The highest number of a segment in any rendition.
fn newest(stream: &DemoStream) -> u64 {
    RENDITIONS
        .iter()
        .map(|rendition| sequence(&stream.playlist(rendition)))
        .max()
        .unwrap_or_default()
}

fn missing(waited: Option<Duration>) -> Option<String> {
    waited
        .is_none()
        .then(|| format!("not within {}", seconds(TIME_LIMIT)))
}
