//! Programs that run for as long as a scene needs them.

use crate::binary;
use anyhow::Result;
use stand_in::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};
use std::io;
use std::ops::{Deref, DerefMut};
use std::process::{Child, Command};

/// What a program that uses an SDK of AWS needs in its environment, beside an endpoint's URL.
pub const CREDENTIALS: [(&str, &str); 4] = [
    ("AWS_REGION", REGION),
    ("AWS_DEFAULT_REGION", REGION),
    ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
    ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
];

/// A command of On Air, as an operator enters it.
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
    /// Starts it.
    ///
    /// # Errors
    ///
    /// The program does not exist, or cannot be run.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    /// Ends it as `kill -9` does, and waits for its end.
    pub fn kill(&mut self) {
        // What has ended already needs no killing.
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
