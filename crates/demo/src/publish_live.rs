//! The chapter on `publish-live`: a transcoder writes to its disk, viewers watch from S3, and much
//! goes wrong in between.

use crate::monitor::{Observations, PublishedSegment};
use crate::narrate::{Narrator, count, seconds};
use crate::player::sequence;
use crate::stream::{DemoStream, MULTIVARIANT, PATIENCE, RENDITIONS};
use anyhow::Context as _;
use stand_in::{Call, Fault};
use std::time::{Duration, SystemTime};

/// How long S3 is well, and how long it is not.
const A_WHILE: Duration = Duration::from_secs(4);
/// One request of so many fails while S3 is not well.
const EVERY: usize = 4;
/// How long nobody publishes after a kill.
const AWAY: Duration = Duration::from_millis(500);
/// How long it takes ffmpeg to write a playlist over its last one. Only S3 knows the old numbers
/// then.
const A_PLAYLIST: Duration = Duration::from_secs(2);
/// More requests than there are in [`A_WHILE`].
const MANY: usize = 1_000;
/// What comes before the first segment of a transcoder that began again.
const SEAM: &str = "#EXT-X-DISCONTINUITY";
/// How a playlist ends to which nothing will be added.
const END: &str = "#EXT-X-ENDLIST\n";

/// What viewers open to see all of it.
const MULTIVARIANT_VOD: &str = "index.vod.m3u8";

/// Tells the chapter.
pub(crate) async fn tell(narrator: &mut Narrator) -> anyhow::Result<()> {
    let mut stream = DemoStream::start(&["--keep"])?;
    let watcher = stream.watch();
    let began = SystemTime::now();
    narrator.heading("publish-live: from the transcoder to the viewers");
    narrator.say(
        "A transcoder (ffmpeg: a test picture in two renditions, segments of 1 s) writes HLS into a folder. \
         publish-live puts it into S3, where viewers get it. Somebody looks into the bucket all the while: at \
         every moment, all that a playlist names must be there, and its numbers (EXT-X-MEDIA-SEQUENCE) must not \
         go back.",
    );

    narrator.heading("1. On air");
    let on_air = stream.until(DemoStream::is_on_air).await?;
    narrator.check(
        &format!(
            "{} after the start viewers can open {MULTIVARIANT}",
            seconds(on_air.unwrap_or_default())
        ),
        missing(on_air),
    );
    tokio::time::sleep(A_WHILE).await;

    narrator.heading("2. S3 fails now and then");
    narrator.say(&format!(
        "Each {EVERY}th request gets 500, 503, or no answer at all, before it took effect or after."
    ));
    let (ill, before) = (SystemTime::now(), newest(&stream));
    let (failed, all) = fail_now_and_then(&stream).await;
    let went_on = stream
        .until(|stream| stream.each(|playlist| sequence(playlist) > before))
        .await?;
    let few = (failed < 3).then(|| "hardly any request failed".to_owned());
    narrator.check(
        &format!("{failed} of {all} requests failed, and the stream went on"),
        missing(went_on).into_iter().chain(few),
    );

    narrator.heading("3. The daemon is killed in the middle of a request, and started again");
    let killed = SystemTime::now();
    let call = hold_a_request(&stream).await?;
    let id = stream.publisher_id();
    narrator.show(&format!(
        "kill -9 {id}  # while {} of {} is on its way",
        call.operation, call.key
    ));
    stream.kill_publisher();
    stream.scene.s3.reset_calls();
    let before = newest(&stream);
    tokio::time::sleep(AWAY).await;
    stream.publish_again()?;
    let went_on = stream
        .until(|stream| stream.each(|playlist| sequence(playlist) > before))
        .await?;
    narrator.check(
        &format!(
            "started again, it went on after {}",
            seconds(went_on.unwrap_or_default())
        ),
        missing(went_on),
    );
    stream
        .until(|stream| stream.each(|playlist| sequence(playlist) > before + 3))
        .await?;
    let again = SystemTime::now();

    narrator.heading(
        "4. Both are killed; ffmpeg begins again with number 0, and the daemon finds only that",
    );
    let before = newest(&stream);
    stream.kill_publisher();
    stream.encode_again()?;
    tokio::time::sleep(A_PLAYLIST).await;
    stream.publish_again()?;
    let went_on = stream
        .until(|stream| stream.each(|playlist| sequence(playlist) > before))
        .await?;
    narrator.check(
        &format!(
            "viewers are told of the seam (EXT-X-DISCONTINUITY), {} after its start",
            seconds(went_on.unwrap_or_default())
        ),
        missing(went_on)
            .into_iter()
            .chain(RENDITIONS.iter().filter_map(|rendition| {
                let seams = stream
                    .playlist(rendition)
                    .lines()
                    .filter(|line| *line == SEAM)
                    .count();
                (seams != 1).then(|| format!("{rendition} has {SEAM} {seams} times"))
            })),
    );
    stream
        .until(|stream| stream.each(|playlist| sequence(playlist) > before + 2))
        .await?;

    narrator.heading("5. The show ends");
    stream.end_show()?;
    let over = stream
        .until(|stream| stream.each(|playlist| playlist.ends_with(END)))
        .await?;
    narrator.check(
        &format!(
            "{} after ffmpeg was told to stop, both renditions have their EXT-X-ENDLIST",
            seconds(over.unwrap_or_default())
        ),
        missing(over),
    );

    let all = |stream: &DemoStream| RENDITIONS.map(|rendition| stream.all_of(rendition));
    let kept = stream
        .until(|stream| all(stream).iter().all(|text| text.ends_with(END)))
        .await?;
    let named =
        all(&stream).map(|text| text.lines().filter(|line| !line.starts_with('#')).count() as u64);
    let made = RENDITIONS.map(|rendition| sequence(&stream.playlist(rendition)));
    narrator.check(
        &format!(
            "it can be watched again: {MULTIVARIANT_VOD} leads to all {} and {} segments",
            named[0], named[1]
        ),
        missing(kept)
            .into_iter()
            .chain((named != made).then(|| format!("there were {made:?}"))),
    );

    narrator.heading("6. What was seen meanwhile");
    let seen = watcher.last_look().await;
    verify(narrator, &stream, &seen, again);
    narrator
        .say("From when ffmpeg closed a segment's file until it was there, and until a playlist named it:");
    let phases = [
        ("S3 is well", began, ill),
        ("S3 fails now and then", ill, killed),
        ("killed, started again", killed, again),
    ];
    let rows = phases.map(|(name, from, to)| {
        let is_then = |named: &&PublishedSegment| (from..to).contains(&named.named_at());
        lags(name, &seen.named.iter().filter(is_then).collect::<Vec<_>>())
    });
    narrator.table(
        [
            "while",
            "segments",
            "there, median",
            "named, median",
            "named, worst",
        ],
        rows,
    );
    Ok(())
}

/// Lets requests fail for a while. Returns how many did, and of how many.
async fn fail_now_and_then(stream: &DemoStream) -> (usize, usize) {
    let faults = [
        Fault::status(500),
        Fault::ResetBefore,
        Fault::status(503),
        Fault::ResetAfter,
    ];
    let first = stream.scene.s3.calls().len();
    for (index, fault) in (first..first + MANY)
        .step_by(EVERY)
        .zip(faults.into_iter().cycle())
    {
        stream.scene.s3.fault(index, fault);
    }
    tokio::time::sleep(A_WHILE).await;
    let all = stream.scene.s3.calls().len() - first;
    stream.scene.s3.reset_calls();
    (all.div_ceil(EVERY), all)
}

/// From now on lets no request take effect. Returns the first.
async fn hold_a_request(stream: &DemoStream) -> anyhow::Result<Call> {
    let next = stream.scene.s3.calls().len();
    (next..next + MANY).for_each(|index| stream.scene.s3.fault(index, Fault::HoldBefore));
    tokio::time::timeout(PATIENCE, stream.scene.s3.held())
        .await
        .context("publish-live asked S3 for nothing")?;
    let calls = stream.scene.s3.calls().into_iter().rev();
    calls
        .take_while(|call| call.index >= next)
        .find(|call| !call.operation.is_empty())
        .context("it was held")
}

/// Says whether what is promised was seen, and nothing else.
fn verify(narrator: &mut Narrator, stream: &DemoStream, seen: &Observations, again: SystemTime) {
    let looks = count(seen.looks);
    narrator.check(
        &format!("{looks} looks, and each time all that a playlist named was there"),
        seen.dead_ends.iter().cloned(),
    );
    narrator.check(
        "no playlist's numbers went back",
        seen.steps_back.iter().cloned(),
    );
    let lost = RENDITIONS.map(|rendition| {
        let made = sequence(&stream.playlist(rendition));
        let named = seen
            .named
            .iter()
            .filter(|named| named.playlist.contains(rendition))
            .count();
        (
            count(made),
            (named as u64 != made)
                .then(|| format!("{named} of {made} segments of {rendition} were named")),
        )
    });
    narrator.check(
        &format!(
            "all {} and {} segments were named, and none was lost (EXT-X-GAP)",
            lost[0].0, lost[1].0
        ),
        lost.into_iter()
            .filter_map(|(_, lost)| lost)
            .chain(seen.gaps.iter().cloned()),
    );
    // A figure of this machine, and of what else it does: it is told, not judged.
    let wait = seconds(seen.longest_wait(again));
    narrator.say(&format!(
        "While ffmpeg ran, viewers waited at most {wait} for the next segment of 1 s. Players buffer three."
    ));
}

/// A line of the table.
fn lags(name: &str, named: &[&PublishedSegment]) -> [String; 5] {
    let sorted = |lag: fn(&PublishedSegment) -> Duration| {
        let mut lags: Vec<Duration> = named.iter().copied().map(lag).collect();
        lags.sort_unstable();
        lags
    };
    let (there, known) = (
        sorted(|named| named.there_after),
        sorted(|named| named.named_after),
    );
    let shown = |lag: Option<&Duration>| lag.copied().map_or("–".to_owned(), seconds);
    let half = named.len() / 2;
    [
        name.to_owned(),
        named.len().to_string(),
        shown(there.get(half)),
        shown(known.get(half)),
        shown(known.last()),
    ]
}

/// The number of the newest segment of all.
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
        .then(|| format!("not within {}", seconds(PATIENCE)))
}
