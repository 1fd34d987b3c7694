//! Which of A's variants is which of B's: by what they are, never by their place or name.

use super::attributes::Attributes;
use super::side_playlist::{Entry, SidePlaylist};
use crate::pair::{Side, Sides};
use std::collections::BTreeSet;

/// The same thing on both sides, or on one of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Paired {
    /// What both say of it. Identical for both, since players recognise redundancy by that: hls.js
    /// compares bitrate, resolution, frame rate, codecs and range, Media3 all that makes a
    /// `Format`.
    pub(super) attributes: Attributes,
    /// A name that is the same on both sides and from one publication to the next
    /// (STABLE-VARIANT-ID, STABLE-RENDITION-ID).
    pub(super) stable_id: String,
    /// The group that each side's own playlist puts it in (EXT-X-MEDIA only).
    pub(super) entries: Sides<Option<Entry>>,
}

/// How far the bandwidths of a pair may be apart: two encoders of the same settings measure
/// slightly different peaks.
const BANDWIDTH_TOLERANCE: f64 = 0.1;
/// 29.97 and 30 are different frame rates, 29.970 and 29.97003 are not.
const FRAME_RATE_TOLERANCE: f64 = 0.01;

/// What each side says of its own place, and what is given anew.
const OWN: [&str; 4] = [
    "PATHWAY-ID",
    "STABLE-VARIANT-ID",
    "STABLE-RENDITION-ID",
    "URI",
];
/// The attributes that name groups of EXT-X-MEDIA (RFC 8216, 4.3.4.2).
pub(super) const GROUPS: [&str; 4] = ["AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"];

/// Pairs the variants of two playlists, in A's order; what only B has comes last.
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
    let all = |side: Side| playlists[side].map(&of).unwrap_or_default();
    let mut left: Vec<&Entry> = all(Side::B).iter().collect();
    let mut paired: Vec<Paired> = Vec::new();
    // Those that were published as a pair stay one: told alike, they may be nearer to another by
    // now.
    let id = |entry: &Entry| {
        entry
            .attributes
            .text("STABLE-VARIANT-ID")
            .map(str::to_owned)
    };
    let ids: Vec<Option<String>> = all(Side::A).iter().map(id).collect();
    for a in all(Side::A) {
        let is_free = |b: &&&Entry| id(b).is_none() || id(b) == id(a) || !ids.contains(&id(b));
        let distance = |b: &&&Entry| bandwidth(&a.attributes).abs_diff(bandwidth(&b.attributes));
        let nearest = left
            .iter()
            .filter(|b| is_free(b) && is_same_variant(&a.attributes, &b.attributes))
            .min_by_key(|b| (id(b) != id(a), distance(b)));
        let nearest = nearest.copied();
        left.retain(|b| nearest.is_none_or(|nearest| !std::ptr::eq(*b, nearest)));
        paired.push(Paired {
            attributes: merged(&a.attributes, nearest.map(|b| &b.attributes)),
            stable_id: String::new(),
            entries: Sides {
                a: Some(a.clone()),
                b: nearest.cloned(),
            },
        });
    }
    let only_b = |b: &Entry| Paired {
        attributes: merged(&b.attributes, None),
        stable_id: String::new(),
        entries: Sides {
            a: None,
            b: Some(b.clone()),
        },
    };
    paired.extend(left.into_iter().map(only_b));
    name(&mut paired, |attributes| variant_name(kind, attributes));
    paired
}

/// Names a variant as far as pairing is exact, and no further: alone and in a pair a variant must
/// have the same name.
fn variant_name(kind: &str, attributes: &Attributes) -> String {
    let part = |name: &str| attributes.text(name).map(str::to_owned);
    let rate = attributes
        .number::<f64>("FRAME-RATE")
        .map(|rate| format!("{rate:.2}"));
    let codecs = Some(codecs(attributes).into_iter().collect::<Vec<_>>().join("+"))
        .filter(|codecs| !codecs.is_empty());
    let parts = [
        part("RESOLUTION"),
        rate,
        part("VIDEO-RANGE").filter(|range| range != "SDR"),
        codecs,
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{kind}{}", parts.join("-"))
}

/// Pairs the renditions of two playlists: the same group, name and language.
pub(super) fn renditions(playlists: &Sides<Option<&SidePlaylist>>) -> Vec<Paired> {
    let all = |side: Side| {
        playlists[side]
            .map(|playlist| playlist.media.as_slice())
            .unwrap_or_default()
    };
    let key = |entry: &Entry| {
        ["TYPE", "GROUP-ID", "NAME", "LANGUAGE"]
            .map(|name| entry.attributes.raw(name).map(str::to_owned))
    };
    let unnamed = |attributes: &Attributes, a: Option<&Entry>, b: Option<&Entry>| Paired {
        attributes: attributes.without(&OWN),
        stable_id: String::new(),
        entries: Sides {
            a: a.cloned(),
            b: b.cloned(),
        },
    };
    let mut paired: Vec<Paired> = Vec::new();
    for a in all(Side::A) {
        let b = all(Side::B).iter().find(|b| key(b) == key(a));
        paired.push(unnamed(&a.attributes, Some(a), b));
    }
    for b in all(Side::B) {
        if !all(Side::A).iter().any(|a| key(a) == key(b)) {
            paired.push(unnamed(&b.attributes, None, Some(b)));
        }
    }
    name(&mut paired, |attributes| {
        let parts =
            ["GROUP-ID", "LANGUAGE", "NAME"].map(|name| attributes.text(name).map(str::to_owned));
        parts.into_iter().flatten().collect::<Vec<_>>().join("-")
    });
    paired
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

/// A's attributes, with the greater of both bandwidths: a player must be able to count on it on
/// either side.
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

/// Gives each a name made of what it is; those that would be named alike are counted by descending
/// bandwidth, which is the same order wherever the ladder is the same.
fn name(paired: &mut [Paired], of: impl Fn(&Attributes) -> String) {
    let legal = |c: char| {
        if c.is_ascii_alphanumeric() || "+/=.-_".contains(c) {
            c
        } else {
            '_'
        }
    };
    let names: Vec<String> = paired
        .iter()
        .map(|paired| of(&paired.attributes).chars().map(legal).collect())
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
