//! Amazon EC2 Auto Scaling and its protocol (smithy.io, "AWS Query protocol").

mod groups;
mod xml;

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Response, StatusCode};

use crate::rest::{self, ServiceError, decoded};
use crate::server::{HandlerResult, whole};
use crate::service::Service;
use crate::traffic::{CallTarget, Traffic};
use xml::Xml;

pub use groups::Groups;

const API: rest::Api = rest::Api {
    service: "autoscaling",
    usual_code,
};

/// A running Auto Scaling, which stops when dropped. It dereferences to its content, the
/// [`Groups`].
///
/// It answers `DescribeAutoScalingGroups`, `DescribeAutoScalingInstances`, `DescribeWarmPool`,
/// `DescribeScalingActivities`, `CompleteLifecycleAction` and `RecordLifecycleActionHeartbeat`.
/// Requests are signed with [`ACCESS_KEY_ID`](crate::ACCESS_KEY_ID) for the stand-in's region.
pub type AutoScaling = Service<Groups>;

impl AutoScaling {
    /// Starts an Auto Scaling without groups.
    pub fn start(traffic: &Traffic) -> Self {
        Self::serve("autoscaling", traffic, Groups::default(), answer)
    }
}

/// Auto Scaling has no specific code for most errors.
fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::coded("ValidationError", message)
}

/// The fields of a request by name. A list has `name.member.1` and so on.
struct Form(BTreeMap<String, String>);

impl Form {
    fn read(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        Self(
            pairs
                .map(|(name, value)| (decoded(name), decoded(&value.replace('+', " "))))
                .collect(),
        )
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    fn list(&self, name: &str) -> Vec<&str> {
        (1..)
            .map_while(|number| {
                self.0
                    .get(&format!("{name}.member.{number}"))
                    .map(String::as_str)
            })
            .collect()
    }

    /// Returns the requested page of `all` in a member of this name, with the token of the next
    /// page.
    fn page(
        &self,
        name: &'static str,
        all: Vec<Xml>,
        most: usize,
    ) -> Result<Vec<(&'static str, Xml)>, ServiceError> {
        let max = match self.get("MaxRecords") {
            "" => most,
            text => text
                .parse()
                .ok()
                .filter(|max| (1..=most).contains(max))
                .ok_or_else(|| invalid(format!("MaxRecords must be between 1 and {most}")))?,
        };
        let start = match self.get("NextToken") {
            "" => 0,
            token => token
                .parse()
                .map_err(|_| invalid("The token is not valid"))?,
        };
        let is_last = all.len().saturating_sub(start) <= max;
        let mut members = vec![(
            name,
            Xml::List(all.into_iter().skip(start).take(max).collect()),
        )];
        if !is_last {
            members.push(("NextToken", Xml::text(&(start + max))));
        }
        Ok(members)
    }
}

async fn answer(groups: Groups, traffic: Traffic, request: Request<Bytes>) -> HandlerResult {
    let form = Form::read(request.body());
    let operation = form.get("Action").to_owned();
    let key = match operation.as_str() {
        "CompleteLifecycleAction" | "RecordLifecycleActionHeartbeat" => form.get("InstanceId"),
        "DescribeAutoScalingInstances" => form.get("InstanceIds.member.1"),
        "DescribeAutoScalingGroups" => form.get("AutoScalingGroupNames.member.1"),
        _ => form.get("AutoScalingGroupName"),
    };
    let target = CallTarget {
        operation: operation.clone(),
        key: key.to_owned(),
        ..CallTarget::default()
    };
    let act = || groups.act(&operation, &form);
    let outcome = rest::pass(API, &traffic, request.headers(), target, act).await?;
    let (status, body) = match outcome {
        Ok(result) => (StatusCode::OK, xml::response(&operation, result)),
        Err(ServiceError {
            status,
            code,
            message,
        }) => (status, xml::error(status, code, &message)),
    };
    let head = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "text/xml");
    head.body(whole(body)).map_err(io::Error::other)
}

/// Auto Scaling API reference, "Common Errors".
fn usual_code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "ValidationError",
        403 => "AccessDenied",
        429 => "Throttling",
        503 => "ServiceUnavailable",
        _ => "InternalFailure",
    }
}
