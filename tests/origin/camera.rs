//! A camera with its encoder: ffmpeg sends a test picture by RTMP.

use scenes::program::Program;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// ffmpeg ends after this time, even if the test was killed and could not end it.
const RUN_S: &str = "150";

/// A running ffmpeg. It is killed when dropped.
pub(crate) struct Camera(Program);

impl Camera {
    /// Starts to send at 25 frames per second, with a key frame every `key_frames` frames.
    pub(crate) fn start(url: &str, key_frames: u32) -> Self {
        let key_frames = key_frames.to_string();
        let mut command = Command::new("ffmpeg");
        command.args(["-hide_banner", "-nostdin", "-loglevel", "fatal"]);
        command.args(["-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25"]);
        command.args([
            "-re",
            "-f",
            "lavfi",
            "-i",
            "sine=frequency=440:sample_rate=48000",
        ]);
        command.args([
            "-t",
            RUN_S,
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-tune",
            "zerolatency",
        ]);
        command.args(["-threads", "1", "-pix_fmt", "yuv420p", "-b:v", "400k"]);
        command.args([
            "-g",
            &key_frames,
            "-keyint_min",
            &key_frames,
            "-sc_threshold",
            "0",
        ]);
        command.args(["-c:a", "aac", "-b:a", "64k", "-f", "flv", url]);
        // Its output has the address, which contains the secret.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(Program::start(&mut command).unwrap_or_else(|error| panic!("ffmpeg: {error}")))
    }

    /// Whether ffmpeg succeeded, if it ended within this time.
    pub(crate) fn ended_by_itself(mut self, limit: Duration) -> Option<bool> {
        let began = Instant::now();
        while began.elapsed() < limit {
            if let Some(status) = self.0.try_wait().unwrap() {
                return Some(status.success());
            }
            sleep(Duration::from_millis(50));
        }
        None
    }
}
