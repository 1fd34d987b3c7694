//! What is to be done next: what viewers wait for goes first, and renditions take turns.

use super::job::Job;
use super::objects::{LiveObject, ObjectState};
use super::published::{PublishedPlaylist, ReadBack};
use super::publisher::LivePublisher;
use super::rendition::LiveRendition;
use super::vod::vod_name;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

/// How many files of one rendition are put at a time: one that is slow leaves the others their
/// share.
const UPLOADS_OF_A_RENDITION: usize = 4;
/// How many objects one call deletes at most (S3 API reference, DeleteObjects).
const DELETED_AT_ONCE: usize = 1_000;

impl LivePublisher {
    /// What to do next, if anything can be done now.
    pub fn next(&mut self, now: Duration) -> Option<Job> {
        self.recall(now)
            .or_else(|| self.publish(now))
            .or_else(|| self.upload(now))
            .or_else(|| self.delete(now))
    }

    fn recall(&mut self, now: Duration) -> Option<Job> {
        let is_due = |document: &PublishedPlaylist| {
            document.recalled == ReadBack::Due && now >= document.not_before
        };
        let (name, document) = self
            .documents
            .iter_mut()
            .find(|(_, document)| is_due(document))?;
        document.recalled = ReadBack::Busy;
        Some(Job::ReadPublished(name.clone()))
    }

    fn publish(&mut self, now: Duration) -> Option<Job> {
        let (name, text) = self
            .live_playlist(now)
            .or_else(|| self.multivariant_playlist(now))
            .or_else(|| self.vod_playlist(now))?;
        self.documents.get_mut(&name)?.busy = true;
        Some(Job::Publish { name, text })
    }

    fn live_playlist(&mut self, now: Duration) -> Option<(String, String)> {
        let (objects, on_lost) = (&self.objects, self.policy.on_lost);
        self.renditions.iter_mut().find_map(|(name, rendition)| {
            let document = self
                .documents
                .get(name)
                .filter(|document| document.is_free(now))?;
            rendition.end_if_gone(now, document);
            Some((
                name.clone(),
                rendition.ready(name, objects, on_lost, now, &mut self.gaps)?,
            ))
        })
    }

    fn multivariant_playlist(&self, now: Duration) -> Option<(String, String)> {
        let (name, multivariant) = self.multivariants.iter().find(|(name, multivariant)| {
            let document = self
                .documents
                .get(*name)
                .filter(|document| document.is_free(now));
            document.is_some_and(|document| !document.has(&multivariant.text))
                && self.missing(multivariant).next().is_none()
        })?;
        Some((name.clone(), multivariant.text.clone()))
    }

    fn vod_playlist(&mut self, now: Duration) -> Option<(String, String)> {
        let objects = &self.objects;
        self.renditions
            .iter_mut()
            .find_map(|(playlist, rendition)| {
                let name = vod_name(playlist);
                self.documents
                    .get(&name)
                    .filter(|document| document.is_free(now))?;
                let end = rendition.vod_due(playlist, objects, now)?;
                Some((name, rendition.window.render_all(end)?))
            })
    }

    fn upload(&mut self, now: Duration) -> Option<Job> {
        self.sweep(now);
        // Renditions take turns.
        let after = self
            .renditions
            .range::<String, _>((Excluded(&self.last_served), Unbounded));
        let before = self.renditions.range::<String, _>(..=&self.last_served);
        let found = after.chain(before).find_map(|(playlist, rendition)| {
            Some((playlist.clone(), self.next_of(rendition, now)?))
        });
        let name = match found {
            Some((playlist, name)) => {
                self.last_served = playlist;
                name
            }
            // What was just closed will be named in a moment.
            None => self
                .objects
                .first_unnamed(now, UPLOADS_OF_A_RENDITION, &self.deleting)?,
        };
        self.objects.upload(name)
    }

    /// What to put next of a rendition, unless enough of what comes before that is on its way.
    fn next_of(&self, rendition: &LiveRendition, now: Duration) -> Option<String> {
        let mut busy = 0;
        for name in rendition.missing() {
            match self.objects.get(name) {
                Some(LiveObject {
                    state: ObjectState::Busy,
                    ..
                }) => busy += 1,
                Some(object) if object.is_due(now) && !self.deleting.contains(name) => {
                    return Some(name.clone());
                }
                _ => {}
            }
            if busy == UPLOADS_OF_A_RENDITION {
                break;
            }
        }
        None
    }

    /// One call at a time, and nothing that is named again.
    fn delete(&mut self, now: Duration) -> Option<Job> {
        if !self.deleting.is_empty() {
            return None;
        }
        let due = self
            .pending_deletes
            .iter()
            .take_while(|(at, _)| *at <= now)
            .count()
            .min(DELETED_AT_ONCE);
        let mut names: Vec<String> = self
            .pending_deletes
            .drain(..due)
            .map(|(_, name)| name)
            .collect();
        names.retain(|name| self.objects.get(name).is_none() && !self.involves(name));
        self.deleting = names.iter().cloned().collect();
        (!names.is_empty()).then_some(Job::Delete(names))
    }

    /// Forgets, now and then, what nobody needs, and streams that are over.
    fn sweep(&mut self, now: Duration) {
        let Self {
            objects,
            renditions,
            documents,
            ..
        } = self;
        if !objects.sweep(now, |name| {
            renditions
                .values()
                .any(|rendition| rendition.involves(name))
        }) {
            return;
        }
        let is_over = |(name, rendition): (&String, &LiveRendition)| {
            let document = documents.get(name).filter(|document| !document.busy)?;
            rendition.is_over(now, document).then(|| name.clone())
        };
        let over: Vec<String> = renditions.iter().filter_map(is_over).collect();
        for name in over {
            for name in [name.clone(), vod_name(&name)] {
                // That it is visible is remembered, but not what it says.
                if let Some(visible) = documents
                    .get_mut(&name)
                    .and_then(|document| document.visible.as_mut())
                {
                    *visible = String::new();
                }
            }
            if let Some(rendition) = renditions.remove(&name) {
                self.ended.insert(name, rendition.named);
            }
        }
    }
}
