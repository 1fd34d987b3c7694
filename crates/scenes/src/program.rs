//! Programs that run for the time of a scene.

use crate::binary;
use anyhow::Result;
use stand_in::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};
use std::io;
use std::ops::{Deref, DerefMut};
use std::process::{Child, Command};

/// The environment that a program with an AWS SDK needs, in addition to an endpoint URL.
pub const CREDENTIALS: [(&str, &str); 4] = [
    ("AWS_REGION", REGION),
    ("AWS_DEFAULT_REGION", REGION),
    ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
    ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
];

/// A subcommand of `onair`.
///
/// # Errors
///
/// The program has not been built.
pub fn onair(subcommand: &str) -> Result<Command> {
    let mut command = Command::new(binary("onair")?);
    command.arg(subcommand);
    Ok(command)
}

/// A running program. It is killed when dropped.
pub struct Program(Child);

impl Program {
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    /// Kills the process as `kill -9` does, and waits for its end.
    pub fn kill(&mut self) {
        // The process may have ended before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Deref for Program {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Program {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}
