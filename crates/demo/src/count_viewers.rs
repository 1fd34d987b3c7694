//! The chapter on `count-viewers`: three web servers serve a show, and leave their logs.

use crate::narrate::{Narrator, count, pretty, seconds};
use anyhow::{Context as _, ensure};
use chrono::DateTime;
use flate2::Compression;
use flate2::write::GzEncoder;
use scenes::access_log::{self, Request, delivered};
use scenes::lambda::{self, Lambda};
use scenes::program::onair;
use scenes::{event, text};
use serde_json::Value;
use stand_in::{S3, Versioning};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

const SERVERS: usize = 3;
const MINUTES: usize = 8;
/// A minute of which every server lost its log.
const LOST: usize = 5;
const STATE_BUCKET: &str = "on-air-state";
const SECRET: &str = "only-for-this-story-0123456789";
/// 2026-01-01T20:00:00Z
const BEGIN_S: i64 = 1_767_297_600;

/// Viewers of each stream who are there in a minute. Their player asks each six seconds, one server
/// after the other.
fn truth(minute: usize) -> [(&'static str, usize); 2] {
    [
        ("show", [40, 400, 900, 1200, 1250, 1240, 800, 150][minute]),
        ("rehearsal", [12, 9, 3, 0, 0, 0, 0, 0][minute]),
    ]
}

/// Tells the chapter.
pub(crate) async fn tell(narrator: &mut Narrator) -> anyhow::Result<()> {
    narrator.heading("count-viewers: how many are watching");
    narrator.say(
        "Three web servers log each request. Their logs come to S3 packed, one by one, a part of a minute in each; who watches \
         is in all of them, as players ask now here, now there. Of one minute all logs are lost.",
    );
    let arrival = event("count-viewers/object-created.json")?;
    let bucket = text(&arrival, "/detail/bucket/name")?.to_owned();
    let s3 = S3::start();
    s3.create_bucket(&bucket, Versioning::Off);
    s3.create_bucket(STATE_BUCKET, Versioning::Off);
    let settings = [
        ("AWS_ENDPOINT_URL_S3", s3.endpoint_url()),
        ("STATE_BUCKET", STATE_BUCKET.to_owned()),
        ("VIEWER_SECRET", SECRET.to_owned()),
    ];
    let function = Lambda::start("count-viewers", lambda::environment(settings, &[]))?;

    // Each in halves, the later one first: logs keep no order.
    let folder = tempfile::tempdir()?;
    let mut files = Vec::new();
    for server in 0..SERVERS {
        let lines = log(server);
        let (early, late) = lines.split_at(lines.len() / 2 + 7);
        for (part, lines) in [("b", late), ("a", early)] {
            let name = format!("web-{server}-{part}.log.gz");
            std::fs::write(folder.path().join(&name), packed(lines)?)?;
            files.push(name);
        }
    }
    let begin = Instant::now();
    let mut last = Value::Null;
    let arrived = |name: &str| delivered(arrival.clone(), &bucket, &format!("logs/{name}"));
    for name in &files {
        s3.put(
            &bucket,
            &format!("logs/{name}"),
            std::fs::read(folder.path().join(name))?,
        );
        last = function.send(&arrived(name)).await?.0;
    }
    let took = begin.elapsed();
    last["figures"].take();
    narrator.say("The last of six answers, without its figures:");
    narrator.show(&pretty(&last));

    let told = figures(lambda::past_metrics(&function));
    narrator.table(["minute", "show", "rehearsal", ""], rows(&told));
    let expected = expected();
    let wrong = expected
        .iter()
        .filter(|(of, viewers)| told.get(*of) != Some(viewers));
    let wrong = wrong
        .map(|(of, viewers)| format!("{of:?}: {viewers} were there, {:?} were told", told.get(of)));
    narrator.check(
        &format!(
            "every figure is exactly the audience that was there; {}",
            each(took)
        ),
        wrong,
    );
    let more = told
        .iter()
        .filter(|(of, viewers)| **viewers > 0 && !expected.contains_key(*of));
    narrator.check(
        "the lost minute has no figure, and is no zero",
        more.map(|more| format!("{more:?}")),
    );

    let kept = s3.snapshot(STATE_BUCKET);
    let (again, _) = function.send(&arrived(&files[0])).await?;
    let is_same = s3.snapshot(STATE_BUCKET) == kept && again["outcome"] == "unchanged";
    narrator.check(
        "a log that comes twice changes nothing",
        (!is_same).then(|| again.to_string()),
    );
    let leaks = s3.keys(STATE_BUCKET, "").into_iter().filter(|key| {
        let text = s3.text(STATE_BUCKET, key);
        text.is_none_or(|text| text.contains("10.0."))
    });
    narrator.check("no address is in what is kept between runs", leaks);

    narrator.say("The same from the files, by a program: onair viewers --json web-*.log.gz");
    let output = onair("viewers")?
        .arg("--json")
        .args(&files)
        .current_dir(folder.path())
        .output();
    let output = output.context("onair cannot be started")?;
    ensure!(
        output.status.success(),
        "onair viewers: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout)?;
    let by_hand = figures(
        lines
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok()),
    );
    let seen = |all: &Figures| -> Figures {
        all.clone()
            .into_iter()
            .filter(|(_, viewers)| *viewers > 0)
            .collect()
    };
    narrator.check(
        "the program says the same",
        (seen(&by_hand) != seen(&told)).then(|| format!("{by_hand:?} and not {told:?}")),
    );
    Ok(())
}

/// By minute and stream.
type Figures = BTreeMap<(String, String), u64>;

/// The greatest that was told of each: what a graph of the maximum shows.
fn figures(lines: impl IntoIterator<Item = Value>) -> Figures {
    let mut figures = Figures::new();
    for line in lines {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let most = figures.entry((text("minute"), text("stream"))).or_default();
        *most = line["viewers"].as_u64().unwrap_or_default().max(*most);
    }
    figures
}

fn expected() -> Figures {
    let minutes = (0..MINUTES).filter(|minute| *minute != LOST);
    let all =
        minutes.flat_map(|minute| truth(minute).map(|(stream, viewers)| (minute, stream, viewers)));
    all.filter(|(.., viewers)| *viewers > 0)
        .map(|(minute, stream, viewers)| ((at(minute), stream.to_owned()), viewers as u64))
        .collect()
}

fn rows(told: &Figures) -> Vec<[String; 4]> {
    let most = told.values().copied().max().unwrap_or_default().max(1);
    let row = |minute: usize| {
        let of = |stream: &str| told.get(&(at(minute), stream.to_owned())).copied();
        let text = |viewers: Option<u64>| viewers.map_or_else(|| "-".to_owned(), count);
        let bar = of("show").map_or(0, |viewers| viewers * 30 / most);
        let bar = "█".repeat(usize::try_from(bar).unwrap_or_default());
        [
            at(minute)[11..16].to_owned(),
            text(of("show")),
            text(of("rehearsal")),
            format!("{bar:<30}"),
        ]
    };
    (0..MINUTES).map(row).collect()
}

fn each(took: Duration) -> String {
    let logs = 2 * SERVERS;
    format!("{logs} logs took {}", seconds(took))
}

/// The lines of one server, in the format of `origin/`.
fn log(server: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for minute in (0..MINUTES).filter(|minute| *minute != LOST) {
        for second in (0..60).step_by(6) {
            let seconds = BEGIN_S + (minute * 60 + second) as i64;
            for (stream, viewers) in truth(minute) {
                let path = format!("/{stream}_720p/{}.ts", seconds / 6);
                for viewer in
                    (0..viewers).filter(|viewer| (viewer + second / 6) % SERVERS == server)
                {
                    let address = format!("10.0.{}.{}", viewer / 250, viewer % 250 + 1);
                    let (agent, query, bytes) = ("", "", 1_504);
                    let request = Request {
                        at_s: seconds,
                        address: &address,
                        agent,
                        path: &path,
                        query,
                        bytes,
                    };
                    lines.push(access_log::onair(&request));
                }
            }
        }
    }
    lines
}

fn packed(lines: &[String]) -> anyhow::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    for line in lines {
        writeln!(packed, "{line}")?;
    }
    Ok(packed.finish()?)
}

fn at(minute: usize) -> String {
    let begins = DateTime::from_timestamp(BEGIN_S + minute as i64 * 60, 0).unwrap_or_default();
    begins.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
