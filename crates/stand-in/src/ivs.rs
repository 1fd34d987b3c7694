//! Synthetic recordings as Amazon IVS stores them in S3. The layout, metadata and playlists follow
//! the page "Auto-Record to Amazon S3" of the IVS Low-Latency User Guide, and a published real
//! recording.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{Buckets, Object};

/// The length of a segment in milliseconds. Real segments end at the first key frame after 10 s.
const SEGMENT_MS: u64 = 10_000;
const PLAYLIST: &str = "application/x-mpegURL";
const JSON: &str = "application/json";
/// The prefix of the recording in AWS's documented events.
const DOCUMENTED_PREFIX: &str = "ivs/v1/123456789012/AbCdef1G2hij/2020/6/23/20/12/j8Z9O91ndcVs";

/// A recording of a low-latency channel.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The prefix in its bucket, without a slash at the end.
    pub prefix: String,
    /// In the order of the entry playlists. The metadata has another order, as in real recordings.
    pub renditions: Vec<Rendition>,
    /// The number of segments of each rendition.
    pub segments: u64,
    /// The number of thumbnails, one per minute.
    pub thumbnails: u64,
}

#[derive(Clone, Debug)]
pub struct Rendition {
    /// The folder's name, such as `720p30`.
    pub name: String,
    /// The height in pixels.
    pub height: u64,
    /// The bandwidth in bits per second.
    pub bandwidth_bps: u64,
    /// The size of each segment in bytes.
    pub segment_bytes: u64,
}

impl Rendition {
    /// A rendition whose segments have the size that corresponds to the bandwidth.
    pub fn new(name: &str, height: u64, bandwidth_bps: u64) -> Self {
        let segment_bytes = bandwidth_bps * SEGMENT_MS / 8_000;
        Self {
            name: name.to_owned(),
            height,
            bandwidth_bps,
            segment_bytes,
        }
    }
}

impl Default for Recording {
    /// The recording of the documented events, with four renditions and a few segments.
    fn default() -> Self {
        Self {
            prefix: DOCUMENTED_PREFIX.to_owned(),
            renditions: vec![
                Rendition::new("720p30", 720, 2_440_200),
                Rendition::new("480p30", 480, 1_495_199),
                Rendition::new("360p30", 360, 630_000),
                Rendition::new("160p30", 160, 230_000),
            ],
            segments: 3,
            thumbnails: 2,
        }
    }
}

impl Recording {
    /// All objects of the recording with their keys.
    pub fn objects(&self) -> Vec<(String, Object)> {
        let mut objects = self.metadata_objects();
        objects.extend(self.entry_playlists());
        for rendition in &self.renditions {
            objects.extend(self.rendition_objects(rendition));
        }
        objects.extend((0..self.thumbnails).map(|n| {
            let path = format!("media/thumbnails/thumb{n}.jpg");
            self.sized(&path, 90_000, "image/jpeg")
        }));
        objects
    }

    fn metadata_objects(&self) -> Vec<(String, Object)> {
        let started = self.metadata("RECORDING_STARTED").to_string();
        let ended = self.metadata("RECORDING_ENDED").to_string();
        vec![
            self.text("events/recording-started.json", started, JSON),
            self.text("events/recording-ended.json", ended, JSON),
            // No document names this empty object, but the real recording has it.
            self.text(
                "events/ivs-check",
                String::new(),
                "application/octet-stream",
            ),
        ]
    }

    fn entry_playlists(&self) -> [(String, Object); 2] {
        [
            ("master.m3u8", "playlist.m3u8"),
            ("byte-range-multivariant.m3u8", "byte-range-variant.m3u8"),
        ]
        .map(|(name, media_playlist)| {
            let text = self.multivariant(media_playlist);
            self.text(&format!("media/hls/{name}"), text, PLAYLIST)
        })
    }

    fn rendition_objects(&self, rendition: &Rendition) -> Vec<(String, Object)> {
        let folder = format!("media/hls/{}", rendition.name);
        let byte_ranges = self.byte_range_playlist(rendition.segment_bytes);
        let mut objects = vec![
            self.text(
                &format!("{folder}/playlist.m3u8"),
                self.media_playlist(),
                PLAYLIST,
            ),
            self.text(
                &format!("{folder}/byte-range-variant.m3u8"),
                byte_ranges,
                PLAYLIST,
            ),
        ];
        objects.extend((0..self.segments).map(|n| {
            let path = format!("{folder}/{n}.ts");
            self.sized(&path, rendition.segment_bytes, "video/MP2T")
        }));
        objects
    }

    fn text(&self, path: &str, body: String, content_type: &str) -> (String, Object) {
        let object = Object {
            body: body.into(),
            content_type: Some(content_type.to_owned()),
            ..Object::default()
        };
        (format!("{}/{path}", self.prefix), object)
    }

    fn sized(&self, path: &str, size_bytes: u64, content_type: &str) -> (String, Object) {
        let object = Object {
            size_bytes,
            content_type: Some(content_type.to_owned()),
            ..Object::default()
        };
        (format!("{}/{path}", self.prefix), object)
    }

    /// Puts the recording into a bucket.
    pub fn put_into(&self, buckets: &Buckets, bucket: &str) {
        for (key, object) in self.objects() {
            if object.body.is_empty() && object.size_bytes > 0 {
                buckets.put_sized(bucket, &key, object.size_bytes);
            } else {
                buckets.put_object(bucket, &key, object);
            }
        }
    }

    fn metadata(&self, status: &str) -> Value {
        let renditions = self.renditions.iter().rev().map(|rendition| {
            json!({
                "path": rendition.name,
                "playlist": "playlist.m3u8",
                "byte_range_playlist": "byte-range-variant.m3u8",
                "resolution_width": rendition.height * 16 / 9,
                "resolution_height": rendition.height,
            })
        });
        let mut metadata = json!({
            "version": "v1",
            "recording_started_at": "2020-06-23T20:12:36Z",
            "channel_arn": "arn:aws:ivs:us-west-2:123456789012:channel/AbCdef1G2hij",
            "recording_status": status,
            "media": {
                "hls": {
                    "path": "media/hls",
                    "playlist": "master.m3u8",
                    "byte_range_playlist": "byte-range-multivariant.m3u8",
                    "renditions": renditions.collect::<Vec<_>>(),
                },
                "thumbnails": { "path": "media/thumbnails" },
            },
        });
        if status != "RECORDING_STARTED" {
            metadata["recording_ended_at"] = json!("2020-06-24T07:51:32Z");
            metadata["media"]["hls"]["duration_ms"] = json!(self.segments * SEGMENT_MS);
        }
        metadata
    }

    /// An entry playlist. As in real recordings, it has no newline at its end.
    fn multivariant(&self, file: &str) -> String {
        let mut text = String::from(
            "#EXTM3U\n#EXT-X-SESSION-DATA:DATA-ID=\"net.live-video.content.id\",VALUE=\"AbCdef1G2hij\"",
        );
        for Rendition {
            name,
            height,
            bandwidth_bps,
            ..
        } in &self.renditions
        {
            let width = height * 16 / 9;
            let _ = write!(
                text,
                "\n#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID=\"{name}\",NAME=\"{height}p\",AUTOSELECT=YES,DEFAULT=YES\
                 \n#EXT-X-STREAM-INF:PROGRAM-ID=1,BANDWIDTH={bandwidth_bps},CODECS=\"avc1.4D401F,mp4a.40.2\",\
                 RESOLUTION={width}x{height},VIDEO=\"{name}\"\n{name}/{file}"
            );
        }
        text
    }

    fn media_playlist(&self) -> String {
        let head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:12\n#EXT-X-PLAYLIST-TYPE:EVENT\n\
                    #EXT-X-MEDIA-SEQUENCE:0\n";
        let segments = (0..self.segments).map(|n| format!("#EXTINF:10.000,\n{n}.ts\n"));
        format!("{head}{}#EXT-X-ENDLIST\n", segments.collect::<String>())
    }

    /// Two byte ranges per segment. Real recordings have one for each key frame.
    fn byte_range_playlist(&self, segment_bytes: u64) -> String {
        let half = segment_bytes / 2;
        let rest = segment_bytes - half;
        let segments = (0..self.segments).map(|n| {
            format!(
                "#EXTINF:5.000,\n#EXT-X-BYTERANGE:{half}@0\n{n}.ts\n#EXTINF:5.000,\n#EXT-X-BYTERANGE:{rest}@{half}\n{n}.ts\n"
            )
        });
        let head = "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-TARGETDURATION:12\n#EXT-X-PLAYLIST-TYPE:VOD\n\
                    #EXT-X-MEDIA-SEQUENCE:0\n";
        format!("{head}{}#EXT-X-ENDLIST\n", segments.collect::<String>())
    }
}
