//! Chromium with hls.js, controlled by `watch.mjs`.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};
use stories::root;

/// The limit for the start and the end of the browser.
const BROWSER_LIMIT: Duration = Duration::from_secs(60);
/// The limit for the first picture, or for a screenshot.
const PICTURE_LIMIT: Duration = Duration::from_secs(30);

/// A report of `watch.mjs`: a JSON object. `at_ms` is Unix time.
type Told = Value;

/// A browser that plays. It is closed when this is dropped. Its reports are kept in a file beside
/// the screenshots.
pub(crate) struct Browser {
    child: Child,
    commands: Option<ChildStdin>,
    lines: Receiver<Told>,
    told: Vec<Told>,
    folder: PathBuf,
}

/// The events since the first moving picture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PlaybackEvents {
    /// How often the picture froze.
    pub(crate) stalls: u64,
    /// How often hls.js or the browser waited for data.
    pub(crate) waits: u64,
    /// How often the picture jumped.
    pub(crate) jumps: u64,
    /// How often hls.js reported a fatal error.
    pub(crate) fatal: u64,
    pub(crate) pathways: Vec<String>,
}

impl Browser {
    /// Opens a browser. Its screenshots and its log are written into `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        let hls = root().join("target/player/node_modules/hls.js/dist/hls.min.js");
        assert!(
            hls.exists(),
            "{} is not there: `make test` installs it",
            hls.display()
        );
        let mut command = Command::new("node");
        command
            .arg(root().join("tests/player/watch.mjs"))
            .arg("--hls")
            .arg(hls);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("node: {error}"));
        let (commands, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let told = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(told).is_err() {
                    break;
                }
            }
        });
        let mut viewer = Self {
            child,
            commands,
            lines,
            told: Vec::new(),
            folder: folder.to_owned(),
        };
        viewer.wait("ready", BROWSER_LIMIT, |told| told["event"] == "ready");
        viewer
    }

    /// Opens a playlist and waits for the first moving picture.
    pub(crate) fn play(&mut self, url: &str) {
        self.command(&json!({ "play": url }));
        self.wait("a moving picture", PICTURE_LIMIT, |told| {
            told["event"] == "started"
        });
    }

    pub(crate) fn screenshot(&mut self, name: &str) {
        let file = self.folder.join(name).with_extension("png");
        self.command(&json!({ "screenshot": file }));
        self.wait("a screenshot", PICTURE_LIMIT, |told| {
            told["event"] == "screenshot" && told["file"] == json!(file)
        });
    }

    /// Waits for the first video segment that was loaded since `since_ms` and whose URL begins with
    /// `base`. Returns the time after `since_ms`.
    pub(crate) fn first_segment(&mut self, base: &str, since_ms: u64, limit: Duration) -> Duration {
        self.first("fragment", base, since_ms, limit)
    }

    /// Waits until the picture is from there: the player plays its buffer of the other side first.
    pub(crate) fn first_picture(&mut self, base: &str, since_ms: u64, limit: Duration) -> Duration {
        self.first("on_screen", base, since_ms, limit)
    }

    fn first(&mut self, event: &str, base: &str, since_ms: u64, limit: Duration) -> Duration {
        let found = self.wait(&format!("{event} of {base}"), limit, |told| {
            let url = told["url"].as_str().unwrap_or_default();
            let is_it = told["event"] == event && told["type"] == "main" && url.starts_with(base);
            is_it && told["at_ms"].as_u64() >= Some(since_ms)
        });
        Duration::from_millis(found["at_ms"].as_u64().unwrap_or_default() - since_ms)
    }

    /// Waits until more than `count` segments from there have been played.
    pub(crate) fn goes_on(&mut self, base: &str, count: usize, limit: Duration) {
        let mut seen = BTreeSet::new();
        for nth in 0..=count {
            let next = self.wait(
                &format!("segment {nth} on the screen from {base}"),
                limit,
                |told| {
                    told["event"] == "on_screen"
                        && told["url"]
                            .as_str()
                            .is_some_and(|url| url.starts_with(base) && !seen.contains(url))
                },
            );
            seen.extend(next["url"].as_str().map(str::to_owned));
        }
    }

    /// Waits until the steering manifest that the player has read has these pathways in this order.
    pub(crate) fn steered_to(&mut self, priority: &[&str], limit: Duration) {
        let what = format!("a steering manifest with {priority:?}");
        self.wait(&what, limit, |told| {
            told["event"] == "steering" && told["priority"] == json!(priority)
        });
    }

    /// Closes the browser and returns the events.
    pub(crate) fn end(mut self) -> PlaybackEvents {
        self.command(&json!({ "end": true }));
        let summary = self.wait("the summary", BROWSER_LIMIT, |told| {
            told["event"] == "summary"
        });
        let number = |name: &str| summary[name].as_u64().unwrap_or(u64::MAX);
        let pathways = summary["pathways"].as_array().cloned().unwrap_or_default();
        PlaybackEvents {
            stalls: number("stalls"),
            waits: number("waiting")
                + summary["errors"]["bufferStalledError"]
                    .as_u64()
                    .unwrap_or_default(),
            jumps: number("seeks"),
            fatal: number("fatal"),
            pathways: pathways
                .iter()
                .filter_map(|id| id.as_str().map(str::to_owned))
                .collect(),
        }
    }

    fn command(&mut self, command: &Value) {
        let commands = self.commands.as_mut().unwrap();
        writeln!(commands, "{command}").unwrap_or_else(|error| panic!("{command}: {error}"));
    }

    /// The first report for which the condition holds, which may be an old one.
    fn wait(&mut self, what: &str, limit: Duration, is_it: impl Fn(&Told) -> bool) -> Told {
        let began = Instant::now();
        let mut known = 0;
        loop {
            if let Some(found) = self.told[known..].iter().find(|told| is_it(told)) {
                return found.clone();
            }
            known = self.told.len();
            match self
                .lines
                .recv_timeout(limit.saturating_sub(began.elapsed()))
            {
                Ok(told) => self.told.push(told),
                Err(why) => panic!(
                    "no {what} within {limit:?} ({why}): see {}",
                    self.log().display()
                ),
            }
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.join("viewer.jsonl")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // At the end of its commands, watch.mjs exits and closes the browser.
        drop(self.commands.take());
        let began = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && began.elapsed() < BROWSER_LIMIT {
            thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.told.extend(self.lines.try_iter());
        let lines: String = self.told.iter().map(|told| format!("{told}\n")).collect();
        // If the log cannot be written, the failure of the story must still be visible.
        let _ = fs::write(self.log(), lines);
    }
}
