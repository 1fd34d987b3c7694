//! The encoder and packager of one side: ffmpeg writes a live HLS ladder into a folder.

use scenes::program::Program;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The length of each segment, which is also the target duration.
pub(crate) const SEGMENT_S: u64 = 2;
const FRAMES_PER_S: u64 = 10;
/// A player starts three target durations before the live edge (RFC 8216, 6.3.3).
const SEGMENTS_TO_START: usize = 3;
const START_LIMIT: Duration = Duration::from_secs(30);
/// ffmpeg ends after this time, even if the test was killed and could not end it.
const RUN_S: u64 = 180;
/// MPEG-TS time stamps count to 2^33 at 90 kHz, which is more than 26 h. The time of day fits, the
/// time since 1970 does not.
const TIMESTAMP_PERIOD_S: u64 = 90_000;
/// The multivariant playlist.
pub(crate) const MULTIVARIANT: &str = "index.m3u8";

/// The place of the sound in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sound {
    /// In the segments of the video.
    Muxed,
    /// In a separate rendition: EXT-X-MEDIA.
    Separate,
}

/// A running ffmpeg. It is killed when dropped.
pub(crate) struct Encoder {
    program: Program,
    folder: PathBuf,
}

impl Encoder {
    /// Empties `folder` and starts to write into it. The log of ffmpeg is a file beside it.
    ///
    /// Both encoders of a pair count like encoders with epoch locking. At the same time they have
    /// the same time stamps and sequence numbers, regardless of their start. Otherwise the picture
    /// freezes after a switch: hls.js does not load a sequence number that it has already loaded
    /// from the other side.
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
        sleep(Duration::from_secs(first * SEGMENT_S) - since_epoch);

        let mut command = Command::new("ffmpeg");
        command.args(["-hide_banner", "-nostdin", "-loglevel", "warning"]);
        add_inputs(&mut command, name, colour, tone_hz);
        add_codecs(&mut command, sound);
        add_hls_output(&mut command, first, folder);
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

    /// Waits until a player can start.
    pub(crate) fn wait(&mut self) {
        let began = Instant::now();
        let text = |name: &str| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        let can_start = |name| text(name).matches("#EXTINF").count() >= SEGMENTS_TO_START;
        while text(MULTIVARIANT).is_empty() || !can_start("high.m3u8") || !can_start("low.m3u8") {
            let log = self.folder.with_extension("ffmpeg.log");
            if let Some(status) = self.program.try_wait().unwrap() {
                panic!(
                    "ffmpeg failed ({status}): {}",
                    fs::read_to_string(log).unwrap_or_default()
                );
            }
            assert!(
                began.elapsed() < START_LIMIT,
                "ffmpeg did not start: {}",
                log.display()
            );
            sleep(Duration::from_millis(100));
        }
    }
}

/// A test picture with a name, a colour and a clock, and a tone.
fn add_inputs(command: &mut Command, name: &str, colour: &str, tone_hz: u32) {
    let picture = format!(
        "[0:v]drawtext=text='{name} %{{localtime\\:%T}}':fontsize=40:fontcolor=white:box=1:boxcolor={colour}:\
         x=(w-tw)/2:y=(h-th)/2,format=yuv420p,split=2[high][large];[large]scale=160:90[low]"
    );
    let video = format!("testsrc2=size=320x180:rate={FRAMES_PER_S}");
    let audio = format!("sine=frequency={tone_hz}:sample_rate=48000");
    command
        .args(["-re", "-f", "lavfi", "-i", &video])
        .args(["-re", "-f", "lavfi", "-i", &audio])
        .args(["-t", &RUN_S.to_string(), "-filter_complex", &picture]);
}

fn add_codecs(command: &mut Command, sound: Sound) {
    let key_frames = (FRAMES_PER_S * SEGMENT_S).to_string();
    command.args(["-map", "[high]", "-map", "[low]", "-map", "1:a"]);
    match sound {
        Sound::Muxed => command
            .args(["-map", "1:a"])
            .args(["-var_stream_map", "v:0,a:0,name:high v:1,a:1,name:low"]),
        Sound::Separate => command.args([
            "-var_stream_map",
            "v:0,agroup:sound,name:high v:1,agroup:sound,name:low a:0,agroup:sound,default:yes,name:sound",
        ]),
    };
    command
        .args(["-c:v", "libx264", "-preset", "ultrafast"])
        .args(["-tune", "zerolatency", "-threads", "1"])
        .args(["-g", &key_frames, "-keyint_min", &key_frames])
        .args(["-sc_threshold", "0", "-b:v:0", "300k", "-b:v:1", "100k"])
        .args(["-c:a", "aac", "-b:a", "48k"]);
}

/// `first` is the number of the first segment, counted since 1970.
fn add_hls_output(command: &mut Command, first: u64, folder: &Path) {
    let offset_s = first * SEGMENT_S % TIMESTAMP_PERIOD_S;
    command
        .args(["-output_ts_offset", &offset_s.to_string()])
        .args(["-muxdelay", "0", "-muxpreload", "0"])
        .args(["-f", "hls", "-hls_time", &SEGMENT_S.to_string()])
        .args(["-hls_list_size", "6"])
        .args([
            "-hls_flags",
            "delete_segments+independent_segments+program_date_time+temp_file",
        ])
        .args(["-start_number", &first.to_string()])
        .args(["-master_pl_name", MULTIVARIANT])
        .arg("-hls_segment_filename")
        .arg(folder.join("%v_%d.ts"))
        .arg(folder.join("%v.m3u8"));
}
