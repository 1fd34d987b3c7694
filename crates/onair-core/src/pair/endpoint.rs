//! The definition of a MediaPackage (v1) endpoint: the whole JSON that DescribeOriginEndpoint
//! returns.
//!
//! The JSON is not converted to a struct, which would lose attributes that are newer than this
//! program. UpdateOriginEndpoint is a PUT that resets a missing attribute to its default, and an
//! endpoint that is created again must have all its earlier attributes.

use serde_json::{Map, Value};
use url::Url;

/// The definition of an endpoint, as DescribeOriginEndpoint returned it.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition(Map<String, Value>);

/// Whether an endpoint serves requests (`Origination`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origination {
    /// The endpoint serves.
    Allow,
    /// The endpoint answers every request with an error.
    Deny,
}

impl std::fmt::Display for Origination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Origination {
    fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Deny => "DENY",
        }
    }
}

/// Attributes of responses only (botocore `mediapackage/2017-10-12`: in `OriginEndpoint` and not in
/// the requests).
const OUTPUT_ONLY: [&str; 3] = ["arn", "createdAt", "url"];
/// Attributes that UpdateOriginEndpoint does not accept: the first is in the path, the second
/// cannot change, and tags have their own operations.
const NOT_UPDATED: [&str; 3] = ["id", "channelId", "tags"];

impl Definition {
    /// Checks the body of a DescribeOriginEndpoint response.
    ///
    /// # Errors
    ///
    /// The JSON lacks an attribute that every endpoint has.
    pub fn parse(value: &Value) -> Result<Self, String> {
        let definition = Self(value.as_object().ok_or("not a JSON object")?.clone());
        for name in ["id", "channelId", "arn"] {
            definition
                .text(name)
                .ok_or_else(|| format!("attribute {name} is missing"))?;
        }
        definition
            .url()
            .ok_or("attribute url is missing, or is not a URL")?;
        Ok(definition)
    }

    /// The JSON, as DescribeOriginEndpoint returned it.
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// The id, which the settings name.
    pub fn id(&self) -> &str {
        self.text("id").unwrap_or_default()
    }

    /// The id of the MediaPackage channel that it serves.
    pub fn channel_id(&self) -> &str {
        self.text("channelId").unwrap_or_default()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// The URL of the endpoint's multivariant playlist: that of the first HLS manifest for a CMAF
    /// endpoint.
    pub fn url(&self) -> Option<Url> {
        let own = self.text("url").filter(|url| !url.is_empty());
        let of_cmaf_manifest = || {
            self.0
                .get("cmafPackage")?
                .get("hlsManifests")?
                .get(0)?
                .get("url")?
                .as_str()
        };
        own.filter(|url| !url.ends_with('/'))
            .or_else(of_cmaf_manifest)
            .or(own)?
            .parse()
            .ok()
    }

    /// Whether `other` describes the same endpoint, and not a later one that was created with the
    /// same id.
    pub fn is_the_same_as(&self, other: &Self) -> bool {
        self.text("arn") == other.text("arn") && self.url() == other.url()
    }

    /// Whether the endpoint serves. The default is `ALLOW`.
    pub fn origination(&self) -> Origination {
        if self.text("origination") == Some("DENY") {
            Origination::Deny
        } else {
            Origination::Allow
        }
    }

    /// The same definition with another origination.
    pub(crate) fn with_origination(&self, origination: Origination) -> Self {
        let mut definition = self.clone();
        let origination = origination.as_str().into();
        definition.0.insert("origination".to_owned(), origination);
        definition
    }

    /// The body of a CreateOriginEndpoint request that creates this endpoint again.
    pub fn to_create(&self) -> Value {
        let mut body = self.0.clone();
        body.retain(|name, value| !OUTPUT_ONLY.contains(&name.as_str()) && !value.is_null());
        body.insert("origination".to_owned(), Origination::Allow.as_str().into());
        let manifests = body
            .get_mut("cmafPackage")
            .and_then(|package| package.get_mut("hlsManifests"));
        for manifest in manifests
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if let Some(manifest) = manifest.as_object_mut() {
                manifest.remove("url");
            }
        }
        Value::Object(body)
    }

    /// The body of an UpdateOriginEndpoint request that changes the origination and nothing else.
    pub fn to_update(&self, origination: Origination) -> Value {
        let mut body = self.to_create();
        if let Some(body) = body.as_object_mut() {
            body.retain(|name, _| !NOT_UPDATED.contains(&name.as_str()));
            body.insert("origination".to_owned(), origination.as_str().into());
        }
        body
    }

    /// The names of the attributes in which `other` differs, apart from the origination.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let names = self.0.keys().chain(other.0.keys());
        let differs =
            |name: &&String| *name != "origination" && self.0.get(*name) != other.0.get(*name);
        let mut names: Vec<String> = names.filter(differs).cloned().collect();
        names.sort();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definition() -> Definition {
        Definition::parse(&json!({
            "arn": "arn:aws:mediapackage:us-west-2:111122223333:origin_endpoints/82d6b9bc",
            "channelId": "show-a",
            "cmafPackage": { "hlsManifests": [{ "id": "hls", "url": "https://x/out/v1/82d6b9bc/hls.m3u8" }] },
            "createdAt": "2026-11-21T10:00:00Z",
            "description": "",
            "hlsPackage": null,
            "id": "show-a-hls",
            "newerThanThisProgram": { "kept": true },
            "origination": "ALLOW",
            "tags": { "show": "evening" },
            "url": "https://x/out/v1/82d6b9bc/",
            "whitelist": [],
        }))
        .unwrap()
    }

    #[test]
    fn requests_contain_all_attributes_except_those_of_responses_only() {
        insta::assert_snapshot!(definition().to_create(), @r#"{"channelId":"show-a","cmafPackage":{"hlsManifests":[{"id":"hls"}]},"description":"","id":"show-a-hls","newerThanThisProgram":{"kept":true},"origination":"ALLOW","tags":{"show":"evening"},"whitelist":[]}"#);
        insta::assert_snapshot!(definition().to_update(Origination::Deny), @r#"{"cmafPackage":{"hlsManifests":[{"id":"hls"}]},"description":"","newerThanThisProgram":{"kept":true},"origination":"DENY","whitelist":[]}"#);
    }

    #[test]
    fn the_playlist_of_a_cmaf_endpoint_is_that_of_its_first_manifest() {
        assert_eq!(
            definition().url().unwrap().as_str(),
            "https://x/out/v1/82d6b9bc/hls.m3u8"
        );
    }

    #[test]
    fn an_update_that_changed_another_attribute_is_detected() {
        let (before, mut after) = (definition(), definition());
        after.0["origination"] = "DENY".into();
        assert!(before.differences(&after).is_empty());
        after.0["description"] = "other".into();
        after.0.remove("tags");
        assert_eq!(before.differences(&after), ["description", "tags"]);
    }
}
