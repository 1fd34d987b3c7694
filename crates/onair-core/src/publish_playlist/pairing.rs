//! Pairs the variants of sides A and B: by their attributes, never by their order or their URIs.

use super::attributes::Attributes;
use super::side_playlist::{Entry, SidePlaylist};
use crate::pair::{Side, Sides};
use std::collections::BTreeSet;

/// A variant or a rendition that both sides have, or only one of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Paired {
    /// The attributes of both. They are identical, because players recognise redundant variants by
    /// them: hls.js compares bitrate, resolution, frame rate, codecs and range, Media3 every field
    /// of a `Format`.
    pub(super) attributes: Attributes,
    /// An id that is the same on both sides and from one publication to the next
    /// (STABLE-VARIANT-ID, STABLE-RENDITION-ID).
    pub(super) stable_id: String,
    /// The entry of each side's own playlist, with its own group names.
    pub(super) entries: Sides<Option<Entry>>,
}

impl Paired {
    fn new(attributes: Attributes, a: Option<&Entry>, b: Option<&Entry>) -> Self {
        Self {
            attributes,
            stable_id: String::new(),
            entries: Sides {
                a: a.cloned(),
                b: b.cloned(),
            },
        }
    }

    /// For people: the stable id, with the bandwidth of a variant.
    pub(super) fn description(&self) -> String {
        match self.attributes.text("BANDWIDTH") {
            Some(bps) => format!("{}, {bps} bit/s", self.stable_id),
            None => self.stable_id.clone(),
        }
    }
}

/// The largest difference between the bandwidths of a pair: two encoders with the same settings
/// measure slightly different peaks.
const BANDWIDTH_TOLERANCE: f64 = 0.1;
/// 29.97 and 30 are different frame rates, 29.970 and 29.97003 are not.
const FRAME_RATE_TOLERANCE: f64 = 0.01;

/// The attributes that are rendered for each side anew.
const OWN: [&str; 4] = [
    "PATHWAY-ID",
    "STABLE-VARIANT-ID",
    "STABLE-RENDITION-ID",
    "URI",
];
/// The attributes that name groups of EXT-X-MEDIA (RFC 8216, 4.3.4.2).
pub(super) const GROUPS: [&str; 4] = ["AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"];

/// Pairs the variants of two playlists, in A's order. Variants that only B has are last.
pub(super) fn variants(playlists: &Sides<Option<&SidePlaylist>>) -> Vec<Paired> {
    pair("", playlists, |playlist| &playlist.variants)
}

/// Pairs the I-frame entries of two playlists in the same way.
pub(super) fn i_frames(playlists: &Sides<Option<&SidePlaylist>>) -> Vec<Paired> {
    pair("i-frames-", playlists, |playlist| &playlist.i_frames)
}

fn pair(
    kind: &str,
    playlists: &Sides<Option<&SidePlaylist>>,
    of: impl Fn(&SidePlaylist) -> &[Entry],
) -> Vec<Paired> {
    let entries = |side: Side| playlists[side].map(&of).unwrap_or_default();
    let published: Vec<&str> = entries(Side::A).iter().filter_map(published_id).collect();
    let mut only_b: Vec<&Entry> = entries(Side::B).iter().collect();
    let mut paired: Vec<Paired> = Vec::new();
    for a in entries(Side::A) {
        let b = counterpart(a, &only_b, &published);
        only_b.retain(|entry| b.is_none_or(|b| !std::ptr::eq(*entry, b)));
        let attributes = merged(&a.attributes, b.map(|b| &b.attributes));
        paired.push(Paired::new(attributes, Some(a), b));
    }
    for b in only_b {
        paired.push(Paired::new(merged(&b.attributes, None), None, Some(b)));
    }
    name(&mut paired, |attributes| variant_name(kind, attributes));
    paired
}

/// The stable id under which an entry is published, if it was read from the published playlist.
fn published_id(entry: &Entry) -> Option<&str> {
    entry.attributes.text("STABLE-VARIANT-ID")
}

/// The entry of B that belongs to an entry of A. Two entries that were published as a pair stay a
/// pair: their published bandwidths are equal, so another entry could be nearer.
fn counterpart<'a>(a: &Entry, candidates: &[&'a Entry], published: &[&str]) -> Option<&'a Entry> {
    let is_free = |b: &Entry| {
        published_id(b).is_none_or(|id| published_id(a) == Some(id) || !published.contains(&id))
    };
    let difference = |b: &Entry| bandwidth(&a.attributes).abs_diff(bandwidth(&b.attributes));
    candidates
        .iter()
        .copied()
        .filter(|b| is_free(b) && is_same_variant(&a.attributes, &b.attributes))
        .min_by_key(|b| (published_id(b) != published_id(a), difference(b)))
}

/// Names a variant by the attributes that pairing compares exactly. Other attributes are not used:
/// a variant must have the same name alone and in a pair.
fn variant_name(kind: &str, attributes: &Attributes) -> String {
    let rate = attributes
        .number::<f64>("FRAME-RATE")
        .map(|rate| format!("{rate:.2}"));
    let codecs = codecs(attributes).into_iter().collect::<Vec<_>>().join("+");
    let parts = [
        attributes.text("RESOLUTION").map(str::to_owned),
        rate,
        attributes
            .text("VIDEO-RANGE")
            .filter(|range| *range != "SDR")
            .map(str::to_owned),
        Some(codecs).filter(|codecs| !codecs.is_empty()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{kind}{}", parts.join("-"))
}

/// Pairs the renditions of two playlists that have the same type, group, name and language.
pub(super) fn renditions(playlists: &Sides<Option<&SidePlaylist>>) -> Vec<Paired> {
    let entries = |side: Side| {
        playlists[side]
            .map(|playlist| playlist.media.as_slice())
            .unwrap_or_default()
    };
    let find = |side: Side, entry: &Entry| {
        let mut others = entries(side).iter();
        others.find(|other| rendition_key(other) == rendition_key(entry))
    };
    let mut paired: Vec<Paired> = Vec::new();
    for a in entries(Side::A) {
        let attributes = a.attributes.without(&OWN);
        paired.push(Paired::new(attributes, Some(a), find(Side::B, a)));
    }
    for b in entries(Side::B) {
        if find(Side::A, b).is_none() {
            paired.push(Paired::new(b.attributes.without(&OWN), None, Some(b)));
        }
    }
    name(&mut paired, rendition_name);
    paired
}

fn rendition_key(entry: &Entry) -> [Option<&str>; 4] {
    ["TYPE", "GROUP-ID", "NAME", "LANGUAGE"].map(|name| entry.attributes.raw(name))
}

fn rendition_name(attributes: &Attributes) -> String {
    let parts = ["GROUP-ID", "LANGUAGE", "NAME"].map(|name| attributes.text(name));
    parts.into_iter().flatten().collect::<Vec<_>>().join("-")
}

fn bandwidth(attributes: &Attributes) -> u64 {
    attributes.number("BANDWIDTH").unwrap_or_default()
}

fn codecs(attributes: &Attributes) -> BTreeSet<String> {
    attributes
        .text("CODECS")
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|codec| !codec.is_empty())
        .map(str::to_ascii_lowercase)
        .collect()
}

fn is_same_variant(a: &Attributes, b: &Attributes) -> bool {
    let (low, high) = (
        bandwidth(a).min(bandwidth(b)),
        bandwidth(a).max(bandwidth(b)),
    );
    let rate = |attributes: &Attributes| attributes.number::<f64>("FRAME-RATE");
    let same_rate = match (rate(a), rate(b)) {
        (Some(a), Some(b)) => (a - b).abs() <= FRAME_RATE_TOLERANCE,
        (a, b) => a.is_none() && b.is_none(),
    };
    let same = |name: &str| a.text(name) == b.text(name);
    let range =
        |attributes: &Attributes| attributes.text("VIDEO-RANGE").unwrap_or("SDR").to_owned();
    (high - low) as f64 <= high as f64 * BANDWIDTH_TOLERANCE
        && same_rate
        && same("RESOLUTION")
        && same("HDCP-LEVEL")
        && range(a) == range(b)
        && codecs(a) == codecs(b)
        && GROUPS
            .iter()
            .all(|group| a.raw(group).is_some() == b.raw(group).is_some())
}

/// A's attributes with the greater bandwidth of both sides, so that the connection of a player is
/// fast enough for either side.
fn merged(a: &Attributes, b: Option<&Attributes>) -> Attributes {
    let mut merged = a.without(&OWN).without(&GROUPS);
    for name in ["BANDWIDTH", "AVERAGE-BANDWIDTH"] {
        let of = |attributes: &Attributes| attributes.number::<u64>(name);
        if let Some(greater) = of(a).max(b.and_then(of)) {
            merged.set(name, greater);
        }
    }
    merged
}

/// Sets the stable ids. Entries of the same name are numbered by descending bandwidth, which gives
/// the same order on both sides of the same ladder.
fn name(paired: &mut [Paired], of: impl Fn(&Attributes) -> String) {
    let names: Vec<String> = paired
        .iter()
        .map(|paired| of(&paired.attributes).chars().map(legal_in_id).collect())
        .collect();
    let bandwidths: Vec<u64> = paired
        .iter()
        .map(|paired| bandwidth(&paired.attributes))
        .collect();
    for (number, paired) in paired.iter_mut().enumerate() {
        let is_before = |other: usize| {
            names[other] == names[number]
                && (bandwidths[other] > bandwidths[number]
                    || bandwidths[other] == bandwidths[number] && other < number)
        };
        let before = (0..names.len()).filter(|other| is_before(*other)).count();
        paired.stable_id = match before {
            0 => names[number].clone(),
            _ => format!("{}_{}", names[number], before + 1),
        };
    }
}

fn legal_in_id(c: char) -> char {
    if c.is_ascii_alphanumeric() || "+/=.-_".contains(c) {
        c
    } else {
        '_'
    }
}
