//! AWS Elemental MediaPackage v1: origin endpoints, and the streams that they serve.

mod definition;
mod endpoints;
mod fields;
mod origin;
mod protocol;

pub use endpoints::{Endpoints, Reply, Source};

use crate::server::{Server, to_its_end};
use crate::service::Service;
use crate::{Traffic, rest};

/// A running MediaPackage. It ends when dropped. Its content is that of the [`Endpoints`] it
/// dereferences to.
///
/// It answers `CreateOriginEndpoint`, `DescribeOriginEndpoint`, `UpdateOriginEndpoint`,
/// `DeleteOriginEndpoint` and `ListOriginEndpoints`, signed with
/// [`ACCESS_KEY_ID`](crate::ACCESS_KEY_ID) for the stand-in's region; and, at another address, the
/// GETs of players. In the [`Traffic`] the former are calls to `mediapackage`, the latter to
/// `origin`.
pub type MediaPackage = Service<Endpoints>;

impl MediaPackage {
    /// Starts a MediaPackage without channels.
    pub fn start(traffic: &Traffic) -> Self {
        let endpoints = Endpoints::default();
        let origin = Server::start("origin", None, {
            let (traffic, endpoints) = (traffic.clone(), endpoints.clone());
            move |request| to_its_end(origin::answer(traffic.clone(), endpoints.clone(), request))
        });
        endpoints.serve_from(&format!("http://{}", origin.address()));
        rest::serve("mediapackage", traffic, endpoints, protocol::route).beside(origin)
    }

    /// What stands in front of the endpoint of this id as a CDN would: below any path it serves the
    /// endpoint's files. So it serves, too, what another MediaPackage has given a URL, of which
    /// there is no more than its API.
    pub fn cdn_url(&self, id: &str) -> String {
        format!("{}/cdn/{id}", self.origin_url())
    }
}
