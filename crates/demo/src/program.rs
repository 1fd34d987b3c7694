//! Programs that run during the demo.

use anyhow::Context as _;
use scenes::program::Program;
use std::fs::File;
use std::io::Write as _;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

/// The number of log lines in the error of a program that failed.
const LAST_LINES: usize = 3;

/// A running program whose output is written to a file.
pub(crate) struct LoggedProgram {
    program: Program,
    log: PathBuf,
}

impl LoggedProgram {
    /// Starts a command, which ends with this program even if this one is killed. Appends to an
    /// existing log.
    pub(crate) fn start(command: &Command, log: PathBuf) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(&log);
        let file = file.with_context(|| log.display().to_string())?;
        let mut bound = Command::new("setpriv");
        bound
            .args(["--pdeathsig", "KILL"])
            .arg(command.get_program())
            .args(command.get_args());
        // Without the variables of the caller, which may be for a real bucket.
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

    /// The exit status, if the program has ended.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.program.try_wait()?)
    }

    /// Writes this to its standard input.
    pub(crate) fn type_in(&mut self, keys: &[u8]) -> anyhow::Result<()> {
        let mut input = self
            .program
            .stdin
            .take()
            .context("its standard input is closed")?;
        Ok(input.write_all(keys)?)
    }

    /// The last lines of its log.
    pub(crate) fn last_lines(&self) -> String {
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
