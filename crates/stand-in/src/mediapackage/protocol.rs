//! The control plane: which request is which operation (model of MediaPackage 2017-10-12, in
//! botocore).

use hyper::{Method, StatusCode};
use serde_json::Value;

use super::Endpoints;
use crate::rest::{Operation, RestRequest, ServiceError};

/// The largest page (the model's `MaxResults`). AWS does not document the default.
const PAGE: usize = 1000;

pub(super) fn route(endpoints: &Endpoints, mut ask: RestRequest) -> Option<Operation> {
    let endpoints = endpoints.clone();
    let path = std::mem::take(&mut ask.path);
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    Some(match (&ask.method, path.as_slice()) {
        (&Method::GET, ["origin_endpoints"]) => {
            let channel = ask.query.get("channelId").cloned().unwrap_or_default();
            Operation::new("ListOriginEndpoints", &channel, move |channel| {
                let page = ask.page("originEndpoints", endpoints.list(channel), PAGE);
                Ok((StatusCode::OK, page.map_err(ServiceError::unprocessable)?))
            })
        }
        (&Method::POST, ["origin_endpoints"]) => {
            let id = ask.body["id"].as_str().unwrap_or_default().to_owned();
            Operation::new("CreateOriginEndpoint", &id, move |_| {
                Ok((StatusCode::OK, endpoints.try_create(&ask.body)?))
            })
        }
        (&Method::GET, ["origin_endpoints", id]) => {
            Operation::new("DescribeOriginEndpoint", id, move |id| {
                Ok((StatusCode::OK, endpoints.find(id)?))
            })
        }
        (&Method::PUT, ["origin_endpoints", id]) => {
            Operation::new("UpdateOriginEndpoint", id, move |id| {
                Ok((StatusCode::OK, endpoints.try_update(id, &ask.body)?))
            })
        }
        (&Method::DELETE, ["origin_endpoints", id]) => {
            Operation::new("DeleteOriginEndpoint", id, move |id| {
                endpoints.try_delete(id)?;
                Ok((StatusCode::ACCEPTED, Value::Null))
            })
        }
        _ => return None,
    })
}
