//! Allows one daemon on this machine for a folder and a target.

use crate::Error;
use crate::settings::Settings;
use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

/// The lock that allows one process per folder and target. Linux releases it however the process
/// ends.
#[derive(Debug)]
pub(crate) struct SingleInstance {
    _listener: UnixListener,
}

/// Takes the lock: the abstract name of a socket, which needs no file and no write permission. The
/// name must never change: otherwise a daemon of an earlier version would not be detected.
pub(crate) fn claim(settings: &Settings) -> Result<SingleInstance, Error> {
    let Settings { dir, target, .. } = settings;
    let target = target.to_string();
    // Another endpoint has another bucket of the same name.
    let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].map(|name| env::var(name).ok());
    let mut hasher = DefaultHasher::new();
    (dir, &target, endpoint).hash(&mut hasher);
    let address =
        SocketAddr::from_abstract_name(format!("onair/publish-live/{:x}", hasher.finish()));
    match address.and_then(|address| UnixListener::bind_addr(&address)) {
        Ok(listener) => Ok(SingleInstance {
            _listener: listener,
        }),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(Error::AlreadyRunning {
            dir: dir.display().to_string(),
            target,
        }),
        Err(error) => Err(Error::Folder(format!(
            "{} cannot be locked: {error}",
            dir.display()
        ))),
    }
}
