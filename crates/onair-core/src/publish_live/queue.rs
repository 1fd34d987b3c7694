//! What is to be done next: what viewers wait for goes first, and renditions take turns.

use super::document::{Document, Recall};
use super::job::Job;
use super::publisher::{Object, Publisher, State};
use super::vod::vod_name;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

/// How many files of one rendition are put at a time: one that is slow leaves the others their share.
const UPLOADS_OF_A_RENDITION: usize = 4;
/// A file that no playlist names after this time belongs to none.
const UNNAMED: Duration = Duration::from_secs(60);
/// How many objects one call deletes at most (S3 API reference, DeleteObjects).
const DELETED_AT_ONCE: usize = 1_000;

impl Publisher {
    /// What to do next, if anything can be done now.
    pub fn next(&mut self, now: Duration) -> Option<Job> {
        self.recall(now)
            .or_else(|| self.publish(now))
            .or_else(|| self.upload(now))
            .or_else(|| self.delete(now))
    }

    fn recall(&mut self, now: Duration) -> Option<Job> {
        let is_due = |document: &Document| document.recalled == Recall::Due && now >= document.not_before;
        let (name, document) = self.documents.iter_mut().find(|(_, document)| is_due(document))?;
        document.recalled = Recall::Busy;
        Some(Job::Recall(name.clone()))
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
        let (objects, on_lost) = (&self.objects, self.rules.on_lost);
        self.renditions.iter_mut().find_map(|(name, rendition)| {
            let document = self.documents.get(name).filter(|document| document.is_free(now))?;
            rendition.end_if_gone(now, document);
            Some((name.clone(), rendition.ready(name, objects, on_lost, now)?))
        })
    }

    fn multivariant_playlist(&self, now: Duration) -> Option<(String, String)> {
        let (name, multivariant) = self.multivariants.iter().find(|(name, multivariant)| {
            let document = self.documents.get(*name).filter(|document| document.is_free(now));
            document.is_some_and(|document| !document.has(&multivariant.text))
                && self.missing(multivariant).next().is_none()
        })?;
        Some((name.clone(), multivariant.text.clone()))
    }

    fn vod_playlist(&mut self, now: Duration) -> Option<(String, String)> {
        let objects = &self.objects;
        self.renditions.iter_mut().find_map(|(playlist, rendition)| {
            let name = vod_name(playlist);
            self.documents.get(&name).filter(|document| document.is_free(now))?;
            let end = rendition.vod_due(playlist, objects)?;
            Some((name, rendition.timeline.render_all(end)?))
        })
    }

    fn upload(&mut self, now: Duration) -> Option<Job> {
        // Renditions take turns.
        let after = self.renditions.range::<String, _>((Excluded(&self.last_served), Unbounded));
        let before = self.renditions.range::<String, _>(..=&self.last_served);
        let mut found = None;
        for (playlist, rendition) in after.chain(before) {
            let needs = rendition.needs(playlist);
            let state = |name: &String| self.objects.get(name).map(|object| &object.state);
            let busy = needs.iter().filter(|name| state(name) == Some(&State::Busy)).count();
            if busy < UPLOADS_OF_A_RENDITION
                && let Some(name) = needs.into_iter().find(|name| is_due(state(name), now))
            {
                found = Some((playlist.clone(), name));
                break;
            }
        }
        let name = match found {
            Some((playlist, name)) => {
                self.last_served = playlist;
                name
            }
            // What was just closed will be named in a moment.
            None => self.unnamed(now)?,
        };
        let object = self.objects.get_mut(&name)?;
        object.state = State::Busy;
        Some(Job::Upload { path: object.path.clone(), file: object.file, name })
    }

    /// The file that was closed first of those that no playlist names yet. Those of a folder in which enough is going on
    /// wait.
    fn unnamed(&mut self, now: Duration) -> Option<String> {
        let named: BTreeSet<String> =
            self.renditions.iter().flat_map(|(playlist, rendition)| rendition.needs(playlist)).collect();
        self.objects.retain(|name, object| {
            named.contains(name) || object.state == State::Busy || now.saturating_sub(object.since) < UNNAMED
        });
        let mut busy: BTreeMap<&str, usize> = BTreeMap::new();
        for object in self.objects.values().filter(|object| object.state == State::Busy) {
            *busy.entry(folder(&object.path)).or_default() += 1;
        }
        let has_room = |object: &Object| {
            busy.get(folder(&object.path)).copied().unwrap_or_default() < UPLOADS_OF_A_RENDITION
        };
        let waiting = self.objects.iter().filter(|(name, object)| {
            !named.contains(*name) && is_due(Some(&object.state), now) && has_room(object)
        });
        waiting.min_by_key(|(_, object)| object.since).map(|(name, _)| name.clone())
    }

    fn delete(&mut self, now: Duration) -> Option<Job> {
        let due = self.trash.iter().take_while(|(at, _)| *at <= now).count().min(DELETED_AT_ONCE);
        let names: Vec<String> = self.trash.drain(..due).map(|(_, name)| name).collect();
        (!names.is_empty()).then_some(Job::Delete(names))
    }
}

fn is_due(state: Option<&State>, now: Duration) -> bool {
    matches!(state, Some(State::Due(at)) if *at <= now)
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
