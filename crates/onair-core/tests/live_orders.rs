//! Publishing live in any order of events: a model of a transcoder's disk and of S3 around the state machine, and what must
//! hold at every moment.

use onair_core::publish_live::job::{Job, OnLost, Outcome, Rules};
use onair_core::publish_live::names::{FileId, file_of};
use onair_core::publish_live::publisher::Publisher;
use onair_core::publish_live::snapshot::Snapshot;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

const RENDITIONS: [&str; 2] = ["a", "b"];
/// How many segments the transcoder's window has, and how many more stay on its disk.
const WINDOW: usize = 3;
const BEHIND: usize = 1;

#[derive(Debug, Clone, Copy)]
enum Action {
    /// The transcoder closes a segment and writes its playlist anew.
    Encode(usize),
    /// It begins again: the same names, counted from the start.
    Restart(usize),
    /// The next event arrives.
    Hear,
    /// All events that have not arrived are lost, and the folder is looked through.
    Overflow,
    /// A job is begun.
    Begin,
    /// One of those that were begun ends so.
    End(usize, End),
    /// The process is killed and started again. Half of what was under way happens all the same.
    Kill,
    /// Time passes.
    Wait(u64),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Done,
    /// Nothing happened, and that is known.
    Failed,
    /// It happened, but that did not come through.
    Unheard,
}

#[derive(Debug, Clone)]
enum Event {
    Closed(String),
    Playlist(String),
}

/// What lies in S3 of a rendition, as viewers saw it last.
#[derive(Debug, Default, Clone)]
struct Seen {
    sequence: u64,
    discontinuities: u64,
    /// URI, whether it is a gap, and discontinuity sequence number, by media sequence number.
    segments: BTreeMap<u64, (String, bool, u64)>,
}

struct World {
    disk: BTreeMap<String, (FileId, String)>,
    /// The next number of each transcoder, and the numbers of its window.
    encoders: [(u64, VecDeque<u64>); 2],
    clock_ms: u64,
    events: VecDeque<Event>,
    s3: BTreeMap<String, String>,
    publisher: Publisher,
    busy: Vec<Job>,
    now: Duration,
    seen: [Seen; 2],
}

fn publisher() -> Publisher {
    Publisher::new(Rules { on_lost: OnLost::Gap, keep: Some(Duration::from_secs(5)) })
}

fn playlist(rendition: usize) -> String {
    format!("{}/index.m3u8", RENDITIONS[rendition])
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            disk: BTreeMap::new(),
            encoders: Default::default(),
            clock_ms: 1_700_000_000_000,
            events: VecDeque::new(),
            s3: BTreeMap::new(),
            publisher: publisher(),
            busy: Vec::new(),
            now: Duration::ZERO,
            seen: Default::default(),
        };
        let master = RENDITIONS
            .map(|name| format!("#EXT-X-STREAM-INF:BANDWIDTH=1000000\n{name}/index.m3u8\n"))
            .concat();
        world.write("master.m3u8", format!("#EXTM3U\n{master}"));
        world.events.push_back(Event::Playlist("master.m3u8".to_owned()));
        world
    }

    fn write(&mut self, path: &str, text: String) {
        self.clock_ms += 1;
        let file = FileId { size_bytes: text.len() as u64, modified_ms: self.clock_ms };
        self.disk.insert(path.to_owned(), (file, text));
    }

    fn encode(&mut self, rendition: usize) {
        let folder = RENDITIONS[rendition];
        let (next, window) = &mut self.encoders[rendition];
        let number = *next;
        *next += 1;
        window.push_back(number);
        let gone: Vec<u64> =
            if window.len() > WINDOW + BEHIND { window.pop_front().into_iter().collect() } else { vec![] };
        let listed: Vec<u64> = window.iter().copied().rev().take(WINDOW).rev().collect();
        let segment = format!("{folder}/{number}.ts");
        let content = format!("segment {number} of {}", self.clock_ms);
        self.write(&segment, content);
        self.events.push_back(Event::Closed(segment));
        let lines: String = listed.iter().map(|number| format!("#EXTINF:2.000,\n{number}.ts\n")).collect();
        let first = listed[0];
        let text = format!(
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n{lines}"
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
                let Some((_, text)) = self.disk.get(&path) else { return };
                let files = self.disk.iter().map(|(path, (file, _))| (path.clone(), *file)).collect();
                self.publisher.playlist_read(&path, text, &files, self.now).unwrap();
            }
        }
    }

    fn look_through(&mut self) {
        self.events.clear();
        let playlists: Vec<String> =
            self.disk.keys().filter(|path| path.ends_with(".m3u8")).cloned().collect();
        for path in playlists {
            self.hear(Event::Playlist(path));
        }
    }

    /// Does in S3 what a job asks for; what comes of it.
    fn perform(&mut self, job: &Job) -> Outcome {
        match job {
            Job::Recall(name) => Outcome::Recalled(self.s3.get(name).cloned()),
            Job::Upload { path, file, name } => match self.disk.get(path) {
                Some((known, content)) if known == file => {
                    let before = self.s3.insert(name.clone(), content.clone());
                    assert!(before.is_none_or(|before| before == *content), "{name} means two contents");
                    Outcome::Done
                }
                _ => Outcome::Hopeless("it is gone".to_owned()),
            },
            Job::Publish { name, text } => {
                self.s3.insert(name.clone(), text.clone());
                Outcome::Done
            }
            Job::Delete(names) => {
                names.iter().for_each(|name| drop(self.s3.remove(name)));
                Outcome::Done
            }
        }
    }

    fn end(&mut self, which: usize, how: End) {
        if self.busy.is_empty() {
            return;
        }
        let job = self.busy.remove(which % self.busy.len());
        let failed = Outcome::Failed { why: "on purpose".to_owned(), pause: Duration::from_millis(500) };
        let outcome = match how {
            End::Failed => failed,
            End::Done => self.perform(&job),
            End::Unheard => {
                self.perform(&job);
                failed
            }
        };
        self.publisher.done(job, outcome, self.now);
        self.check();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Encode(rendition) => self.encode(rendition),
            Action::Restart(rendition) => self.encoders[rendition] = Default::default(),
            Action::Hear => {
                if let Some(event) = self.events.pop_front() {
                    self.hear(event);
                }
            }
            Action::Overflow => self.look_through(),
            Action::Begin => self.busy.extend(self.publisher.next(self.now)),
            Action::End(which, how) => self.end(which, how),
            Action::Kill => {
                for (number, job) in std::mem::take(&mut self.busy).into_iter().enumerate() {
                    if number % 2 == 0 {
                        self.perform(&job);
                        self.check();
                    }
                }
                self.publisher = publisher();
                self.look_through();
            }
            Action::Wait(seconds) => self.now += Duration::from_secs(seconds),
        }
    }

    /// What viewers may rely on.
    fn check(&mut self) {
        for rendition in 0..RENDITIONS.len() {
            let name = playlist(rendition);
            let Some(text) = self.s3.get(&name) else { continue };
            let visible = Snapshot::parse(text).unwrap();
            for need in visible.needs() {
                let object = file_of(&name, need).unwrap();
                assert!(self.s3.contains_key(&object), "{object} is named and not there:\n{text}");
            }
            let seen = &mut self.seen[rendition];
            assert!(
                visible.sequence >= seen.sequence,
                "the numbers went back from {}:\n{text}",
                seen.sequence
            );
            assert!(visible.discontinuity_sequence >= seen.discontinuities, "{text}");
            (seen.sequence, seen.discontinuities) = (visible.sequence, visible.discontinuity_sequence);
            let mut discontinuities = visible.discontinuity_sequence;
            for (number, segment) in (visible.sequence..).zip(&visible.segments) {
                discontinuities += u64::from(segment.discontinuity);
                let now = (segment.uri.clone(), segment.gap, discontinuities);
                let before = seen.segments.insert(number, now.clone());
                assert!(before.is_none_or(|before| before == now), "number {number} became another:\n{text}");
            }
        }
        if let Some(master) = self.s3.get("master.m3u8") {
            for name in master.lines().filter(|line| !line.starts_with('#')) {
                assert!(self.s3.contains_key(name), "{name} is named and not there");
            }
        }
    }

    /// From here on nothing goes wrong. Viewers see the newest segment of each transcoder in the end.
    fn settle(mut self) {
        while let Some(event) = self.events.pop_front() {
            self.hear(event);
        }
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
        assert!(self.publisher.is_idle(), "it never comes to rest: {:#?}", self.publisher);
        for (rendition, (next, window)) in self.encoders.iter().enumerate() {
            if window.is_empty() {
                continue;
            }
            let path = format!("{}/{}.ts", RENDITIONS[rendition], next - 1);
            let text = &self.s3[&playlist(rendition)];
            let visible = Snapshot::parse(text).unwrap();
            let last = visible.segments.last().unwrap();
            if last.gap {
                // It was gone before anybody could read it.
                continue;
            }
            let object = file_of(&playlist(rendition), &last.uri).unwrap();
            assert_eq!(self.s3[&object], self.disk[&path].1, "{text}");
        }
    }
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let rendition = 0..RENDITIONS.len();
    let end = prop_oneof![6 => Just(End::Done), 2 => Just(End::Failed), 1 => Just(End::Unheard)];
    let action = prop_oneof![
        8 => rendition.clone().prop_map(Action::Encode),
        1 => rendition.prop_map(Action::Restart),
        10 => Just(Action::Hear),
        1 => Just(Action::Overflow),
        14 => Just(Action::Begin),
        14 => (any::<usize>(), end).prop_map(|(which, how)| Action::End(which, how)),
        1 => Just(Action::Kill),
        2 => (0_u64..4).prop_map(Action::Wait),
    ];
    proptest::collection::vec(action, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Promises P69, P71, P72 and P73.
    #[test]
    fn viewers_never_see_a_name_without_an_object_nor_numbers_that_go_back(actions in actions()) {
        let mut world = World::new();
        for action in actions {
            world.act(action);
        }
        world.settle();
    }
}
