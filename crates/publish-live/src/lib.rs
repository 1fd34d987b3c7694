//! Puts a live stream from a transcoder's disk into S3: `onair publish-live`.
//!
//! A daemon: it hears of files as they are closed (inotify), asks the core what to do next, and
//! does that. What is decided stands in `onair_core::publish_live`.

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
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Why the daemon cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be watched.
    #[error("{0}")]
    Folder(String),
    /// Neither a variable, nor the profile, nor the instance metadata has one.
    #[error("the region is not known: set AWS_REGION, or a region in the AWS profile")]
    NoRegion,
    /// The daemon could not stop in order.
    #[error("SIGTERM and SIGINT cannot be handled: {0}")]
    Signals(#[from] std::io::Error),
    /// This machine does it already.
    #[error(
        "another publish-live on this machine publishes {dir} to {target}: stop that one first"
    )]
    Twice {
        /// The folder.
        dir: String,
        /// Where to.
        target: String,
    },
    /// Somebody else publishes there.
    #[error(
        "s3://{bucket}/{key} is another publisher's ({publisher}, {age_s} s ago): stop that one, or choose another prefix"
    )]
    NotAlone {
        /// The bucket.
        bucket: String,
        /// The playlist.
        key: String,
        /// Who.
        publisher: String,
        /// When, in seconds before now.
        age_s: u64,
    },
}

/// Requests at a time.
const AT_ONCE: usize = 64;
/// What only time changes is looked at so often.
const TICK: Duration = Duration::from_millis(250);
/// How long what was begun may take when the daemon is told to stop.
const LAST_WORK: Duration = Duration::from_secs(10);

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
    // First of all: from here on a signal does not kill the process.
    let mut stop = StopSignals::install()?;
    let settings = Settings::from(arguments);
    let watch = FolderWatcher::new(&settings.dir)?;
    let _single_instance = single_instance::claim(&settings)?;
    // The instance metadata may take seconds to answer.
    let bucket = tokio::select! {
        bucket = LiveBucket::connect(&settings) => bucket?,
        () = stop.received() => {
            tracing::info!("stopped while looking for the region: nothing was published");
            return Ok(());
        }
    };
    publish(&settings, watch, &bucket, terminal, stop).await
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

async fn publish(
    settings: &Settings,
    mut watch: FolderWatcher,
    bucket: &LiveBucket,
    mut terminal: Terminal,
    mut stop: StopSignals,
) -> Result<(), Error> {
    let disk = Disk::new(&settings.dir);
    let mut look = std::pin::pin!(bucket.look().fuse());
    let mut reporter = Reporter::new(settings);
    let mut publisher = LivePublisher::new(LivePolicy {
        on_lost: settings.on_lost,
        delete_after: settings.keep,
    });
    let began = Instant::now();
    let mut busy = FuturesUnordered::new();
    let mut ticks = interval(TICK);
    let mut reports = interval(settings.report_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut until: Option<Instant> = None;
    loop {
        while busy.len() < AT_ONCE
            && let Some(job) = publisher.next(began.elapsed())
        {
            busy.push(bucket.perform(job, &disk));
        }
        reporter.gaps(publisher.take_gaps(), began.elapsed());
        if let Some(end) = until
            && (busy.is_empty() && publisher.is_idle(began.elapsed()) || Instant::now() >= end)
        {
            terminal.clear();
            reporter.left(&publisher);
            return Ok(());
        }
        tokio::select! {
            news = watch.next(), if until.is_none() => match news? {
                FsEvent::Closed(path) => read(&mut publisher, &disk, &path, began.elapsed()),
                FsEvent::Gone(path) => publisher.playlist_gone(&path, began.elapsed()),
                FsEvent::LookThrough => look_through(&mut publisher, &disk, began.elapsed()),
            },
            Some((job, outcome)) = busy.next(), if !busy.is_empty() => {
                let outcome = outcome?;
                reporter.note(&job, &outcome, began.elapsed());
                publisher.done(job, outcome, began.elapsed());
            }
            _ = ticks.tick() => terminal.show(&publisher, began.elapsed()),
            () = &mut look => {}
            _ = reports.tick() => reporter.report(&mut publisher, began.elapsed()),
            () = stop.received(), if until.is_none() => {
                tracing::info!("told to stop: what was begun is finished");
                until = Some(Instant::now() + LAST_WORK);
            }
        }
    }
}

/// Tells the publisher of all playlists that are there, and of those that are not there any more.
fn look_through(publisher: &mut LivePublisher, disk: &Disk, now: Duration) {
    let found = disk.playlists();
    let known: Vec<String> = publisher
        .renditions()
        .map(|(path, _)| path.to_owned())
        .collect();
    for path in known.iter().filter(|path| !found.contains(path)) {
        publisher.playlist_gone(path, now);
    }
    for path in &found {
        read(publisher, disk, path, now);
    }
}

/// Tells the publisher of a file that was closed, moved or found.
fn read(publisher: &mut LivePublisher, disk: &Disk, path: &str, now: Duration) {
    if !path.ends_with(".m3u8") {
        if let Some(file) = disk.file(path) {
            publisher.file_closed(path, file, now);
        }
        return;
    }
    let Some((text, files)) = disk.playlist(path) else {
        return;
    };
    if let Err(why) = publisher.playlist_read(path, &text, &files, now) {
        tracing::warn!(playlist.path = path, "it cannot be published: {why}");
    }
}
