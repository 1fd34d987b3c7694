//! The chapter on `count-viewers`: three web servers serve a show, and store their access logs.

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
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SERVERS: usize = 3;
const MINUTES: usize = 8;
/// The minute whose logs are lost.
const LOST_MINUTE: usize = 5;
const STATE_BUCKET: &str = "on-air-state";
const SECRET: &str = "only-for-this-demo-0123456789";
/// 2026-01-01T20:00:00Z
const BEGIN_S: i64 = 1_767_297_600;

/// The viewers of each stream in a minute. Their players send a request every six seconds, to one
/// server after the other.
fn audience(minute: usize) -> [(&'static str, usize); 2] {
    [
        ("show", [40, 400, 900, 1200, 1250, 1240, 800, 150][minute]),
        ("rehearsal", [12, 9, 3, 0, 0, 0, 0, 0][minute]),
    ]
}

/// Runs the chapter.
pub(crate) async fn run(narrator: &mut Narrator) -> anyhow::Result<()> {
    narrator.heading("count-viewers: concurrent viewers");
    narrator.explain(
        "Three web servers log every request. Their compressed logs arrive in S3 one by one, each with a part of the show. \
         Players change between the servers, so a viewer is in all three logs. The logs of one minute are lost.",
    );
    let logs = Logs::start()?;
    let (answer, elapsed) = logs.deliver_all().await?;
    narrator.explain("The last of six answers, without its figures:");
    narrator.show(&pretty(&answer));
    let figures = figures(lambda::past_metrics(&logs.function));
    narrator.table(["minute", "show", "rehearsal", ""], rows(&figures));
    check_figures(narrator, &figures, elapsed);
    logs.check_repetition(narrator).await?;
    logs.check_addresses(narrator);
    narrator.explain("The same logs, read by a program: onair viewers --json web-*.log.gz");
    let by_program = logs.run_onair_viewers()?;
    let is_same = without_zeros(&by_program) == without_zeros(&figures);
    narrator.check(
        "the program prints the same figures",
        (!is_same).then(|| format!("{by_program:?} and not {figures:?}")),
    );
    Ok(())
}

/// The logs in a folder, the buckets, and the function.
struct Logs {
    s3: S3,
    bucket: String,
    /// The event of a new log.
    object_created: Value,
    function: Lambda,
    folder: TempDir,
    files: Vec<String>,
}

impl Logs {
    fn start() -> anyhow::Result<Self> {
        let object_created = event("count-viewers/object-created.json")?;
        let bucket = text(&object_created, "/detail/bucket/name")?.to_owned();
        let s3 = S3::start();
        s3.create_bucket(&bucket, Versioning::Off);
        s3.create_bucket(STATE_BUCKET, Versioning::Off);
        let settings = [
            ("AWS_ENDPOINT_URL_S3", s3.endpoint_url()),
            ("STATE_BUCKET", STATE_BUCKET.to_owned()),
            ("VIEWER_SECRET", SECRET.to_owned()),
        ];
        let folder = tempfile::tempdir()?;
        Ok(Self {
            function: Lambda::start("count-viewers", lambda::environment(settings, &[]))?,
            files: write_logs(folder.path())?,
            s3,
            bucket,
            object_created,
            folder,
        })
    }

    /// Puts all logs, each with its event. Returns the last answer without its figures.
    async fn deliver_all(&self) -> anyhow::Result<(Value, Duration)> {
        let begin = Instant::now();
        let mut answer = Value::Null;
        for name in &self.files {
            let body = std::fs::read(self.folder.path().join(name))?;
            self.s3.put(&self.bucket, &format!("logs/{name}"), body);
            answer = self.function.send(&self.delivered(name)).await?.0;
        }
        answer["figures"].take();
        Ok((answer, begin.elapsed()))
    }

    fn delivered(&self, name: &str) -> Value {
        let key = format!("logs/{name}");
        delivered(self.object_created.clone(), &self.bucket, &key)
    }

    async fn check_repetition(&self, narrator: &mut Narrator) -> anyhow::Result<()> {
        let before = self.s3.snapshot(STATE_BUCKET);
        let repeated = self.delivered(&self.files[0]);
        let (answer, _) = self.function.send(&repeated).await?;
        let is_same = self.s3.snapshot(STATE_BUCKET) == before && answer["outcome"] == "unchanged";
        narrator.check(
            "a log that is delivered twice changes nothing",
            (!is_same).then(|| answer.to_string()),
        );
        Ok(())
    }

    fn check_addresses(&self, narrator: &mut Narrator) {
        let keys = self.s3.keys(STATE_BUCKET, "").into_iter();
        let with_address = keys.filter(|key| {
            let text = self.s3.text(STATE_BUCKET, key);
            text.is_none_or(|text| text.contains("10.0."))
        });
        narrator.check("the stored sets contain no address", with_address);
    }

    fn run_onair_viewers(&self) -> anyhow::Result<Figures> {
        let output = onair("viewers")?
            .arg("--json")
            .args(&self.files)
            .current_dir(self.folder.path())
            .output()
            .context("onair cannot be started")?;
        ensure!(
            output.status.success(),
            "onair viewers failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let lines = String::from_utf8(output.stdout)?;
        let lines = lines.lines();
        Ok(figures(
            lines.filter_map(|line| serde_json::from_str(line).ok()),
        ))
    }
}

/// Writes the log of each server in two files. Returns their names in the order of delivery. The
/// later part is delivered first, because logs have no order.
fn write_logs(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    for server in 0..SERVERS {
        let lines = log(server);
        let (early, late) = lines.split_at(lines.len() / 2 + 7);
        for (part, lines) in [("b", late), ("a", early)] {
            let name = format!("web-{server}-{part}.log.gz");
            std::fs::write(folder.join(&name), compressed(lines)?)?;
            files.push(name);
        }
    }
    Ok(files)
}

fn check_figures(narrator: &mut Narrator, figures: &Figures, elapsed: Duration) {
    let expected = expected();
    let wrong = expected
        .iter()
        .filter(|(of, viewers)| figures.get(*of) != Some(viewers))
        .map(|(of, viewers)| format!("{of:?}: {viewers} viewers, counted {:?}", figures.get(of)));
    narrator.check(
        &format!(
            "every figure is exact; the function read {} logs in {}",
            2 * SERVERS,
            seconds(elapsed)
        ),
        wrong,
    );
    let additional = figures
        .iter()
        .filter(|(of, viewers)| **viewers > 0 && !expected.contains_key(*of));
    narrator.check(
        "the minute without logs has no figure, and not a zero",
        additional.map(|figure| format!("{figure:?}")),
    );
}

/// Viewers by minute and stream.
type Figures = BTreeMap<(String, String), u64>;

/// The highest figure of each minute and stream, as a graph of the maximum shows it.
fn figures(lines: impl IntoIterator<Item = Value>) -> Figures {
    let mut figures = Figures::new();
    for line in lines {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let most = figures.entry((text("minute"), text("stream"))).or_default();
        *most = line["viewers"].as_u64().unwrap_or_default().max(*most);
    }
    figures
}

fn without_zeros(figures: &Figures) -> Figures {
    let mut figures = figures.clone();
    figures.retain(|_, viewers| *viewers > 0);
    figures
}

fn expected() -> Figures {
    let minutes = (0..MINUTES).filter(|minute| *minute != LOST_MINUTE);
    let all = minutes
        .flat_map(|minute| audience(minute).map(|(stream, viewers)| (minute, stream, viewers)));
    all.filter(|(.., viewers)| *viewers > 0)
        .map(|(minute, stream, viewers)| ((at(minute), stream.to_owned()), viewers as u64))
        .collect()
}

fn rows(figures: &Figures) -> Vec<[String; 4]> {
    let most = figures.values().copied().max().unwrap_or_default().max(1);
    let row = |minute: usize| {
        let of = |stream: &str| figures.get(&(at(minute), stream.to_owned())).copied();
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

/// The lines of one server, in the format of `origin/`.
fn log(server: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for minute in (0..MINUTES).filter(|minute| *minute != LOST_MINUTE) {
        for second in (0..60).step_by(6) {
            let seconds = BEGIN_S + (minute * 60 + second) as i64;
            for (stream, viewers) in audience(minute) {
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

fn compressed(lines: &[String]) -> anyhow::Result<Vec<u8>> {
    let mut compressed = GzEncoder::new(Vec::new(), Compression::default());
    for line in lines {
        writeln!(compressed, "{line}")?;
    }
    Ok(compressed.finish()?)
}

fn at(minute: usize) -> String {
    let begins = DateTime::from_timestamp(BEGIN_S + minute as i64 * 60, 0).unwrap_or_default();
    begins.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
