//! The exit codes of the program.

use std::process::ExitCode;

/// An exit code. Scripts and systemd rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All work succeeded.
    Done = 0,
    /// Something failed. Another run may succeed.
    Failed = 1,
    /// An argument or a variable is wrong or missing. Another run fails as well.
    Usage = 2,
}

impl Exit {
    const ALL: [(Self, &str); 3] = [
        (Self::Done, "all work succeeded"),
        (
            Self::Failed,
            "something failed; standard error has the reason",
        ),
        (Self::Usage, "an argument or a variable is wrong or missing"),
    ];

    pub(crate) fn success_if(is_done: bool) -> Self {
        if is_done { Self::Done } else { Self::Failed }
    }

    /// clap returns help and version as errors, but they are successes.
    pub(crate) fn of(error: &clap::Error) -> Self {
        if error.use_stderr() {
            Self::Usage
        } else {
            Self::Done
        }
    }

    /// For `--help` and the man pages.
    pub(crate) fn explained() -> String {
        let lines = Self::ALL.map(|(exit, meaning)| format!("\n  {}  {meaning}", exit as u8));
        format!("Exit codes:{}", lines.concat())
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
