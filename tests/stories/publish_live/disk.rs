//! Failures on the transcoder's disk.

use super::by_hand::Transcoder;
use super::{Live, wait_until};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(86_400);

/// Promise P77: a full disk cuts off the file that is written last.
#[test]
fn a_playlist_that_was_cut_off_is_not_published() {
    let live = Live::new();
    let _daemon = live.daemon(&[]);
    let mut hd = Transcoder::new(&live, "hd");
    hd.next_segment();
    hd.next_segment();
    wait_until("the stream", || live.count("hd") == 2);

    let path = hd.folder.join("index.m3u8");
    let whole = fs::read_to_string(&path).unwrap();
    for length in (0..whole.len()).rev() {
        fs::write(&path, &whole[..length]).unwrap();
        sleep(Duration::from_millis(5));
    }
    hd.next_segment();

    wait_until("the next segment", || live.count("hd") == 3);
    let text = live.playlist("hd");
    assert!(
        !text.contains("DISCONTINUITY") && !text.contains("GAP"),
        "{text}"
    );
}

/// Promises P71 and P72: names contain the time, and nothing else depends on the time.
#[test]
fn a_clock_that_jumps_changes_nothing() {
    let live = Live::new();
    let mut hd = Transcoder::new(&live, "hd");
    let now = SystemTime::now();
    for (number, time) in [now, now - DAY, now + DAY, now, now - 2 * DAY]
        .into_iter()
        .enumerate()
    {
        let daemon = live.daemon(&[]);
        let path = hd.segment(&format!("segment {number}"));
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(time)
            .unwrap();
        hd.playlist();
        wait_until("the segment", || live.count("hd") == number as u64 + 1);
        drop(daemon);
    }
    let text = live.playlist("hd");
    assert!(
        !text.contains("DISCONTINUITY") && !text.contains("GAP"),
        "{text}"
    );
}

/// Promise P76: a file that cannot be read counts as missing.
#[test]
fn a_file_that_cannot_be_read_is_a_gap_and_a_playlist_is_waited_for() {
    let live = Live::new();
    let _daemon = live.daemon(&[]);
    let mut hd = Transcoder::new(&live, "hd");
    hd.next_segment();
    let path = hd.segment("");
    fs::remove_file(&path).unwrap();
    // Even root cannot read a link to itself.
    symlink(&path, &path).unwrap();
    hd.playlist();
    fs::create_dir(hd.folder.join("2.ts")).unwrap();
    hd.next += 1;
    hd.playlist();

    wait_until("two gaps", || {
        live.playlist("hd").matches("#EXT-X-GAP").count() == 2
    });
    fs::write(hd.folder.join("index.m3u8"), b"#EXTM3U\n\xff\n").unwrap();
    sleep(Duration::from_millis(200));
    hd.next_segment();
    wait_until("the stream continues", || live.count("hd") == 4);
}
