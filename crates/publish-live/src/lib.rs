//! Publishes a live stream from a transcoder's disk to S3: `onair publish-live`.
//!
//! A daemon: inotify reports the files that were closed, `onair_core::publish_live` decides on the
//! next job, and the daemon runs it.

mod bucket;
mod disk;
mod folder_watcher;
mod report;
mod settings;
mod single_instance;
mod terminal;

pub use settings::Arguments;
pub use terminal::Terminal;

use bucket::LiveBucket;
use disk::Disk;
use folder_watcher::{FolderWatcher, FsEvent};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use onair_core::publish_live::job::LivePolicy;
use onair_core::publish_live::publisher::LivePublisher;
use report::Reporter;
use settings::{LogOutput, Settings};
use std::pin::pin;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// The reasons for which the daemon ends before it receives a signal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be watched any more.
    #[error("{0}")]
    Folder(String),
    /// Neither a variable, nor the profile, nor the instance metadata names a region.
    #[error("the region is not known: set AWS_REGION, or a region in the AWS profile")]
    NoRegion,
    /// Without signal handlers the daemon could not finish its uploads when it is stopped.
    #[error("SIGTERM and SIGINT cannot be handled: {0}")]
    Signals(#[from] std::io::Error),
    /// Another process on this machine publishes the same folder to the same target.
    #[error(
        "another publish-live on this machine publishes {dir} to {target}: stop that one first"
    )]
    AlreadyRunning {
        /// Path of the folder.
        dir: String,
        /// S3 URL of the target.
        target: String,
    },
    /// Another publisher writes the playlists of this target.
    #[error(
        "s3://{bucket}/{key} belongs to another publisher ({publisher}, {age_s} s ago): stop that one, or choose another prefix"
    )]
    NotAlone {
        bucket: String,
        key: String,
        /// Host and folder of the other publisher.
        publisher: String,
        /// Seconds since it wrote the playlist.
        age_s: u64,
    },
}

/// Requests in flight at a time.
const MAX_IN_FLIGHT: usize = 64;
/// Interval at which time-dependent decisions are made: an ended stream, a lost segment.
const TICK: Duration = Duration::from_millis(250);
/// Time to finish after a signal.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens the log, in the format that the arguments name. On a terminal, log lines appear above the
/// state of each rendition.
pub fn open_log(arguments: &Arguments) -> Terminal {
    let terminal = Terminal::new(arguments.log());
    let lines = tracing_subscriber::fmt()
        .with_target(false)
        .with_writer(terminal.writer());
    match arguments.log() {
        LogOutput::Json => lines.json().flatten_event(true).init(),
        LogOutput::Text => lines.init(),
    }
    terminal
}

/// Publishes until SIGTERM or Ctrl-C.
///
/// # Errors
///
/// [`Error`]
pub async fn run(arguments: Arguments, terminal: Terminal) -> Result<(), Error> {
    // Before anything else: from here on a signal does not kill the process.
    let mut stop = StopSignals::install()?;
    let settings = Settings::from(arguments);
    let watcher = FolderWatcher::new(&settings.dir)?;
    let _instance = single_instance::claim(&settings)?;
    // The instance metadata may take seconds to answer.
    let bucket = tokio::select! {
        bucket = LiveBucket::connect(&settings) => bucket?,
        () = stop.received() => {
            tracing::info!("publish-live stopped while it looked for the region: nothing was published");
            return Ok(());
        }
    };
    let daemon = Daemon::new(&settings, terminal, &bucket);
    daemon.run(watcher, stop).await
}

struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Connects the folder, the publisher, the bucket and the log.
struct Daemon<'a> {
    disk: Disk,
    bucket: &'a LiveBucket,
    publisher: LivePublisher,
    reporter: Reporter,
    terminal: Terminal,
    reports: Interval,
    started_at: Instant,
    /// When the daemon exits at the latest, after a signal.
    stop_at: Option<Instant>,
}

impl<'a> Daemon<'a> {
    fn new(settings: &Settings, terminal: Terminal, bucket: &'a LiveBucket) -> Self {
        Self {
            disk: Disk::new(&settings.dir),
            bucket,
            publisher: LivePublisher::new(LivePolicy {
                on_lost: settings.on_lost,
                delete_after: settings.delete_after,
            }),
            reporter: Reporter::new(settings),
            terminal,
            reports: interval(settings.report_every),
            started_at: Instant::now(),
            stop_at: None,
        }
    }

    async fn run(mut self, mut watcher: FolderWatcher, mut stop: StopSignals) -> Result<(), Error> {
        let bucket = self.bucket;
        let disk = self.disk.clone();
        let mut access_check = pin!(bucket.check_access().fuse());
        let mut jobs = FuturesUnordered::new();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            while jobs.len() < MAX_IN_FLIGHT
                && let Some(job) = self.publisher.next(self.now())
            {
                jobs.push(bucket.perform(job, &disk));
            }
            self.reporter.gaps(self.publisher.take_gaps(), self.now());
            if self.is_finished(jobs.is_empty()) {
                self.terminal.clear();
                self.reporter.stopped(&self.publisher);
                return Ok(());
            }
            tokio::select! {
                event = watcher.next(), if self.stop_at.is_none() => self.file_event(event?),
                Some(finished) = jobs.next(), if !jobs.is_empty() => {
                    let finished = finished?;
                    self.reporter.finished(&finished, self.now());
                    self.publisher.done(finished, self.now());
                }
                _ = ticks.tick() => self.terminal.show(&self.publisher, self.now()),
                () = &mut access_check => {}
                _ = self.reports.tick() => {
                    let now = self.now();
                    self.reporter.report(&mut self.publisher, now);
                }
                () = stop.received(), if self.stop_at.is_none() => {
                    tracing::info!("publish-live stops: uploads in flight are finished");
                    self.stop_at = Some(Instant::now() + STOP_TIMEOUT);
                }
            }
        }
    }

    /// The time since the start, which is the publisher's clock.
    fn now(&self) -> Duration {
        self.started_at.elapsed()
    }

    fn is_finished(&self, are_jobs_done: bool) -> bool {
        self.stop_at.is_some_and(|stop_at| {
            are_jobs_done && self.publisher.is_idle() || Instant::now() >= stop_at
        })
    }

    fn file_event(&mut self, event: FsEvent) {
        let now = self.now();
        match event {
            FsEvent::Closed(path) => self.read(&path, now),
            FsEvent::Removed(path) => self.publisher.playlist_removed(&path, now),
            FsEvent::ScanFolder => self.scan_folder(now),
        }
    }

    /// Finds all playlists that exist, and those that do not exist any more.
    fn scan_folder(&mut self, now: Duration) {
        let found = self.disk.playlists();
        let known: Vec<String> = self
            .publisher
            .renditions()
            .map(|(path, _)| path.to_owned())
            .collect();
        for path in known.iter().filter(|path| !found.contains(path)) {
            self.publisher.playlist_removed(path, now);
        }
        for path in &found {
            self.read(path, now);
        }
    }

    /// Gives the publisher a file that was closed, moved or found.
    fn read(&mut self, path: &str, now: Duration) {
        if !path.ends_with(".m3u8") {
            if let Some(file) = self.disk.file(path) {
                self.publisher.file_closed(path, file, now);
            }
            return;
        }
        let Some(read) = self.disk.playlist(path) else {
            return;
        };
        if let Err(error) = self
            .publisher
            .playlist_read(path, &read.text, &read.files, now)
        {
            tracing::warn!(
                playlist.path = path,
                "playlist {path} cannot be published: {error}"
            );
        }
    }
}
