//! Watches the transcoder's folder by inotify.

use crate::Error;
use crate::disk::relative;
use futures::StreamExt;
use inotify::{EventMask, EventStream, Inotify, WatchDescriptor, WatchMask, Watches};
use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// A change in the folder or below it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FsEvent {
    /// A file was closed after writing, or moved to this path.
    Closed(String),
    /// A file was removed, or moved away.
    Removed(String),
    /// Any file may have changed: scan the whole folder.
    ScanFolder,
}

/// Watches a folder and everything below it.
pub(crate) struct FolderWatcher {
    dir: PathBuf,
    watches: Watches,
    events: EventStream<[u8; 4096]>,
    folders: HashMap<WatchDescriptor, PathBuf>,
    /// Events that [`FolderWatcher::next`] returns before it reads more.
    pending: VecDeque<FsEvent>,
}

impl FolderWatcher {
    /// Starts to watch. The first event is [`FsEvent::ScanFolder`].
    pub(crate) fn new(dir: &Path) -> Result<Self, Error> {
        let failed = |error| Error::Folder(format!("{} cannot be watched: {error}", dir.display()));
        let inotify = Inotify::init().map_err(failed)?;
        let watches = inotify.watches();
        let events = inotify.into_event_stream([0; 4096]).map_err(failed)?;
        let mut watcher = Self {
            dir: dir.to_owned(),
            watches,
            events,
            folders: HashMap::new(),
            pending: VecDeque::new(),
        };
        watcher.add(dir).map_err(failed)?;
        watcher.pending.push_back(FsEvent::ScanFolder);
        Ok(watcher)
    }

    /// Watches a folder and the folders in it. Files that were created before the watch cause no
    /// event: the caller must scan the folder.
    fn add(&mut self, folder: &Path) -> std::io::Result<()> {
        let added = WatchMask::CLOSE_WRITE | WatchMask::MOVED_TO | WatchMask::CREATE;
        let removed = WatchMask::DELETE | WatchMask::MOVED_FROM | WatchMask::MOVE_SELF;
        let mask = added | removed | WatchMask::ONLYDIR | WatchMask::DONT_FOLLOW;
        let descriptor = self.watches.add(folder, mask)?;
        self.folders.insert(descriptor, folder.to_owned());
        for entry in fs::read_dir(folder)?.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.add_if_exists(&entry.path());
            }
        }
        Ok(())
    }

    /// A new folder may be removed again before it is watched.
    fn add_if_exists(&mut self, folder: &Path) {
        if let Err(error) = self.add(folder)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("folder {} cannot be watched: {error}", folder.display());
        }
    }

    /// The next event. The future may be dropped without losing an event.
    pub(crate) async fn next(&mut self) -> Result<FsEvent, Error> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Ok(event);
            }
            let failed = |error| Error::Folder(format!("inotify failed: {error}"));
            let event = self.events.next().await.transpose().map_err(failed)?;
            let event = event.ok_or_else(|| Error::Folder("inotify ended".to_owned()))?;
            if event.mask.contains(EventMask::Q_OVERFLOW) {
                self.scan_after_overflow();
            } else if event.mask.contains(EventMask::IGNORED) {
                self.remove(&event.wd)?;
            } else if event.mask.contains(EventMask::MOVE_SELF) && self.is_root(&event.wd) {
                let dir = self.dir.display();
                return Err(Error::Folder(format!("{dir} was moved away")));
            } else if let Some(name) = event.name {
                self.entry_changed(&event.wd, &name, event.mask);
            }
        }
    }

    fn scan_after_overflow(&mut self) {
        tracing::warn!("inotify lost events: the whole folder is scanned");
        // Folders may have been created as well.
        self.add_if_exists(&self.dir.clone());
        self.pending.push_back(FsEvent::ScanFolder);
    }

    /// Forgets a folder that does not exist any more. The published folder itself must exist.
    fn remove(&mut self, watch: &WatchDescriptor) -> Result<(), Error> {
        let is_root = self.is_root(watch);
        self.folders.remove(watch);
        if is_root {
            let dir = self.dir.display();
            return Err(Error::Folder(format!("{dir} was removed")));
        }
        Ok(())
    }

    fn is_root(&self, watch: &WatchDescriptor) -> bool {
        self.folders.get(watch) == Some(&self.dir)
    }

    fn entry_changed(&mut self, watch: &WatchDescriptor, name: &OsString, mask: EventMask) {
        let Some(folder) = self.folders.get(watch) else {
            return;
        };
        let path = folder.join(name);
        let is_removed = mask.intersects(EventMask::DELETE | EventMask::MOVED_FROM);
        if mask.contains(EventMask::ISDIR) {
            if !is_removed {
                self.add_if_exists(&path);
            }
            self.pending.push_back(FsEvent::ScanFolder);
        } else if let Some(path) = relative(&self.dir, &path) {
            if is_removed {
                self.pending.push_back(FsEvent::Removed(path));
            } else if mask.intersects(EventMask::CLOSE_WRITE | EventMask::MOVED_TO) {
                self.pending.push_back(FsEvent::Closed(path));
            }
        }
    }
}
