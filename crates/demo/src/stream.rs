//! A live stream on this machine: ffmpeg writes HLS into a folder, publish-live uploads it to a
//! loopback S3.

use crate::monitor::BucketMonitor;
use crate::program::LoggedProgram;
use anyhow::{Context as _, bail};
use scenes::live_stream::{BUCKET, FOLDER, LiveStream, publisher};
use stand_in::S3;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The renditions. Each has its own folder.
pub(crate) const RENDITIONS: [&str; 2] = ["360p", "180p"];
/// The playlist that viewers open.
pub(crate) const MULTIVARIANT: &str = "index.m3u8";
/// The time of a request within a region, as in docs/performance.md.
const LATENCY: Duration = Duration::from_millis(25);
/// The limit for something that normally takes a second or two.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(20);

/// A running stream. Its programs are killed and its folder is deleted when it is dropped.
pub(crate) struct DemoStream {
    encoder: LoggedProgram,
    publisher: LoggedProgram,
    /// The options of publish-live other than folder and target.
    options: &'static [&'static str],
    // After the programs, which write into these: fields are dropped in their order.
    pub(crate) scene: LiveStream,
    logs: TempDir,
}

impl DemoStream {
    /// Starts ffmpeg, and publish-live with these options.
    pub(crate) fn start(options: &'static [&'static str]) -> anyhow::Result<Self> {
        let scene = LiveStream::new(S3::builder().latency(LATENCY).start())?;
        let logs = tempfile::Builder::new().prefix("onair-demo-").tempdir()?;
        let publisher = publish(&scene, logs.path(), options)?;
        let encoder = encode(scene.dir.path(), logs.path())?;
        Ok(Self {
            encoder,
            publisher,
            options,
            scene,
            logs,
        })
    }

    /// Starts to monitor the bucket.
    pub(crate) fn monitor(&self) -> BucketMonitor {
        let folder = self.scene.dir.path().to_owned();
        BucketMonitor::start(&self.scene.s3, BUCKET, move |key| {
            let file = folder.join(written(key)?);
            file.metadata()
                .and_then(|metadata| metadata.modified())
                .ok()
        })
    }

    pub(crate) fn encoder_id(&self) -> u32 {
        self.encoder.id()
    }

    pub(crate) fn publisher_id(&self) -> u32 {
        self.publisher.id()
    }

    pub(crate) fn kill_publisher(&mut self) {
        self.publisher.kill();
    }

    /// Starts publish-live again.
    pub(crate) fn restart_publisher(&mut self) -> anyhow::Result<()> {
        self.publisher = publish(&self.scene, self.logs.path(), self.options)?;
        Ok(())
    }

    /// Kills ffmpeg, and starts it again.
    pub(crate) fn restart_encoder(&mut self) -> anyhow::Result<()> {
        self.encoder.kill();
        self.encoder = encode(self.scene.dir.path(), self.logs.path())?;
        Ok(())
    }

    /// Restarts a program that was killed. Returns its name and its new process id.
    ///
    /// # Errors
    ///
    /// A program failed.
    pub(crate) fn restart_killed(&mut self) -> anyhow::Result<Option<(&'static str, u32)>> {
        if ended(&mut self.publisher, "publish-live")?.is_some() {
            self.restart_publisher()?;
            return Ok(Some(("publish-live", self.publisher.id())));
        }
        // Without a signal, it ended at the end of the show.
        if ended(&mut self.encoder, "ffmpeg")?.is_some_and(|status| status.signal().is_some()) {
            self.restart_encoder()?;
            return Ok(Some(("ffmpeg", self.encoder.id())));
        }
        Ok(None)
    }

    /// Stops ffmpeg after it has written its last segments.
    pub(crate) fn end_show(&mut self) -> anyhow::Result<()> {
        self.encoder
            .type_in(b"q")
            .context("ffmpeg cannot be stopped")
    }

    /// The published playlist of a rendition, or an empty text.
    pub(crate) fn playlist(&self, rendition: &str) -> String {
        self.scene.playlist(rendition)
    }

    /// The VOD playlist of a rendition, or an empty text.
    pub(crate) fn vod_playlist(&self, rendition: &str) -> String {
        self.scene.text(&format!("{rendition}/index.vod.m3u8"))
    }

    /// Whether this holds for the published playlist of each rendition.
    pub(crate) fn every_playlist(&self, holds: impl Fn(&str) -> bool) -> bool {
        RENDITIONS
            .iter()
            .all(|rendition| holds(&self.playlist(rendition)))
    }

    /// Whether viewers can open the stream and find every rendition.
    pub(crate) fn is_on_air(&self) -> bool {
        let multivariant = self.scene.text(MULTIVARIANT);
        RENDITIONS
            .iter()
            .all(|rendition| multivariant.contains(rendition))
            && self.every_playlist(|text| !text.is_empty())
    }

    /// Waits until a condition holds. Returns the time, or `None` after the time limit.
    ///
    /// # Errors
    ///
    /// A program failed.
    pub(crate) async fn until(
        &mut self,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> anyhow::Result<Option<Duration>> {
        let began = Instant::now();
        while began.elapsed() < TIME_LIMIT {
            if holds(self) {
                return Ok(Some(began.elapsed()));
            }
            if let Some((name, _)) = self.restart_killed()? {
                bail!("{name} was killed from outside the demo");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(None)
    }
}

/// The exit status of a program that ended as expected.
fn ended(program: &mut LoggedProgram, name: &str) -> anyhow::Result<Option<ExitStatus>> {
    let status = program.ended()?;
    match status.filter(|status| !status.success() && status.signal().is_none()) {
        Some(status) => bail!(
            "{name} failed ({status}); its log ends with: {}",
            program.last_lines()
        ),
        None => Ok(status),
    }
}

/// The file that is published under a key: `live/360p/index7.mwql1xyw.ts` is `360p/index7.ts`.
fn written(key: &str) -> Option<String> {
    let path = key.strip_prefix(FOLDER)?.strip_prefix('/')?;
    let (name, ending) = path.rsplit_once('.')?;
    let (name, _time) = name.rsplit_once('.')?;
    Some(format!("{name}.{ending}"))
}

/// Encodes a test picture in real time, in two renditions with segments of one second.
fn encode(folder: &Path, logs: &Path) -> anyhow::Result<LoggedProgram> {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-v", "error", "-re", "-f", "lavfi"])
        .args(["-i", "testsrc2=size=640x360:rate=25"])
        .args([
            "-filter_complex",
            "[0:v]format=yuv420p,split=2[360p][large];[large]scale=320:180[180p]",
        ])
        .args(["-map", "[360p]", "-b:v:0", "800k"])
        .args(["-map", "[180p]", "-b:v:1", "250k"])
        .args(["-c:v", "libx264", "-preset", "ultrafast"])
        .args(["-tune", "zerolatency", "-threads", "1"])
        .args(["-g", "25", "-keyint_min", "25", "-sc_threshold", "0"])
        .args(["-f", "hls", "-hls_time", "1", "-hls_list_size", "6"])
        .args([
            "-hls_flags",
            "delete_segments+independent_segments+program_date_time",
        ])
        .args(["-var_stream_map", "v:0,name:360p v:1,name:180p"])
        .args(["-master_pl_name", MULTIVARIANT])
        .arg(folder.join("%v/index.m3u8"));
    LoggedProgram::start(&command, logs.join("ffmpeg.log"))
}

fn publish(scene: &LiveStream, logs: &Path, options: &[&str]) -> anyhow::Result<LoggedProgram> {
    LoggedProgram::start(
        &publisher(&scene.s3, scene.dir.path(), options)?,
        logs.join("publish-live.log"),
    )
}
