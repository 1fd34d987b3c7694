//! A live stream on this machine: ffmpeg writes HLS into a folder, publish-live puts it into a
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

/// The renditions, each in a folder of its own.
pub(crate) const RENDITIONS: [&str; 2] = ["360p", "180p"];
/// What viewers open.
pub(crate) const MULTIVARIANT: &str = "index.m3u8";
/// A request takes so long within a region (docs/performance.md counts with the same).
const LATENCY: Duration = Duration::from_millis(25);
/// How long something may take that should take a second or two.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The stream. All of it ends, and its folder goes, when this is dropped.
pub(crate) struct DemoStream {
    encoder: LoggedProgram,
    publisher: LoggedProgram,
    /// What publish-live is told beside where from and where to.
    options: &'static [&'static str],
    // Behind the programs, which write into these: fields are dropped in their order.
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

    /// Begins to watch what is published.
    pub(crate) fn watch(&self) -> BucketMonitor {
        let folder = self.scene.dir.path().to_owned();
        BucketMonitor::start(&self.scene.s3, BUCKET, move |key| {
            let file = folder.join(written(key)?);
            file.metadata()
                .and_then(|metadata| metadata.modified())
                .ok()
        })
    }

    /// ffmpeg's process.
    pub(crate) fn encoder_id(&self) -> u32 {
        self.encoder.id()
    }

    /// publish-live's process.
    pub(crate) fn publisher_id(&self) -> u32 {
        self.publisher.id()
    }

    /// Kills publish-live, without a warning.
    pub(crate) fn kill_publisher(&mut self) {
        self.publisher.kill();
    }

    /// Starts publish-live anew.
    pub(crate) fn publish_again(&mut self) -> anyhow::Result<()> {
        self.publisher = publish(&self.scene, self.logs.path(), self.options)?;
        Ok(())
    }

    /// Kills ffmpeg, and starts it anew.
    pub(crate) fn encode_again(&mut self) -> anyhow::Result<()> {
        self.encoder.kill();
        self.encoder = encode(self.scene.dir.path(), self.logs.path())?;
        Ok(())
    }

    /// Starts again what somebody killed, and says what that was and which process it is now.
    ///
    /// # Errors
    ///
    /// A program ended by itself.
    pub(crate) fn tend(&mut self) -> anyhow::Result<Option<(&'static str, u32)>> {
        if ended(&mut self.publisher, "publish-live")?.is_some() {
            self.publish_again()?;
            return Ok(Some(("publish-live", self.publisher.id())));
        }
        // Without a signal, it was told that the show is over.
        if ended(&mut self.encoder, "ffmpeg")?.is_some_and(|status| status.signal().is_some()) {
            self.encode_again()?;
            return Ok(Some(("ffmpeg", self.encoder.id())));
        }
        Ok(None)
    }

    /// Has ffmpeg write its last segments and end.
    pub(crate) fn end_show(&mut self) -> anyhow::Result<()> {
        self.encoder
            .type_in(b"q")
            .context("ffmpeg cannot be told to end")
    }

    /// The published playlist of a rendition; empty if it is not there.
    pub(crate) fn playlist(&self, rendition: &str) -> String {
        self.scene.playlist(rendition)
    }

    /// The playlist of all that was of a rendition; empty if it is not there.
    pub(crate) fn all_of(&self, rendition: &str) -> String {
        self.scene.text(&format!("{rendition}/index.vod.m3u8"))
    }

    /// Whether this holds for the published playlist of each rendition.
    pub(crate) fn each(&self, holds: impl Fn(&str) -> bool) -> bool {
        RENDITIONS
            .iter()
            .all(|rendition| holds(&self.playlist(rendition)))
    }

    /// Whether a viewer can open it and finds every rendition.
    pub(crate) fn is_on_air(&self) -> bool {
        let multivariant = self.scene.text(MULTIVARIANT);
        RENDITIONS
            .iter()
            .all(|rendition| multivariant.contains(rendition))
            && self.each(|text| !text.is_empty())
    }

    /// Waits until something is so, and says how long that took; `None` if it does not come.
    ///
    /// # Errors
    ///
    /// A program ended by itself.
    pub(crate) async fn until(
        &mut self,
        mut is_so: impl FnMut(&Self) -> bool,
    ) -> anyhow::Result<Option<Duration>> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if is_so(self) {
                return Ok(Some(began.elapsed()));
            }
            if let Some((name, _)) = self.tend()? {
                bail!("{name} was killed, and not by this story");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(None)
    }
}

/// How a program ended, if it was told to.
fn ended(program: &mut LoggedProgram, name: &str) -> anyhow::Result<Option<ExitStatus>> {
    let status = program.ended()?;
    match status.filter(|status| !status.success() && status.signal().is_none()) {
        Some(status) => bail!("{name} ended ({status}); it said: {}", program.last_words()),
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

/// A test picture in two renditions, in segments of a second, as fast as it would come from a
/// camera.
fn encode(folder: &Path, logs: &Path) -> anyhow::Result<LoggedProgram> {
    let mut command = Command::new("ffmpeg");
    command.args([
        "-v",
        "error",
        "-re",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=640x360:rate=25",
    ]);
    command.args([
        "-filter_complex",
        "[0:v]format=yuv420p,split=2[360p][large];[large]scale=320:180[180p]",
    ]);
    command.args([
        "-map", "[360p]", "-b:v:0", "800k", "-map", "[180p]", "-b:v:1", "250k",
    ]);
    command.args([
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-tune",
        "zerolatency",
        "-threads",
        "1",
    ]);
    command.args(["-g", "25", "-keyint_min", "25", "-sc_threshold", "0"]);
    command.args(["-f", "hls", "-hls_time", "1", "-hls_list_size", "6"]);
    command.args([
        "-hls_flags",
        "delete_segments+independent_segments+program_date_time",
    ]);
    command.args([
        "-var_stream_map",
        "v:0,name:360p v:1,name:180p",
        "-master_pl_name",
        MULTIVARIANT,
    ]);
    command.arg(folder.join("%v/index.m3u8"));
    LoggedProgram::start(&command, logs.join("ffmpeg.log"))
}

fn publish(scene: &LiveStream, logs: &Path, options: &[&str]) -> anyhow::Result<LoggedProgram> {
    LoggedProgram::start(
        &publisher(&scene.s3, scene.dir.path(), options)?,
        logs.join("publish-live.log"),
    )
}
