//! Programs that run beside this one, and no longer.

use anyhow::Context as _;
use scenes::program::Program;
use std::fs::File;
use std::io::Write as _;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

/// How many of its last lines are shown of a program that ended by itself.
const LAST_LINES: usize = 3;

/// A running program whose output goes into a file.
pub(crate) struct LoggedProgram {
    program: Program,
    log: PathBuf,
}

impl LoggedProgram {
    /// Starts a command, which ends with this program even if this one is killed. An earlier log of
    /// the same name is continued.
    pub(crate) fn start(command: &Command, log: PathBuf) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(&log);
        let file = file.with_context(|| log.display().to_string())?;
        let mut bound = Command::new("setpriv");
        bound
            .args(["--pdeathsig", "KILL"])
            .arg(command.get_program())
            .args(command.get_args());
        // Variables for a real bucket have no meaning here.
        bound
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        bound.envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        bound
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file);
        let program = Program::start(&mut bound);
        Ok(Self {
            program: program.context("util-linux (setpriv) is missing, or cannot be run")?,
            log,
        })
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.program.try_wait()?)
    }

    /// Types this into its terminal.
    pub(crate) fn type_in(&mut self, keys: &[u8]) -> anyhow::Result<()> {
        let mut input = self
            .program
            .stdin
            .take()
            .context("it has no input any more")?;
        Ok(input.write_all(keys)?)
    }

    /// What it wrote last.
    pub(crate) fn last_words(&self) -> String {
        let written = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = written.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join(" | ")
    }
}

impl Deref for LoggedProgram {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

impl DerefMut for LoggedProgram {
    fn deref_mut(&mut self) -> &mut Program {
        &mut self.program
    }
}
