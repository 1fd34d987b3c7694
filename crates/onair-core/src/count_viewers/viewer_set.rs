//! A set of viewers that can be merged. A small set is exact; a large one is an estimate of
//! bounded size.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use datasketches::hll::{HllSketch, HllType, HllUnion};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// 2^15 registers: a standard error of 1.04 / sqrt(2^15) = 0.57 % (Flajolet et al., "HyperLogLog",
/// 2007), and about 17 kB when stored.
const LG_REGISTERS: u8 = 15;

/// A set of distinct viewers, each of them a hash.
#[derive(Debug, Clone)]
pub enum ViewerSet {
    /// The hash of each viewer.
    Exact(ViewerIds),
    /// A HyperLogLog sketch of the hashes.
    Estimated(Box<HllUnion>),
}

/// The elements are hashes, so the set does not hash them again.
type ViewerIds = HashSet<u64, BuildHasherDefault<IdentityHasher>>;

/// The size of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewerCount {
    /// The number of viewers.
    pub viewers: u64,
    /// Whether the number is exact. An estimate is within 2 % in all but one of 2,000 cases.
    pub exact: bool,
}

impl ViewerCount {
    /// The size of an empty set.
    pub const ZERO: Self = Self {
        viewers: 0,
        exact: true,
    };
}

impl Default for ViewerSet {
    fn default() -> Self {
        Self::Exact(ViewerIds::default())
    }
}

impl ViewerSet {
    /// Adds a viewer. A set of more than `exact_up_to` viewers becomes an estimate.
    pub fn insert(&mut self, viewer: u64, exact_up_to: usize) {
        match self {
            Self::Exact(all) => {
                all.insert(viewer);
                if all.len() > exact_up_to {
                    *self = Self::Estimated(Box::new(estimated(all)));
                }
            }
            Self::Estimated(union) => union.update_value(viewer),
        }
    }

    /// Adds the viewers of another set.
    pub fn merge(&mut self, more: &Self, exact_up_to: usize) {
        match (&mut *self, more) {
            (_, Self::Exact(more)) => more
                .iter()
                .for_each(|viewer| self.insert(*viewer, exact_up_to)),
            (Self::Exact(all), Self::Estimated(more)) => {
                let mut union = more.clone();
                all.iter().for_each(|viewer| union.update_value(*viewer));
                *self = Self::Estimated(union);
            }
            (Self::Estimated(union), Self::Estimated(more)) => {
                union.update(&more.to_sketch(HllType::Hll8));
            }
        }
    }

    /// The number of viewers in the set.
    pub fn count(&self) -> ViewerCount {
        match self {
            Self::Exact(all) => ViewerCount {
                viewers: u64::try_from(all.len()).unwrap_or(u64::MAX),
                exact: true,
            },
            // Of the library's estimates, only this one depends on the registers alone. The others
            // also depend on the order of arrival.
            Self::Estimated(union) => ViewerCount {
                viewers: rounded(union.composite_estimate()),
                exact: false,
            },
        }
    }

    /// Whether no viewer was added.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Exact(all) if all.is_empty())
    }
}

/// Estimates are equal if their registers are. Estimates of fewer than about 3,000 viewers may
/// compare as different although they contain the same viewers.
impl PartialEq for ViewerSet {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(one), Self::Exact(other)) => one == other,
            (Self::Estimated(one), Self::Estimated(other)) => registers(one) == registers(other),
            (Self::Exact(_), Self::Estimated(_)) | (Self::Estimated(_), Self::Exact(_)) => false,
        }
    }
}

/// One byte per register. The preamble is cut off, since it depends on the order of arrival
/// (Apache DataSketches, "HLL sketch": the preamble has ten integers).
fn registers(union: &HllUnion) -> Vec<u8> {
    const PREAMBLE_BYTES: usize = 40;
    let mut bytes = union.to_sketch(HllType::Hll8).serialize();
    // A small sketch has a shorter preamble.
    if bytes.len() > PREAMBLE_BYTES {
        bytes.split_off(PREAMBLE_BYTES)
    } else {
        bytes
    }
}

fn estimated(all: &ViewerIds) -> HllUnion {
    let Ok(mut union) = HllUnion::new(LG_REGISTERS) else {
        unreachable!("15 is between 4 and 21")
    };
    all.iter().for_each(|viewer| union.update_value(*viewer));
    union
}

/// An estimate is positive and far below 2^52.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn rounded(estimate: f64) -> u64 {
    estimate.round() as u64
}

/// The stored form is base64. An exact set is the sorted hashes of eight bytes each. An estimate is
/// a sketch of Apache DataSketches, whose libraries for Java, C++, Go and Python can read it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum StoredSet {
    Exact(String),
    Hll(String),
}

impl Serialize for ViewerSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored = match self {
            Self::Exact(all) => {
                let mut sorted: Vec<u64> = all.iter().copied().collect();
                sorted.sort_unstable();
                let bytes: Vec<u8> = sorted.into_iter().flat_map(u64::to_be_bytes).collect();
                StoredSet::Exact(BASE64.encode(bytes))
            }
            Self::Estimated(union) => {
                StoredSet::Hll(BASE64.encode(union.to_sketch(HllType::Hll4).serialize()))
            }
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ViewerSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let decode = |text| BASE64.decode(text).map_err(D::Error::custom);
        Ok(match StoredSet::deserialize(deserializer)? {
            StoredSet::Exact(text) => {
                let bytes = decode(text)?;
                let (hashes, []) = bytes.as_chunks() else {
                    return Err(D::Error::custom("the last hash of a viewer is cut off"));
                };
                Self::Exact(
                    hashes
                        .iter()
                        .map(|hash| u64::from_be_bytes(*hash))
                        .collect(),
                )
            }
            StoredSet::Hll(text) => {
                let sketch = HllSketch::deserialize(&decode(text)?).map_err(D::Error::custom)?;
                let mut union = estimated(&ViewerIds::default());
                if sketch.lg_config_k() != LG_REGISTERS {
                    return Err(D::Error::custom("the sketch does not have 2^15 registers"));
                }
                union.update(&sketch);
                Self::Estimated(Box::new(union))
            }
        })
    }
}

/// Uses a number as its own hash.
#[derive(Debug, Clone, Copy, Default)]
pub struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `u64` is hashed here. Other types would work, but slowly.
        bytes
            .iter()
            .for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count_viewers::viewer_key::ViewerSecret;

    fn viewers(numbers: std::ops::Range<u32>, exact_up_to: usize) -> ViewerSet {
        let secret = ViewerSecret::new("a secret");
        let mut all = ViewerSet::default();
        numbers.for_each(|number| all.insert(secret.hash(&number.to_be_bytes()), exact_up_to));
        all
    }

    fn stored(viewers: &ViewerSet) -> String {
        serde_json::to_string(viewers).unwrap()
    }

    #[test]
    fn a_set_is_exact_up_to_the_limit_and_an_estimate_above_it() {
        assert_eq!(
            viewers(0..1000, 1000).count(),
            ViewerCount {
                viewers: 1000,
                exact: true
            }
        );
        let beyond = viewers(0..1001, 1000).count();
        assert!(
            !beyond.exact && (981..=1021).contains(&beyond.viewers),
            "{beyond:?}"
        );
        assert!(!viewers(0..1, 0).count().exact);
    }

    /// Promise P120. Up to `EXACT_UP_TO` (8,192) viewers of a stream in a minute the figure is
    /// exact, and above it is an estimate (`"exact": false`).
    #[test]
    fn a_million_viewers_are_estimated_within_two_percent_in_64_kb() {
        let million = viewers(0..1_000_000, 8192);
        let ViewerCount { viewers, exact } = million.count();
        assert!(!exact && viewers.abs_diff(1_000_000) <= 20_000, "{viewers}");
        assert!(
            stored(&million).len() <= 32 << 10,
            "{}",
            stored(&million).len()
        );
    }

    #[test]
    fn a_merge_is_idempotent_and_independent_of_the_order() {
        for exact_up_to in [10_000, 500, 0] {
            let parts = [0..400, 300..900, 900..901].map(|part| viewers(part, exact_up_to));
            let whole = viewers(0..901, exact_up_to).count();
            for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
                let mut merged = ViewerSet::default();
                for part in order.into_iter().chain(order) {
                    merged.merge(&parts[part], exact_up_to);
                }
                assert_eq!(merged.count(), whole, "{exact_up_to} {order:?}");
            }
        }
    }

    #[test]
    fn sets_of_the_same_viewers_are_equal_in_any_order_of_arrival() {
        for numbers in [4000, 4097, 5000, 20_000, 300_000] {
            let half = numbers / 2;
            let [low, high] = [0..half + 100, half..numbers].map(|part| viewers(part, 4096));
            let together = |first: &ViewerSet, second: &ViewerSet| {
                let mut all = first.clone();
                all.merge(second, 4096);
                let again: ViewerSet = serde_json::from_str(&stored(&all)).unwrap();
                all.merge(&again, 4096);
                all
            };
            let whole = viewers(0..numbers, 4096);
            assert!(
                whole == together(&low, &high) && whole == together(&high, &low),
                "{numbers}"
            );
            assert!(
                whole != low && whole != viewers(0..numbers + numbers / 10, 4096),
                "{numbers}"
            );
        }
    }

    #[test]
    fn a_stored_set_is_read_as_the_same_set() {
        for all in [
            viewers(0..0, 10),
            viewers(0..10, 10),
            viewers(0..11, 10),
            viewers(0..50_000, 10),
        ] {
            let back: ViewerSet = serde_json::from_str(&stored(&all)).unwrap();
            assert_eq!(back.count(), all.count());
        }
        for broken in [
            r#"{"exact":"AAAA"}"#,
            r#"{"hll":"AAAA"}"#,
            r#"{"exact":"?"}"#,
            r#"{"list":""}"#,
        ] {
            assert!(
                serde_json::from_str::<ViewerSet>(broken).is_err(),
                "{broken}"
            );
        }
    }
}
