//! AWS Elemental MediaPackage v1: origin endpoints, and the streams that they serve.

mod definition;
mod endpoints;
mod fields;
mod origin;
mod protocol;

pub use endpoints::{Endpoints, Reply, Source};

use std::ops::Deref;

use crate::Traffic;
use crate::server::{Server, to_its_end};

/// A running MediaPackage. It ends when dropped. Its content is that of the [`Endpoints`] it dereferences to.
///
/// It answers `CreateOriginEndpoint`, `DescribeOriginEndpoint`, `UpdateOriginEndpoint`, `DeleteOriginEndpoint` and
/// `ListOriginEndpoints`, signed with [`ACCESS_KEY_ID`](crate::ACCESS_KEY_ID) for the stand-in's region; and,
/// at another address, the GETs of players. In the [`Traffic`] the former are calls to `mediapackage`, the
/// latter to `origin`.
pub struct MediaPackage {
    control: Server,
    origin: Server,
    endpoints: Endpoints,
}

impl MediaPackage {
    /// Starts a MediaPackage without channels.
    pub fn start(traffic: &Traffic) -> Self {
        let endpoints = Endpoints::default();
        let origin = Server::start("origin", None, {
            let (traffic, endpoints) = (traffic.clone(), endpoints.clone());
            move |request| to_its_end(origin::answer(traffic.clone(), endpoints.clone(), request))
        });
        endpoints.serve_from(&format!("http://{}", origin.address()));
        let control = crate::rest::start("mediapackage", traffic, {
            let endpoints = endpoints.clone();
            move |ask| protocol::route(&endpoints, ask)
        });
        Self { control, origin, endpoints }
    }

    /// What goes into `AWS_ENDPOINT_URL_MEDIAPACKAGE`.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.control.address())
    }

    /// What the URL of every origin endpoint begins with.
    pub fn origin_url(&self) -> String {
        format!("http://{}", self.origin.address())
    }

    /// What stands in front of the endpoint of this id as a CDN would: below any path it serves the endpoint's files. So
    /// it serves, too, what another MediaPackage has given a URL, of which there is no more than its API.
    pub fn cdn_url(&self, id: &str) -> String {
        format!("{}/cdn/{id}", self.origin_url())
    }
}

impl Deref for MediaPackage {
    type Target = Endpoints;

    fn deref(&self) -> &Endpoints {
        &self.endpoints
    }
}
