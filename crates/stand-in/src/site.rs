//! The objects of the buckets as viewers get them.

use bytes::Bytes;
use hyper::{Request, StatusCode};

use crate::Buckets;
use crate::rest::decoded;
use crate::server::Server;
use crate::web::File;

/// A web server for the objects of an [`S3`](crate::S3), as a CloudFront distribution is: without
/// signatures, with the stored `Content-Type` and `Cache-Control`, for pages of any origin. It
/// stops when dropped. Its requests are those of viewers; the [`Traffic`](crate::Traffic) does not
/// record them.
pub struct Site(Server);

impl Site {
    /// Starts to serve `GET /<bucket>/<key>`. The query of a request, such as that of steering
    /// requests, is ignored.
    pub fn start(buckets: &Buckets) -> Self {
        let buckets = buckets.clone();
        Self(Server::start(
            "site",
            None,
            move |request: Request<Bytes>| {
                let path = decoded(request.uri().path());
                // Without permission to list, S3 answers a missing object as a forbidden one (S3
                // API reference, GetObject, "Permissions").
                let file =
                    read(&buckets, &path).unwrap_or_else(|| File::empty(StatusCode::FORBIDDEN));
                std::future::ready(file.answer(request.method()))
            },
        ))
    }

    /// The URL before `/<bucket>/<key>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address())
    }
}

fn read(buckets: &Buckets, path: &str) -> Option<File> {
    let (bucket, key) = path.strip_prefix('/')?.split_once('/')?;
    let object = buckets.find(bucket, key)?;
    let content_type = object.content_type.unwrap_or_default();
    Some(File::new(
        &content_type,
        &object.cache_control.unwrap_or_default(),
        object.body,
    ))
}
