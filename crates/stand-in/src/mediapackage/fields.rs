//! The attributes of an origin endpoint: names, types and defaults.
//!
//! Names, types and required attributes are those of the model of MediaPackage 2017-10-12 (in
//! botocore). The defaults are those of the AWS CLI's examples of `list-origin-endpoints` and
//! `update-origin-endpoint`. AWS documents no other defaults, so other attributes without a value
//! are left out.

use serde_json::{Map, Value};

use Kind::{Flag, List, Number, Object, OneOf, Tags, Text};

pub(super) enum Kind {
    Text,
    /// A whole number, 0 or more.
    Number,
    Flag,
    OneOf(&'static [&'static str]),
    List(&'static Kind),
    Object(&'static [Field]),
    /// A map of text to text.
    Tags,
}

pub(super) struct Field {
    name: &'static str,
    kind: Kind,
    otherwise: Otherwise,
}

enum Otherwise {
    Absent,
    Required,
    /// A default value as JSON.
    Default(&'static str),
}

const fn may(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        otherwise: Otherwise::Absent,
    }
}

const fn must(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        otherwise: Otherwise::Required,
    }
}

const fn or(name: &'static str, kind: Kind, default: &'static str) -> Field {
    Field {
        name,
        kind,
        otherwise: Otherwise::Default(default),
    }
}

/// The packager types. An endpoint has one, which does not change.
pub(super) const PACKAGES: [&str; 4] = ["cmafPackage", "dashPackage", "hlsPackage", "mssPackage"];

/// The attributes of both Create and Update.
pub(super) const ENDPOINT: &[Field] = &[
    may(
        "authorization",
        Object(&[
            must("cdnIdentifierSecret", Text),
            must("secretsRoleArn", Text),
        ]),
    ),
    may("cmafPackage", Object(CMAF)),
    may("dashPackage", Object(DASH)),
    may("description", Text),
    may("hlsPackage", Object(HLS)),
    or("manifestName", Text, r#""index""#),
    may("mssPackage", Object(MSS)),
    or("origination", OneOf(&["ALLOW", "DENY"]), r#""ALLOW""#),
    or("startoverWindowSeconds", Number, "0"),
    or("timeDelaySeconds", Number, "0"),
    or("whitelist", List(&Text), "[]"),
];

/// The attributes of Create only.
pub(super) const IDENTITY: &[Field] = &[
    must("id", Text),
    must("channelId", Text),
    or("tags", Tags, "{}"),
];

const HLS: &[Field] = &[
    or("adMarkers", AD_MARKERS, r#""NONE""#),
    may("adTriggers", AD_TRIGGERS),
    may("adsOnDeliveryRestrictions", AD_RESTRICTIONS),
    may(
        "encryption",
        Object(&[
            may("constantInitializationVector", Text),
            may("encryptionMethod", OneOf(&["AES_128", "SAMPLE_AES"])),
            may("keyRotationIntervalSeconds", Number),
            may("repeatExtXKey", Flag),
            must("spekeKeyProvider", Object(SPEKE)),
        ]),
    ),
    may("includeDvbSubtitles", Flag),
    or("includeIframeOnlyStream", Flag, "false"),
    or("playlistType", PLAYLIST_TYPE, r#""EVENT""#),
    or("playlistWindowSeconds", Number, "60"),
    or("programDateTimeIntervalSeconds", Number, "0"),
    or("segmentDurationSeconds", Number, "6"),
    or("streamSelection", Object(STREAM_SELECTION), "{}"),
    or("useAudioRenditionGroup", Flag, "false"),
];

const CMAF: &[Field] = &[
    may(
        "encryption",
        Object(&[
            may("constantInitializationVector", Text),
            may("encryptionMethod", OneOf(&["SAMPLE_AES", "AES_CTR"])),
            may("keyRotationIntervalSeconds", Number),
            must("spekeKeyProvider", Object(SPEKE)),
        ]),
    ),
    or("hlsManifests", List(&Object(CMAF_MANIFEST)), "[]"),
    or("segmentDurationSeconds", Number, "2"),
    may("segmentPrefix", Text),
    or("streamSelection", Object(STREAM_SELECTION), "{}"),
];

const CMAF_MANIFEST: &[Field] = &[
    or("adMarkers", AD_MARKERS, r#""NONE""#),
    may("adTriggers", AD_TRIGGERS),
    may("adsOnDeliveryRestrictions", AD_RESTRICTIONS),
    must("id", Text),
    or("includeIframeOnlyStream", Flag, "false"),
    may("manifestName", Text),
    or("playlistType", PLAYLIST_TYPE, r#""EVENT""#),
    or("playlistWindowSeconds", Number, "60"),
    or("programDateTimeIntervalSeconds", Number, "0"),
];

const DASH: &[Field] = &[
    may("adTriggers", AD_TRIGGERS),
    may("adsOnDeliveryRestrictions", AD_RESTRICTIONS),
    may(
        "encryption",
        Object(&[
            may("keyRotationIntervalSeconds", Number),
            must("spekeKeyProvider", Object(SPEKE)),
        ]),
    ),
    may("includeIframeOnlyStream", Flag),
    or(
        "manifestLayout",
        OneOf(&["FULL", "COMPACT", "DRM_TOP_LEVEL_COMPACT"]),
        r#""FULL""#,
    ),
    or("manifestWindowSeconds", Number, "60"),
    or("minBufferTimeSeconds", Number, "30"),
    or("minUpdatePeriodSeconds", Number, "15"),
    or("periodTriggers", List(&OneOf(&["ADS"])), "[]"),
    or(
        "profile",
        OneOf(&["NONE", "HBBTV_1_5", "HYBRIDCAST", "DVB_DASH_2014"]),
        r#""NONE""#,
    ),
    or("segmentDurationSeconds", Number, "2"),
    or(
        "segmentTemplateFormat",
        OneOf(&[
            "NUMBER_WITH_TIMELINE",
            "TIME_WITH_TIMELINE",
            "NUMBER_WITH_DURATION",
        ]),
        r#""NUMBER_WITH_TIMELINE""#,
    ),
    or("streamSelection", Object(STREAM_SELECTION), "{}"),
    or("suggestedPresentationDelaySeconds", Number, "25"),
    may(
        "utcTiming",
        OneOf(&["NONE", "HTTP-HEAD", "HTTP-ISO", "HTTP-XSDATE"]),
    ),
    may("utcTimingUri", Text),
];

const MSS: &[Field] = &[
    may(
        "encryption",
        Object(&[must("spekeKeyProvider", Object(SPEKE))]),
    ),
    or("manifestWindowSeconds", Number, "60"),
    or("segmentDurationSeconds", Number, "2"),
    or("streamSelection", Object(STREAM_SELECTION), "{}"),
];

const SPEKE: &[Field] = &[
    may("certificateArn", Text),
    may(
        "encryptionContractConfiguration",
        Object(&[
            must("presetSpeke20Audio", Text),
            must("presetSpeke20Video", Text),
        ]),
    ),
    must("resourceId", Text),
    must("roleArn", Text),
    must("systemIds", List(&Text)),
    must("url", Text),
];

const STREAM_SELECTION: &[Field] = &[
    or("maxVideoBitsPerSecond", Number, "2147483647"),
    or("minVideoBitsPerSecond", Number, "0"),
    or(
        "streamOrder",
        OneOf(&[
            "ORIGINAL",
            "VIDEO_BITRATE_ASCENDING",
            "VIDEO_BITRATE_DESCENDING",
        ]),
        r#""ORIGINAL""#,
    ),
];

const AD_MARKERS: Kind = OneOf(&["NONE", "SCTE35_ENHANCED", "PASSTHROUGH", "DATERANGE"]);
const AD_RESTRICTIONS: Kind = OneOf(&["NONE", "RESTRICTED", "UNRESTRICTED", "BOTH"]);
const PLAYLIST_TYPE: Kind = OneOf(&["NONE", "EVENT", "VOD"]);
const AD_TRIGGERS: Kind = List(&OneOf(&[
    "SPLICE_INSERT",
    "BREAK",
    "PROVIDER_ADVERTISEMENT",
    "DISTRIBUTOR_ADVERTISEMENT",
    "PROVIDER_PLACEMENT_OPPORTUNITY",
    "DISTRIBUTOR_PLACEMENT_OPPORTUNITY",
    "PROVIDER_OVERLAY_PLACEMENT_OPPORTUNITY",
    "DISTRIBUTOR_OVERLAY_PLACEMENT_OPPORTUNITY",
]));

/// Checks the fields of `input` and adds the defaults of missing ones. Unknown fields stay as they
/// are: so the stand-in can also be an AWS that has attributes which the client does not know.
pub(super) fn fill(fields: &[Field], input: &Value) -> Result<Map<String, Value>, String> {
    let given = input
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null());
    let mut filled: Map<_, _> = given
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for Field {
        name,
        kind,
        otherwise,
    } in fields
    {
        let value = match (&input[name], otherwise) {
            (Value::Null, Otherwise::Absent) => continue,
            (Value::Null, Otherwise::Required) => return Err(format!("{name} must be provided")),
            (Value::Null, Otherwise::Default(default)) => {
                kind.take(name, &serde_json::from_str(default).unwrap_or_default())?
            }
            (value, _) => kind.take(name, value)?,
        };
        filled.insert((*name).to_owned(), value);
    }
    Ok(filled)
}

impl Kind {
    /// Returns the value if it has this kind, otherwise what is wrong with it.
    fn take(&self, name: &str, value: &Value) -> Result<Value, String> {
        let fits = match (self, value) {
            (Text, Value::String(_)) | (Flag, Value::Bool(_)) => true,
            (Number, Value::Number(number)) => number.is_u64(),
            (OneOf(known), Value::String(text)) => known.contains(&text.as_str()),
            (Tags, Value::Object(tags)) => tags.values().all(Value::is_string),
            (List(kind), Value::Array(items)) => {
                return items.iter().map(|item| kind.take(name, item)).collect();
            }
            (Object(fields), Value::Object(_)) => return fill(fields, value).map(Value::Object),
            _ => false,
        };
        if fits {
            Ok(value.clone())
        } else {
            Err(format!("{name} is not valid"))
        }
    }
}
