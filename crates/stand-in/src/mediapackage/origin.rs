//! The data plane: the files that players get.

use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path};
use std::time::SystemTime;

use bytes::Bytes;
use hyper::{Request, StatusCode};

use super::endpoints::Serving;
use super::{Endpoints, Reply, Source};
use crate::live::{PLAYLIST, SEGMENT};
use crate::rest::decoded;
use crate::server::HandlerResult;
use crate::traffic::{CallTarget, InjectedFailure, Traffic};
use crate::web::File;

pub(super) async fn answer(
    traffic: Traffic,
    endpoints: Endpoints,
    request: Request<Bytes>,
) -> HandlerResult {
    let arrival = traffic.arrive("origin");
    let path = decoded(request.uri().path());
    let target = CallTarget {
        operation: request.method().to_string(),
        key: path.clone(),
        ..CallTarget::default()
    };
    let file = match traffic.before(&arrival, target).await {
        Ok(()) => find(&endpoints, &path).await,
        Err(InjectedFailure::Status(status, _)) => File::empty(status),
        Err(InjectedFailure::Reset) => nothing(),
    };
    traffic.after(&arrival).await?;
    file.answer(request.method())
}

async fn find(endpoints: &Endpoints, path: &str) -> File {
    let Some((uuid, path)) = endpoint_of(endpoints, path) else {
        return nothing();
    };
    match endpoints.reply(&uuid, path) {
        Some(Reply::Status(status)) => return refused(status),
        Some(Reply::Text(text)) => return File::new(PLAYLIST, "max-age=1", text),
        Some(Reply::Redirect(url)) => return File::redirect(url),
        Some(Reply::Late(delay)) => tokio::time::sleep(delay).await,
        None => {}
    }
    let found = match endpoints.serving(&uuid, path) {
        Serving::Nothing => None,
        Serving::Denied(status) => Some(refused(status)),
        Serving::Stream {
            source: Source::Synthetic(live),
            timeline,
            manifest,
            file,
        } => live.file(&manifest, &file, &timeline, SystemTime::now()),
        Serving::Stream {
            source: Source::Directory { path, master },
            manifest,
            file,
            ..
        } => read(
            &path,
            if file == format!("{manifest}.m3u8") {
                &master
            } else {
                &file
            },
        ),
    };
    found.unwrap_or_else(nothing)
}

/// The uuid of the endpoint in a path, and the rest of the path.
fn endpoint_of<'a>(endpoints: &Endpoints, path: &'a str) -> Option<(String, &'a str)> {
    if let Some(behind) = path.strip_prefix("/cdn/") {
        let (id, path) = behind.split_once('/')?;
        return Some((endpoints.uuid(id)?, path.rsplit('/').next()?));
    }
    let (uuid, path) = path.strip_prefix("/out/v1/")?.split_once('/')?;
    Some((uuid.to_owned(), path))
}

/// Reads a file below a folder. A path cannot leave the folder.
fn read(folder: &Path, file: &str) -> Option<File> {
    let path = Path::new(file);
    if !path
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
    {
        return None;
    }
    let body = fs::read(folder.join(path)).ok()?;
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    let content_type = match extension {
        "m3u8" => return Some(File::new(PLAYLIST, "max-age=1", body)),
        "ts" => SEGMENT,
        "mp4" => "video/mp4",
        "m4s" => "video/iso.segment",
        "aac" => "audio/aac",
        "vtt" => "text/vtt",
        _ => "application/octet-stream",
    };
    Some(File::new(content_type, "max-age=86400", body))
}

fn refused(status: u16) -> File {
    File::empty(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}

fn nothing() -> File {
    File::empty(StatusCode::NOT_FOUND)
}
