//! What happens in the folder, as inotify tells it.

use crate::Error;
use crate::disk::relative;
use futures::StreamExt;
use inotify::{EventMask, EventStream, Inotify, WatchDescriptor, WatchMask, Watches};
use std::collections::{HashMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

/// Something happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FsEvent {
    /// A file was closed after writing, or moved to where it is.
    Closed(String),
    /// A file was removed, or moved away.
    Gone(String),
    /// Anything may have happened: the whole folder is to be looked through.
    LookThrough,
}

/// Watches a folder and all below it.
pub(crate) struct FolderWatcher {
    dir: PathBuf,
    watches: Watches,
    events: EventStream<[u8; 4096]>,
    folders: HashMap<WatchDescriptor, PathBuf>,
    pending: VecDeque<FsEvent>,
}

impl FolderWatcher {
    /// Begins to watch. The first pending is to look through the folder.
    pub(crate) fn new(dir: &Path) -> Result<Self, Error> {
        let failed = |error| Error::Folder(format!("{} cannot be watched: {error}", dir.display()));
        let inotify = Inotify::init().map_err(failed)?;
        let watches = inotify.watches();
        let events = inotify.into_event_stream([0; 4096]).map_err(failed)?;
        let mut watch = Self {
            dir: dir.to_owned(),
            watches,
            events,
            folders: HashMap::new(),
            pending: VecDeque::new(),
        };
        watch.add(dir).map_err(failed)?;
        watch.pending.push_back(FsEvent::LookThrough);
        Ok(watch)
    }

    /// Watches a folder and those in it. Whatever came into them meanwhile has to be looked for.
    fn add(&mut self, folder: &Path) -> std::io::Result<()> {
        let comes = WatchMask::CLOSE_WRITE | WatchMask::MOVED_TO | WatchMask::CREATE;
        let goes = WatchMask::DELETE | WatchMask::MOVED_FROM | WatchMask::MOVE_SELF;
        let mask = comes | goes | WatchMask::ONLYDIR | WatchMask::DONT_FOLLOW;
        let descriptor = self.watches.add(folder, mask)?;
        self.folders.insert(descriptor, folder.to_owned());
        for entry in fs::read_dir(folder)?.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.add_quietly(&entry.path());
            }
        }
        Ok(())
    }

    /// A folder that is gone again is none of ours.
    fn add_quietly(&mut self, folder: &Path) {
        if let Err(error) = self.add(folder)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("{} cannot be watched: {error}", folder.display());
        }
    }

    /// The next pending. May be dropped while it waits.
    pub(crate) async fn next(&mut self) -> Result<FsEvent, Error> {
        loop {
            if let Some(pending) = self.pending.pop_front() {
                return Ok(pending);
            }
            let event = self.events.next().await;
            let event = event
                .transpose()
                .map_err(|error| Error::Folder(format!("inotify: {error}")))?;
            let Some(event) = event else {
                return Err(Error::Folder("inotify ended".to_owned()));
            };
            if event.mask.contains(EventMask::Q_OVERFLOW) {
                tracing::warn!("inotify lost events: the whole folder is looked through");
                // Folders may have come, too.
                self.add_quietly(&self.dir.clone());
                self.pending.push_back(FsEvent::LookThrough);
                continue;
            }
            if event.mask.contains(EventMask::IGNORED) {
                if self
                    .folders
                    .remove(&event.wd)
                    .is_some_and(|folder| folder == self.dir)
                {
                    return Err(Error::Folder(format!("{} was removed", self.dir.display())));
                }
                continue;
            }
            if event.mask.contains(EventMask::MOVE_SELF)
                && self.folders.get(&event.wd) == Some(&self.dir)
            {
                return Err(Error::Folder(format!(
                    "{} was moved away",
                    self.dir.display()
                )));
            }
            let (Some(folder), Some(name)) = (self.folders.get(&event.wd), event.name) else {
                continue;
            };
            let path = folder.join(name);
            let is_going = event
                .mask
                .intersects(EventMask::DELETE | EventMask::MOVED_FROM);
            if event.mask.contains(EventMask::ISDIR) {
                if !is_going {
                    self.add_quietly(&path);
                }
                self.pending.push_back(FsEvent::LookThrough);
            } else if let Some(path) = relative(&self.dir, &path) {
                if is_going {
                    self.pending.push_back(FsEvent::Gone(path));
                } else if event
                    .mask
                    .intersects(EventMask::CLOSE_WRITE | EventMask::MOVED_TO)
                {
                    self.pending.push_back(FsEvent::Closed(path));
                }
            }
        }
    }
}
