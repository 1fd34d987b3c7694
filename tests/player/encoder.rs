//! One side's encoder and packager: ffmpeg writes a live HLS ladder into a folder.

use scenes::program::Program;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The length of each segment, and so the target duration.
pub(crate) const SEGMENT_S: u64 = 2;
const FRAMES_PER_S: u64 = 10;
/// A player begins three target durations behind the edge (RFC 8216, 6.3.3).
const SEGMENTS_TO_BEGIN: usize = 3;
const BEGIN_LIMIT: Duration = Duration::from_secs(30);
/// Nobody ends what a killed test leaves behind; it ends by itself.
const RUN_S: u64 = 180;
/// MPEG-TS counts to 2^33 at 90 kHz, a good 26 h: the time of day goes in, the time since 1970 does
/// not.
const TIMESTAMPS_START_ANEW_S: u64 = 90_000;
/// The multivariant playlist.
pub(crate) const MASTER: &str = "index.m3u8";

/// Where the sound is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sound {
    /// In the segments of the picture.
    Inside,
    /// In segments of its own, as a rendition of its own: EXT-X-MEDIA.
    Apart,
}

/// A running ffmpeg. It is killed when dropped.
pub(crate) struct Encoder {
    program: Program,
    folder: PathBuf,
}

impl Encoder {
    /// Starts to write into `folder`, which is emptied before; what ffmpeg has to say goes into a
    /// file beside it.
    ///
    /// Both encoders of a pair count as one that locks its output to the epoch does: at the same
    /// time they have the same time stamps and the same sequence numbers, whenever they were
    /// started. hls.js needs that, or the picture stands after a switch: it loads no segment whose
    /// sequence number it has loaded before, whichever side that was from.
    pub(crate) fn start(
        name: &str,
        colour: &str,
        tone_hz: u32,
        sound: Sound,
        folder: &Path,
    ) -> Self {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).unwrap();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let first = since_epoch.as_secs() / SEGMENT_S + 1;
        let begin_s = first * SEGMENT_S;
        sleep(Duration::from_secs(begin_s) - since_epoch);

        let picture = format!(
            "[0:v]drawtext=text='{name} %{{localtime\\:%T}}':fontsize=40:fontcolor=white:box=1:boxcolor={colour}:\
             x=(w-tw)/2:y=(h-th)/2,format=yuv420p,split=2[high][large];[large]scale=160:90[low]"
        );
        let key_frames = (FRAMES_PER_S * SEGMENT_S).to_string();
        let mut command = Command::new("ffmpeg");
        command.args(["-hide_banner", "-nostdin", "-loglevel", "warning"]);
        command.args([
            "-re",
            "-f",
            "lavfi",
            "-i",
            &format!("testsrc2=size=320x180:rate={FRAMES_PER_S}"),
        ]);
        command.args([
            "-re",
            "-f",
            "lavfi",
            "-i",
            &format!("sine=frequency={tone_hz}:sample_rate=48000"),
        ]);
        command.args(["-t", &RUN_S.to_string(), "-filter_complex", &picture]);
        command.args(["-map", "[high]", "-map", "[low]", "-map", "1:a"]);
        command.args(match sound {
            Sound::Inside => ["-map", "1:a", "-var_stream_map", "v:0,a:0,name:high v:1,a:1,name:low"].as_slice(),
            Sound::Apart => &[
                "-var_stream_map",
                "v:0,agroup:sound,name:high v:1,agroup:sound,name:low a:0,agroup:sound,default:yes,name:sound",
            ],
        });
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
        command.args([
            "-g",
            &key_frames,
            "-keyint_min",
            &key_frames,
            "-sc_threshold",
            "0",
        ]);
        command.args([
            "-b:v:0", "300k", "-b:v:1", "100k", "-c:a", "aac", "-b:a", "48k",
        ]);
        command.args([
            "-output_ts_offset",
            &(begin_s % TIMESTAMPS_START_ANEW_S).to_string(),
        ]);
        command.args(["-muxdelay", "0", "-muxpreload", "0"]);
        command.args([
            "-f",
            "hls",
            "-hls_time",
            &SEGMENT_S.to_string(),
            "-hls_list_size",
            "6",
        ]);
        command.args([
            "-hls_flags",
            "delete_segments+independent_segments+program_date_time+temp_file",
        ]);
        command.args([
            "-start_number",
            &first.to_string(),
            "-master_pl_name",
            MASTER,
        ]);
        command
            .arg("-hls_segment_filename")
            .arg(folder.join("%v_%d.ts"))
            .arg(folder.join("%v.m3u8"));
        let log = File::create(folder.with_extension("ffmpeg.log")).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let program =
            Program::start(&mut command).unwrap_or_else(|error| panic!("ffmpeg: {error}"));
        Self {
            program,
            folder: folder.to_owned(),
        }
    }

    /// Waits until a player can begin.
    pub(crate) fn wait(&mut self) {
        let began = Instant::now();
        let text = |name: &str| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        let can_begin = |name| text(name).matches("#EXTINF").count() >= SEGMENTS_TO_BEGIN;
        while text(MASTER).is_empty() || !can_begin("high.m3u8") || !can_begin("low.m3u8") {
            let log = self.folder.with_extension("ffmpeg.log");
            if let Some(status) = self.program.try_wait().unwrap() {
                panic!(
                    "ffmpeg ended with {status}: {}",
                    fs::read_to_string(log).unwrap_or_default()
                );
            }
            assert!(
                began.elapsed() < BEGIN_LIMIT,
                "ffmpeg has not begun: {}",
                log.display()
            );
            sleep(Duration::from_millis(100));
        }
    }
}
