//! The chapter on `prune-recording`: a show has ended, and only its best rendition is kept.

mod verify;

use crate::narrate::{Narrator, count, outcome_is_not, pretty, seconds, size};
use crate::recording::{MASTER, PlayedRecording, RecordingObjects};
use scenes::lambda::{Lambda, metrics};
use scenes::recording::Archive;
use scenes::{event, text};
use serde_json::{Value, json};
use stand_in::ivs::Recording;
use stand_in::{S3, Snapshot};

const STEM: &str = "prune-recording";
const RULE: (&str, &str) = ("KEEP_RENDITIONS", "highest");
/// A wrong rule: no rendition is above 1080p.
const WRONG_RULE: (&str, &str) = ("DELETE_RENDITIONS", "<=1080p");
/// The segments of each rendition, of 10 s: 3 h 20 min.
const SEGMENTS: u64 = 1_200;
/// One per minute.
const THUMBNAILS: u64 = 200;

/// The summary of a run with failed checks.
const FAILED: &str = "Some checks failed. Please report this with the complete output.";

/// Runs the chapter.
pub(crate) async fn run(narrator: &mut Narrator) -> anyhow::Result<()> {
    let end = event("prune-recording/recording-end.json")?;
    let show = DemoRecording::record(&end)?;
    let function = Lambda::start(STEM, show.archive.environment(&[RULE]))?;
    show.introduce(narrator)?;
    show.plan(narrator, &function, &end).await?;
    let answer = show.prune(narrator, &function, &end).await?;
    show.send_again(narrator, &function, &end).await?;
    show.hold(narrator, &end).await?;
    narrator.heading("6. Checks of the bucket");
    let found = verify::verify(narrator, &show, &answer)?;
    narrator.heading("Summary");
    narrator.explain(&if narrator.passed() {
        show.summary(&found)
    } else {
        FAILED.to_owned()
    });
    Ok(())
}

/// A bucket with the recording of a show that has ended, and with another recording.
struct DemoRecording {
    archive: Archive,
    recording: Recording,
    /// No event names it. Its prefix begins with the recording's prefix.
    neighbour: Recording,
    before: Snapshot,
}

impl DemoRecording {
    /// Puts the recording below the prefix of the event.
    fn record(end: &Value) -> anyhow::Result<Self> {
        let bucket = text(end, "/detail/recording_s3_bucket_name")?;
        let prefix = text(end, "/detail/recording_s3_key_prefix")?.to_owned();
        let neighbour = Recording {
            prefix: format!("{prefix}2"),
            ..Recording::default()
        };
        let recording = Recording {
            prefix,
            segments: SEGMENTS,
            thumbnails: THUMBNAILS,
            ..Recording::default()
        };
        let archive = Archive::new(S3::start(), bucket);
        archive.put(&recording);
        archive.put(&neighbour);
        let before = archive.contents();
        Ok(Self {
            archive,
            recording,
            neighbour,
            before,
        })
    }

    /// The recording before the first event.
    fn at_start(&self) -> RecordingObjects {
        RecordingObjects::of(&self.before, &self.recording.prefix)
    }

    /// The recording at present.
    fn now(&self) -> RecordingObjects {
        RecordingObjects::of(&self.archive.contents(), &self.recording.prefix)
    }

    /// The names of the recorded renditions.
    fn renditions(&self) -> Vec<&str> {
        self.recording
            .renditions
            .iter()
            .map(|rendition| rendition.name.as_str())
            .collect()
    }

    fn table(&self, narrator: &mut Narrator, contents: &RecordingObjects) {
        narrator.table(
            ["rendition", "objects", "size"],
            contents.rows(&self.renditions()),
        );
    }

    fn introduce(&self, narrator: &mut Narrator) -> anyhow::Result<()> {
        narrator.heading("prune-recording: after the show");
        narrator.explain(
            "Amazon IVS records a live show to S3 in several renditions, as segments of 10 s. prune-recording deletes the \
             renditions that the user does not want to store. The rest of the recording still plays.",
        );
        narrator.heading("1. A show has ended");
        let (url, minutes) = (self.archive.s3.endpoint_url(), SEGMENTS / 6);
        narrator.explain(&format!(
            "Its recording ({} h {} min; real sizes, empty segments) is stored in the S3 at {url}:",
            minutes / 60,
            minutes % 60
        ));
        narrator.show(&format!(
            "s3://{}/{}",
            self.archive.bucket, self.recording.prefix
        ));
        let contents = self.at_start();
        self.table(narrator, &contents);
        let variants = contents.variants(MASTER)?.join(", ");
        narrator.explain(&format!(
            "master.m3u8, where players start, names {variants}."
        ));
        Ok(())
    }

    async fn plan(
        &self,
        narrator: &mut Narrator,
        function: &Lambda,
        end: &Value,
    ) -> anyhow::Result<()> {
        narrator.heading("2. A dry run");
        narrator.explain(&format!(
            "The user set {}={}. IVS sends an event when the recording has ended. With \"onair\": {{\"dry_run\": true}} in the \
             event, the function only reports its plan.",
            RULE.0, RULE.1
        ));
        let mut ask = end.clone();
        ask["onair"] = json!({ "dry_run": true });
        let (answer, elapsed) = function.send(&ask).await?;
        let deleted = answer["deleted"]
            .as_object()
            .map(|deleted| deleted.keys().cloned().collect::<Vec<_>>());
        narrator.show(&format!(
            "{}: would delete {}: {} objects, {} ({})",
            answer["outcome"].as_str().unwrap_or_default(),
            deleted.unwrap_or_default().join(", "),
            count(answer["objects_deleted"].as_u64().unwrap_or_default()),
            size(answer["bytes_deleted"].as_u64().unwrap_or_default()),
            seconds(elapsed),
        ));
        let wrong = outcome_is_not("planned", &answer)
            .into_iter()
            .chain(self.changes_since(&self.before));
        narrator.check("planned; nothing has changed", wrong);
        Ok(())
    }

    async fn prune(
        &self,
        narrator: &mut Narrator,
        function: &Lambda,
        end: &Value,
    ) -> anyhow::Result<Value> {
        narrator.heading("3. The event of IVS: events/prune-recording/recording-end.json");
        let (answer, elapsed) = function.send(end).await?;
        narrator.explain(&format!(
            "The function's answer after {}:",
            seconds(elapsed)
        ));
        narrator.show(&pretty(&answer));
        let (before, after) = (self.at_start(), self.now());
        self.table(narrator, &after);
        narrator.explain("The lines that master.m3u8 lost; every other byte is unchanged:");
        narrator.diff(
            ("before/master.m3u8", &before.text(MASTER)?),
            ("after/master.m3u8", &after.text(MASTER)?),
        );
        narrator.explain(&format!(
            "recording-ended.json listed {}. Now it lists {}.",
            before.listed()?.join(", "),
            after.listed()?.join(", "),
        ));
        let metrics = metrics(function).pop().unwrap_or_default();
        narrator.check(
            &format!("pruned; the metrics line has {}", figures(&metrics)),
            outcome_is_not("pruned", &answer)
                .into_iter()
                .chain(wrong_metrics(&metrics, &answer)),
        );
        Ok(answer)
    }

    async fn send_again(
        &self,
        narrator: &mut Narrator,
        function: &Lambda,
        end: &Value,
    ) -> anyhow::Result<()> {
        narrator.heading("4. The same event again, and the event of S3");
        narrator.explain(
            "An event can be delivered twice. IVS delivers events with best effort, so one can be missing. Therefore S3's \
             event for recording-ended.json also starts the function. The second event changes nothing.",
        );
        let created = event("prune-recording/object-created.json")?;
        for (name, event) in [
            ("recording-end.json", end),
            ("object-created.json", &created),
        ] {
            let before = self.archive.contents();
            let (answer, elapsed) = function.send(event).await?;
            let wrong = outcome_is_not("unchanged", &answer)
                .into_iter()
                .chain(self.changes_since(&before));
            narrator.check(&format!("{name}: unchanged ({})", seconds(elapsed)), wrong);
        }
        Ok(())
    }

    async fn hold(&self, narrator: &mut Narrator, end: &Value) -> anyhow::Result<()> {
        narrator.heading("5. A rule that would delete everything");
        narrator.explain(&format!(
            "The user sets {}={} by mistake, and the event is sent again. The answer:",
            WRONG_RULE.0, WRONG_RULE.1
        ));
        let function = Lambda::start(STEM, self.archive.environment(&[WRONG_RULE]))?;
        let before = self.archive.contents();
        let (answer, _) = function.send(end).await?;
        narrator.show(&pretty(&answer));
        let wrong = outcome_is_not("held", &answer)
            .into_iter()
            .chain(self.changes_since(&before));
        narrator.check("held; nothing has changed", wrong);
        Ok(())
    }

    fn summary(&self, found: &PlayedRecording) -> String {
        let (before, after) = (self.at_start().amount(""), self.now().amount(""));
        let variants: Vec<&str> = found.variants.iter().map(String::as_str).collect();
        format!(
            "The recording had {} in {} objects. {} in {} objects are left, and it still plays in {}. Its playlists and \
             metadata name exactly what is left.",
            size(before.1),
            count(before.0),
            size(after.1),
            count(after.0),
            variants.join(", "),
        )
    }

    /// The keys of the bucket that have changed.
    fn changes_since(&self, before: &Snapshot) -> Vec<String> {
        let (before, now) = (
            RecordingObjects::of_all(before),
            RecordingObjects::of_all(&self.archive.contents()),
        );
        now.differences(&before)
    }
}

/// The contradiction between the metrics line and the answer, if there is one.
fn wrong_metrics(metrics: &Value, answer: &Value) -> Option<String> {
    let same = metrics["ObjectsDeleted"] == answer["objects_deleted"]
        && metrics["BytesDeleted"] == answer["bytes_deleted"]
        && metrics["RecordingsPruned"] == 1;
    (!same).then(|| format!("the metrics line is {metrics}"))
}

/// The metrics of a line as text.
fn figures(metrics: &Value) -> String {
    let names = metrics
        .pointer("/_aws/CloudWatchMetrics/0/Metrics")
        .and_then(Value::as_array);
    let figure = |metric: &Value| {
        let name = metric["Name"].as_str()?;
        let value = metrics[name].as_u64()?;
        let is_bytes = metric["Unit"] == "Bytes";
        Some(format!(
            "{name} {}",
            if is_bytes { size(value) } else { count(value) }
        ))
    };
    names
        .into_iter()
        .flatten()
        .filter_map(figure)
        .collect::<Vec<_>>()
        .join(", ")
}

fn last_part(prefix: &str) -> &str {
    prefix.rsplit('/').next().unwrap_or(prefix)
}
