//! One daemon on this machine for a folder and a target.

use crate::Error;
use crate::settings::Settings;
use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

/// Nobody else on this machine publishes the same as long as this is held: the system takes it back
/// however the process ends.
#[derive(Debug)]
pub(crate) struct SingleInstance {
    _listener: UnixListener,
}

/// Claims to be the only one: by a name for a socket, for which no file is needed and no right to
/// write one.
pub(crate) fn claim(settings: &Settings) -> Result<SingleInstance, Error> {
    let Settings { dir, target, .. } = settings;
    let target = target.to_string();
    // Elsewhere the same bucket is another one.
    let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].map(|name| env::var(name).ok());
    let mut hasher = DefaultHasher::new();
    (dir, &target, endpoint).hash(&mut hasher);
    let address =
        SocketAddr::from_abstract_name(format!("onair/publish-live/{:x}", hasher.finish()));
    match address.and_then(|address| UnixListener::bind_addr(&address)) {
        Ok(listener) => Ok(SingleInstance {
            _listener: listener,
        }),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(Error::Twice {
            dir: dir.display().to_string(),
            target,
        }),
        Err(error) => Err(Error::Folder(format!(
            "a name for a socket cannot be had: {error}"
        ))),
    }
}
