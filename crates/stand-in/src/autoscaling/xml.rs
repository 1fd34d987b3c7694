//! XML responses of the Query protocol.

use hyper::StatusCode;

/// A value in a response.
pub(super) enum Xml {
    Text(String),
    List(Vec<Xml>),
    Structure(Vec<(&'static str, Xml)>),
}

impl Xml {
    pub(super) fn text<T: ToString + ?Sized>(value: &T) -> Self {
        Self::Text(value.to_string())
    }

    fn write(&self, to: &mut String) {
        match self {
            Self::Text(text) => to.push_str(&escaped(text)),
            Self::List(members) => members
                .iter()
                .for_each(|member| element(to, "member", member)),
            Self::Structure(members) => members
                .iter()
                .for_each(|(name, member)| element(to, name, member)),
        }
    }
}

fn element(to: &mut String, name: &str, value: &Xml) {
    to.push_str(&format!("<{name}>"));
    value.write(to);
    to.push_str(&format!("</{name}>"));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A complete successful response.
pub(super) fn response(operation: &str, result: Vec<(&'static str, Xml)>) -> String {
    let mut body = String::new();
    Xml::Structure(result).write(&mut body);
    format!(
        "<{operation}Response xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\">\
         <{operation}Result>{body}</{operation}Result>{ID}</{operation}Response>"
    )
}

/// A complete error response.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> String {
    let fault = if status.is_server_error() {
        "Receiver"
    } else {
        "Sender"
    };
    let message = escaped(message);
    format!(
        "<ErrorResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\"><Error><Type>{fault}</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>{REQUEST}</RequestId></ErrorResponse>"
    )
}

const REQUEST: &str = "00000000-0000-4000-8000-000000000000";
const ID: &str = "<ResponseMetadata><RequestId>00000000-0000-4000-8000-000000000000</RequestId></ResponseMetadata>";
