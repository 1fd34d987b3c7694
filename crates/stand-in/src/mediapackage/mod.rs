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

/// A running MediaPackage, which stops when dropped. It dereferences to its content, the
/// [`Endpoints`].
///
/// It answers `CreateOriginEndpoint`, `DescribeOriginEndpoint`, `UpdateOriginEndpoint`,
/// `DeleteOriginEndpoint` and `ListOriginEndpoints`. Requests are signed with
/// [`ACCESS_KEY_ID`](crate::ACCESS_KEY_ID) for the stand-in's region. At another address it answers
/// the GETs of players. In the [`Traffic`], API requests are calls to `mediapackage` and GETs of
/// players are calls to `origin`.
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

    /// The URL of a CDN in front of this endpoint. The CDN serves the endpoint's files below any
    /// path, and so also below the path of a URL from another MediaPackage of which only the API
    /// exists.
    pub fn cdn_url(&self, id: &str) -> String {
        format!("{}/cdn/{id}", self.origin_url())
    }
}
