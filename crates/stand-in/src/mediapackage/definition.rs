//! The definition of an origin endpoint: the attributes of a request, and those that AWS adds.

use serde_json::{Map, Value, json};

use super::fields::{ENDPOINT, IDENTITY, PACKAGES, fill};

/// The definition that Create makes from its input.
pub(super) fn created(input: &Value) -> Result<Map<String, Value>, String> {
    let mut created = fill(IDENTITY, input)?;
    let id = created["id"].as_str().unwrap_or_default();
    // AWS CloudFormation, AWS::MediaPackage::OriginEndpoint, the pattern of Id.
    let is_named = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !(1..=256).contains(&id.len()) || !id.chars().all(is_named) {
        return Err("id must be 1 to 256 letters, digits, hyphens and underscores".to_owned());
    }
    if packages(input).len() != 1 {
        return Err("exactly one package must be provided".to_owned());
    }
    created.extend(fill(ENDPOINT, input)?);
    Ok(created)
}

/// The definition that Update makes from its input. Update is a full PUT: a missing attribute gets
/// its default. The packager stays. Both follow the AWS CLI's example of `update-origin-endpoint`.
pub(super) fn updated(old: &Value, input: &Value) -> Result<Map<String, Value>, String> {
    let (had, mut input) = (packages(old), input.clone());
    match packages(&input).as_slice() {
        [] => had
            .iter()
            .for_each(|package| input[*package] = without_settings(&old[*package])),
        given if given == had => {}
        _ => return Err("the type of the packager cannot be changed".to_owned()),
    }
    let mut updated = fill(ENDPOINT, &input)?;
    for kept in ["id", "channelId", "tags", "arn", "createdAt"] {
        updated.insert(kept.to_owned(), old[kept].clone());
    }
    Ok(updated)
}

/// The part of a packager that stays if an update does not name it: CMAF's manifests with their
/// ids.
fn without_settings(package: &Value) -> Value {
    let Some(manifests) = package["hlsManifests"].as_array() else {
        return json!({});
    };
    let ids: Vec<_> = manifests
        .iter()
        .map(|manifest| json!({"id": manifest["id"]}))
        .collect();
    json!({"hlsManifests": ids})
}

/// The manifest's name and the file of a path, if HLS is served there. The path is next to the
/// endpoint's manifest, or below the id of a CMAF manifest.
pub(super) fn manifest(endpoint: &Value, path: &str) -> Option<(String, String)> {
    let name = endpoint["manifestName"].as_str()?.to_owned();
    if !endpoint["hlsPackage"].is_null() {
        return Some((name, path.to_owned()));
    }
    let (id, file) = path.split_once('/')?;
    let manifest = endpoint["cmafPackage"]["hlsManifests"]
        .as_array()?
        .iter()
        .find(|manifest| manifest["id"] == id)?;
    Some((
        manifest["manifestName"]
            .as_str()
            .map_or(name, str::to_owned),
        file.to_owned(),
    ))
}

/// The definition with the URLs below `base`.
pub(super) fn with_urls(endpoint: Map<String, Value>, base: &str) -> Value {
    let mut endpoint = Value::Object(endpoint);
    let name = endpoint["manifestName"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    // With CMAF, only the manifests of an endpoint have URLs (AWS CLI, example of
    // create-origin-endpoint).
    let url = match packages(&endpoint).as_slice() {
        ["hlsPackage"] => format!("{base}/{name}.m3u8"),
        ["dashPackage"] => format!("{base}/{name}.mpd"),
        ["mssPackage"] => format!("{base}/{name}.ism/Manifest"),
        _ => String::new(),
    };
    endpoint["url"] = json!(url);
    let channel = endpoint["channelId"].clone();
    if let Some(cmaf) = endpoint.get_mut("cmafPackage") {
        // The model documents this default and the one of a manifest's name.
        if cmaf["segmentPrefix"].is_null() {
            cmaf["segmentPrefix"] = channel;
        }
        for manifest in cmaf["hlsManifests"].as_array_mut().into_iter().flatten() {
            let name = manifest["manifestName"]
                .as_str()
                .unwrap_or(&name)
                .to_owned();
            let id = manifest["id"].as_str().unwrap_or_default();
            manifest["url"] = json!(format!("{base}/{id}/{name}.m3u8"));
            manifest["manifestName"] = json!(name);
        }
    }
    endpoint
}

fn packages(endpoint: &Value) -> Vec<&'static str> {
    PACKAGES
        .into_iter()
        .filter(|package| !endpoint[package].is_null())
        .collect()
}
