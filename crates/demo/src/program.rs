//! Programs that run beside this one, and no longer.

use anyhow::Context as _;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

/// How many of its last lines are shown of a program that ended by itself.
const LAST_LINES: usize = 3;

/// A running program. It is killed when dropped.
pub(crate) struct Program {
    child: Child,
    /// What it says goes there.
    log: PathBuf,
}

impl Program {
    /// Starts what [`bound`] made. An earlier log of the same name is written on.
    pub(crate) fn start(command: &mut Command, log: PathBuf) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(&log);
        let file = file.with_context(|| log.display().to_string())?;
        let command = command.stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().context("util-linux (setpriv) is missing, or cannot be run")?;
        Ok(Self { child, log })
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Types this into its terminal.
    pub(crate) fn type_in(&mut self, keys: &[u8]) -> anyhow::Result<()> {
        let mut input = self.child.stdin.take().context("it has no input any more")?;
        Ok(input.write_all(keys)?)
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        // What has ended already needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What it said last.
    pub(crate) fn last_words(&self) -> String {
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join(" | ")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command that ends with this program even if this one is killed and cannot see to it.
pub(crate) fn bound(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}
