//! publish-live in any order of events. A model of a transcoder's disk and of S3 drives the real
//! publisher, and checks the published playlists after each step.

use onair_core::publish_live::job::{
    FinishedJob, Job, LivePolicy, OnLost, RetryLater, StoredText, UploadError,
};
use onair_core::publish_live::media_playlist::MediaPlaylist;
use onair_core::publish_live::names::{FileId, file_of};
use onair_core::publish_live::publisher::LivePublisher;
use onair_core::publish_live::vod::vod_name;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

const RENDITIONS: [&str; 2] = ["a", "b"];
/// The segments in the transcoder's window, and those that stay on its disk after that.
const WINDOW: usize = 3;
const BEHIND: usize = 1;

#[derive(Debug, Clone, Copy)]
enum Action {
    /// The transcoder closes a segment and writes its playlist again.
    Encode(usize),
    /// The transcoder restarts: the same names, counted from 0.
    Restart(usize),
    /// The playlist is removed from the disk.
    Remove(usize),
    /// The next event arrives.
    Hear,
    /// All events that have not arrived are lost, and the folder is scanned.
    Overflow,
    /// The next job starts.
    Begin,
    /// One of the jobs in flight ends.
    End(usize, End),
    /// The process is killed and started again. Half of the jobs in flight take effect.
    Kill,
    /// Some seconds pass.
    Wait(u64),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Done,
    /// The request fails without effect.
    Failed,
    /// The request takes effect, and its answer is lost.
    AnswerLost,
}

#[derive(Debug, Clone)]
enum Event {
    Closed(String),
    Playlist(String),
    Gone(String),
}

/// A rendition as viewers saw it last.
#[derive(Debug, Default, Clone)]
struct Seen {
    sequence: u64,
    discontinuities: u64,
    /// By media sequence number.
    segments: BTreeMap<u64, SeenSegment>,
    /// The segments of the VOD playlist, and whether each is a gap.
    kept: BTreeMap<u64, (String, bool)>,
}

#[derive(Debug, Clone, PartialEq)]
struct SeenSegment {
    uri: String,
    is_gap: bool,
    /// Its discontinuity sequence number.
    discontinuities: u64,
    /// The URI of its initialization section.
    map: Option<String>,
}

struct World {
    disk: BTreeMap<String, (FileId, String)>,
    /// The next number of each transcoder, and the numbers of its window.
    encoders: [(u64, VecDeque<u64>); 2],
    clock_ms: u64,
    events: VecDeque<Event>,
    s3: BTreeMap<String, String>,
    publisher: LivePublisher,
    busy: Vec<Job>,
    now: Duration,
    seen: [Seen; 2],
    keeps: bool,
    kills: usize,
}

fn publisher(keeps: bool) -> LivePublisher {
    LivePublisher::new(LivePolicy {
        on_lost: OnLost::Gap,
        delete_after: (!keeps).then_some(Duration::from_secs(5)),
    })
}

fn playlist(rendition: usize) -> String {
    format!("{}/index.m3u8", RENDITIONS[rendition])
}

impl World {
    fn new(keeps: bool) -> Self {
        let mut world = Self {
            disk: BTreeMap::new(),
            encoders: Default::default(),
            clock_ms: 1_700_000_000_000,
            events: VecDeque::new(),
            s3: BTreeMap::new(),
            publisher: publisher(keeps),
            busy: Vec::new(),
            now: Duration::ZERO,
            seen: Default::default(),
            keeps,
            kills: 0,
        };
        for folder in RENDITIONS {
            world.write(&format!("{folder}/init.mp4"), format!("init of {folder}"));
        }
        let master = RENDITIONS
            .map(|name| format!("#EXT-X-STREAM-INF:BANDWIDTH=1000000\n{name}/index.m3u8\n"))
            .concat();
        world.write("master.m3u8", format!("#EXTM3U\n{master}"));
        world
            .events
            .push_back(Event::Playlist("master.m3u8".to_owned()));
        world
    }

    fn write(&mut self, path: &str, text: String) {
        self.clock_ms += 1;
        let file = FileId {
            size_bytes: text.len() as u64,
            modified_ms: self.clock_ms,
        };
        self.disk.insert(path.to_owned(), (file, text));
    }

    fn encode(&mut self, rendition: usize) {
        let folder = RENDITIONS[rendition];
        let (next, window) = &mut self.encoders[rendition];
        let number = *next;
        *next += 1;
        window.push_back(number);
        let gone: Vec<u64> = if window.len() > WINDOW + BEHIND {
            window.pop_front().into_iter().collect()
        } else {
            vec![]
        };
        let listed: Vec<u64> = window.iter().copied().rev().take(WINDOW).rev().collect();
        let segment = format!("{folder}/{number}.ts");
        let content = format!("segment {number} of {}", self.clock_ms);
        self.write(&segment, content);
        self.events.push_back(Event::Closed(segment));
        let lines: String = listed
            .iter()
            .map(|number| format!("#EXTINF:2.000,\n{number}.ts\n"))
            .collect();
        let first = listed[0];
        let text = format!(
            "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n\
             #EXT-X-MAP:URI=\"init.mp4\"\n{lines}"
        );
        self.write(&playlist(rendition), text);
        self.events.push_back(Event::Playlist(playlist(rendition)));
        for number in gone {
            self.disk.remove(&format!("{folder}/{number}.ts"));
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Closed(path) => {
                if let Some((file, _)) = self.disk.get(&path) {
                    self.publisher.file_closed(&path, *file, self.now);
                }
            }
            Event::Playlist(path) => {
                let Some((_, text)) = self.disk.get(&path) else {
                    return;
                };
                let files = self
                    .disk
                    .iter()
                    .map(|(path, (file, _))| (path.clone(), *file))
                    .collect();
                self.publisher
                    .playlist_read(&path, text, &files, self.now)
                    .unwrap();
            }
            Event::Gone(path) => self.publisher.playlist_removed(&path, self.now),
        }
    }

    fn scan_folder(&mut self) {
        self.events.clear();
        let playlists: Vec<String> = self
            .disk
            .keys()
            .filter(|path| path.ends_with(".m3u8"))
            .cloned()
            .collect();
        let known: Vec<String> = self
            .publisher
            .renditions()
            .map(|(path, _)| path.to_owned())
            .collect();
        for path in known.into_iter().filter(|path| !playlists.contains(path)) {
            self.hear(Event::Gone(path));
        }
        for path in playlists {
            self.hear(Event::Playlist(path));
        }
    }

    fn remove(&mut self, rendition: usize) {
        if self.disk.remove(&playlist(rendition)).is_some() {
            self.events.push_back(Event::Gone(playlist(rendition)));
        }
    }

    /// Applies a job to S3.
    fn perform(&mut self, job: Job) -> FinishedJob {
        match job {
            Job::ReadPublished(name) => {
                let stored = self.s3.get(&name).cloned().map(|text| StoredText {
                    text,
                    age: Duration::ZERO,
                });
                FinishedJob::ReadPublished {
                    name,
                    result: Ok(stored),
                }
            }
            Job::Upload { path, file, name } => {
                let result = self.upload(&path, file, &name);
                FinishedJob::Upload { name, result }
            }
            Job::Publish { name, text } => {
                self.s3.insert(name.clone(), text.clone());
                FinishedJob::Publish {
                    name,
                    text,
                    result: Ok(()),
                }
            }
            Job::Delete(names) => {
                names.iter().for_each(|name| drop(self.s3.remove(name)));
                FinishedJob::Delete {
                    names,
                    result: Ok(()),
                }
            }
        }
    }

    fn upload(&mut self, path: &str, file: FileId, name: &str) -> Result<(), UploadError> {
        let Some((_, content)) = self.disk.get(path).filter(|(known, _)| *known == file) else {
            return Err(UploadError::Permanent("the file was deleted".to_owned()));
        };
        let before = self.s3.insert(name.to_owned(), content.clone());
        assert!(
            before.is_none_or(|before| before == *content),
            "{name} means two contents"
        );
        Ok(())
    }

    fn end(&mut self, which: usize, how: End) {
        if self.busy.is_empty() {
            return;
        }
        let job = self.busy.remove(which % self.busy.len());
        let finished = match how {
            End::Failed => failed(job),
            End::Done => self.perform(job),
            End::AnswerLost => {
                self.perform(job.clone());
                failed(job)
            }
        };
        self.publisher.done(finished, self.now);
        self.check();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Encode(rendition) => self.encode(rendition),
            Action::Restart(rendition) => {
                self.encoders[rendition] = Default::default();
                let content = format!("init of {}", self.clock_ms);
                self.write(&format!("{}/init.mp4", RENDITIONS[rendition]), content);
                self.encode(rendition);
            }
            Action::Remove(rendition) => self.remove(rendition),
            Action::Hear => {
                if let Some(event) = self.events.pop_front() {
                    self.hear(event);
                }
            }
            Action::Overflow => self.scan_folder(),
            Action::Begin => self.busy.extend(self.publisher.next(self.now)),
            Action::End(which, how) => self.end(which, how),
            Action::Kill => {
                for (number, job) in std::mem::take(&mut self.busy).into_iter().enumerate() {
                    if number % 2 == 0 {
                        self.perform(job);
                        self.check();
                    }
                }
                self.publisher = publisher(self.keeps);
                self.kills += 1;
                self.scan_folder();
            }
            Action::Wait(seconds) => self.now += Duration::from_secs(seconds),
        }
    }

    /// Checks the promises to viewers.
    fn check(&mut self) {
        for rendition in 0..RENDITIONS.len() {
            self.check_live(rendition);
            self.check_vod(rendition);
        }
        let multivariants = ["master.m3u8", "master.vod.m3u8"];
        for text in multivariants.iter().filter_map(|name| self.s3.get(*name)) {
            for name in text.lines().filter(|line| !line.starts_with('#')) {
                assert!(self.s3.contains_key(name), "{name} is named and not in S3");
            }
        }
    }

    /// Every name is stored, numbers never decrease, and the content of a segment never changes.
    fn check_live(&mut self, rendition: usize) {
        let name = playlist(rendition);
        let Some(text) = self.s3.get(&name) else {
            return;
        };
        let visible = MediaPlaylist::parse(text).unwrap();
        self.check_names(&name, &visible);
        let seen = &mut self.seen[rendition];
        assert!(
            visible.sequence >= seen.sequence
                && visible.discontinuity_sequence >= seen.discontinuities,
            "the numbers went back from {}, {}:\n{text}",
            seen.sequence,
            seen.discontinuities
        );
        seen.sequence = visible.sequence;
        seen.discontinuities = visible.discontinuity_sequence;
        let mut discontinuities = visible.discontinuity_sequence;
        for (number, segment) in (visible.sequence..).zip(&visible.segments) {
            discontinuities += u64::from(segment.discontinuity);
            let map = segment.map.as_ref().filter(|_| !segment.gap);
            let now = SeenSegment {
                uri: segment.uri.clone(),
                is_gap: segment.gap,
                discontinuities,
                map: map.and_then(|map| map.uri.clone()),
            };
            let before = seen.segments.insert(number, now.clone());
            assert!(
                before.is_none_or(|before| before == now),
                "number {number} became another:\n{text}"
            );
        }
    }

    fn check_names(&self, playlist: &str, visible: &MediaPlaylist) {
        for need in visible.needs() {
            let object = file_of(playlist, need).unwrap();
            assert!(
                self.s3.contains_key(&object),
                "{playlist} names {object}, which is not in S3"
            );
        }
    }

    fn check_vod(&mut self, rendition: usize) {
        let name = vod_name(&playlist(rendition));
        let Some(text) = self.s3.get(&name) else {
            return;
        };
        let visible = MediaPlaylist::parse(text).unwrap();
        self.check_names(&name, &visible);
        let mut names: Vec<&String> = visible
            .segments
            .iter()
            .filter(|segment| !segment.gap)
            .map(|segment| &segment.uri)
            .collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "a segment is named twice:\n{text}");
        let now: BTreeMap<u64, (String, bool)> = (visible.sequence..)
            .zip(
                visible
                    .segments
                    .iter()
                    .map(|segment| (segment.uri.clone(), segment.gap)),
            )
            .collect();
        let kept = std::mem::replace(&mut self.seen[rendition].kept, now.clone());
        for (number, segment) in kept {
            // A process that was killed may have written an older playlist last.
            let is_short = self.kills > 0 && !now.contains_key(&number);
            assert!(
                is_short || now.get(&number) == Some(&segment),
                "number {number} became another:\n{text}"
            );
        }
    }

    /// Lets everything succeed from here on, and checks that viewers see the newest segment of each
    /// transcoder.
    fn settle(mut self) {
        while let Some(event) = self.events.pop_front() {
            self.hear(event);
        }
        self.run_until_idle();
        self.now += Duration::from_secs(60);
        self.run_until_idle();
        for (rendition, (next, window)) in self.encoders.iter().enumerate() {
            if window.is_empty() || !self.disk.contains_key(&playlist(rendition)) {
                continue;
            }
            let path = format!("{}/{}.ts", RENDITIONS[rendition], next - 1);
            let text = &self.s3[&playlist(rendition)];
            let visible = MediaPlaylist::parse(text).unwrap();
            assert!(!visible.ended, "{text}");
            let last = visible.segments.last().unwrap();
            if last.gap {
                // The file was deleted before it could be read.
                continue;
            }
            let object = file_of(&playlist(rendition), &last.uri).unwrap();
            assert_eq!(self.s3[&object], self.disk[&path].1, "{text}");
        }
        (0..RENDITIONS.len()).for_each(|rendition| self.remove(rendition));
        self.scan_folder();
        self.now += Duration::from_secs(60);
        self.run_until_idle();
        (0..RENDITIONS.len()).for_each(|rendition| self.check_end(rendition));
    }

    /// Checks that all playlists have ended, and that the VOD playlists are complete.
    fn check_end(&self, rendition: usize) {
        let known = self
            .publisher
            .renditions()
            .any(|(name, _)| name == playlist(rendition));
        let Some(text) = self.s3.get(&playlist(rendition)).filter(|_| known) else {
            return;
        };
        let live = MediaPlaylist::parse(text).unwrap();
        assert!(live.ended, "{text}");
        if !self.keeps {
            return;
        }
        let text = &self.s3[&vod_name(&playlist(rendition))];
        let all = MediaPlaylist::parse(text).unwrap();
        assert!(
            all.ended && text.contains("#EXT-X-PLAYLIST-TYPE:VOD"),
            "{text}"
        );
        assert!(all.segments.len() >= live.segments.len(), "{text}");
        let seen = self.seen[rendition].segments.values();
        let mut missing = all.segments.iter();
        for segment in all.segments.iter().filter(|segment| segment.gap) {
            let was_there = seen
                .clone()
                .any(|seen| segment.uri == seen.uri && !seen.is_gap);
            assert!(
                !was_there,
                "{} was there and is a gap in\n{text}",
                segment.uri
            );
        }
        for SeenSegment { uri, is_gap, .. } in seen.filter(|_| self.kills == 0) {
            let found = missing.any(|segment| segment.uri == *uri && segment.gap == *is_gap);
            assert!(found, "{uri} was seen and is not in\n{text}");
        }
    }

    fn run_until_idle(&mut self) {
        for _ in 0..400 {
            while let Some(job) = self.publisher.next(self.now) {
                self.busy.push(job);
            }
            if self.busy.is_empty() && self.publisher.is_idle() {
                break;
            }
            while !self.busy.is_empty() {
                self.end(0, End::Done);
            }
            self.now += Duration::from_secs(1);
        }
        assert!(
            self.publisher.is_idle(),
            "the publisher is never idle: {:#?}",
            self.publisher
        );
    }
}

/// The result of a job that failed and may succeed later.
fn failed(job: Job) -> FinishedJob {
    let failure = RetryLater {
        cause: "on purpose".to_owned(),
        pause: Duration::from_millis(500),
    };
    match job {
        Job::ReadPublished(name) => FinishedJob::ReadPublished {
            name,
            result: Err(failure),
        },
        Job::Upload { name, .. } => FinishedJob::Upload {
            name,
            result: Err(UploadError::Retry(failure)),
        },
        Job::Publish { name, text } => FinishedJob::Publish {
            name,
            text,
            result: Err(failure),
        },
        Job::Delete(names) => FinishedJob::Delete {
            names,
            result: Err(failure),
        },
    }
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let rendition = 0..RENDITIONS.len();
    let end = prop_oneof![6 => Just(End::Done), 2 => Just(End::Failed), 1 => Just(End::AnswerLost)];
    let action = prop_oneof![
        8 => rendition.clone().prop_map(Action::Encode),
        1 => rendition.clone().prop_map(Action::Restart),
        1 => rendition.prop_map(Action::Remove),
        10 => Just(Action::Hear),
        1 => Just(Action::Overflow),
        14 => Just(Action::Begin),
        14 => (any::<usize>(), end).prop_map(|(which, how)| Action::End(which, how)),
        1 => Just(Action::Kill),
        2 => (0_u64..4).prop_map(Action::Wait),
        1 => prop_oneof![Just(Action::Wait(40)), Just(Action::Wait(700))],
    ];
    proptest::collection::vec(action, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Promises P69, P71, P72 and P73.
    #[test]
    fn viewers_never_see_a_name_without_an_object_nor_numbers_that_go_back(keeps: bool, actions in actions()) {
        let mut world = World::new(keeps);
        for action in actions {
            world.act(action);
        }
        world.settle();
    }
}
