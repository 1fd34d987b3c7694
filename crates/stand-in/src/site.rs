//! What viewers see of the buckets.

use bytes::Bytes;
use hyper::{Request, StatusCode};

use crate::Buckets;
use crate::rest::decoded;
use crate::server::Server;
use crate::web::File;

/// A web server on the objects of an [`S3`](crate::S3), as a CloudFront distribution would be:
/// without signatures, with the stored `Content-Type` and `Cache-Control`, for pages of any origin.
/// It ends when dropped. Its requests are those of viewers, and are no part of the
/// [`Traffic`](crate::Traffic).
pub struct Site(Server);

impl Site {
    /// Starts to serve `GET /<bucket>/<key>`; a query is ignored, as the steering requests of
    /// players have one.
    pub fn start(buckets: &Buckets) -> Self {
        let buckets = buckets.clone();
        Self(Server::start(
            "site",
            None,
            move |request: Request<Bytes>| {
                let path = decoded(request.uri().path());
                // Where an origin access control may not list, S3 does not tell a missing object
                // from a forbidden one (S3 API reference, GetObject, "Permissions").
                let file =
                    read(&buckets, &path).unwrap_or_else(|| File::empty(StatusCode::FORBIDDEN));
                std::future::ready(file.answer(request.method()))
            },
        ))
    }

    /// What a bucket's name follows, behind a slash.
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
