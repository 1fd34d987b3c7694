//! Reads the recap at the end of a playbook's output.

use serde::Serialize;

/// The recap of a playbook, added up over its hosts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PlayRecap {
    /// Hosts on which the playbook ran. 0 if its inventory matched no host.
    pub hosts: u64,
    /// Tasks that succeeded, with or without a change.
    pub ok: u64,
    /// Tasks that changed something. In check mode: tasks that would change something.
    pub changed: u64,
    /// Hosts that Ansible could not connect to.
    pub unreachable: u64,
    /// Tasks that failed.
    pub failed: u64,
}

/// The reason for which an output has no recap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRecap {
    /// The output is longer than SSM stores.
    CutOff,
    /// The output is complete, and has no recap or a malformed one.
    Missing,
}

/// Which recap passes (`PASS_RULE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassRule {
    /// `failed=0`: no task failed, and the host was reachable.
    NothingFailed,
    /// `changed=0`: in addition, no task changed something.
    NothingChanged,
}

impl PassRule {
    /// Checks a recap.
    ///
    /// # Errors
    ///
    /// The reason for which the recap does not pass, as a sentence.
    pub fn judge(self, recap: &PlayRecap) -> Result<(), String> {
        let PlayRecap {
            hosts,
            changed,
            unreachable,
            failed,
            ..
        } = *recap;
        if hosts == 0 {
            return Err("the playbook ran on no host".to_owned());
        }
        let passes = match self {
            Self::NothingFailed => failed == 0 && unreachable == 0,
            Self::NothingChanged => failed == 0 && unreachable == 0 && changed == 0,
        };
        if passes {
            return Ok(());
        }
        Err(format!(
            "the playbook's recap does not pass: changed={changed} unreachable={unreachable} failed={failed}"
        ))
    }
}

/// The SSM agent ends an output with this text if it cuts the output off, at 24,000 characters.
const CUT_OFF: &str = "--output truncated--";

impl PlayRecap {
    /// Reads the last recap of an output: the line `PLAY RECAP ***`, and a line `host : ok=3
    /// changed=1 …` for each host (Ansible's default callback).
    ///
    /// # Errors
    ///
    /// [`NoRecap`] if there is none, or if one of its lines is malformed or incomplete.
    pub fn parse(stdout: &str) -> Result<Self, NoRecap> {
        let is_cut_off = stdout.trim_end().ends_with(CUT_OFF);
        Self::find(stdout).ok_or(if is_cut_off {
            NoRecap::CutOff
        } else {
            NoRecap::Missing
        })
    }

    fn find(stdout: &str) -> Option<Self> {
        let lines: Vec<&str> = stdout.lines().collect();
        let heading = lines
            .iter()
            .rposition(|line| line.starts_with("PLAY RECAP *"))?;
        let hosts = lines[heading + 1..]
            .iter()
            .take_while(|line| !line.trim().is_empty());
        hosts
            .map(|line| Self::of_host(line))
            .try_fold(Self::default(), |sum, host| Some(sum.plus(host?)))
    }

    fn of_host(line: &str) -> Option<Self> {
        let (_name, counts) = line.split_once(" : ")?;
        // The last of the seven counts. If it is missing, the line was cut off.
        count(counts, "ignored")?;
        Some(Self {
            hosts: 1,
            ok: count(counts, "ok")?,
            changed: count(counts, "changed")?,
            unreachable: count(counts, "unreachable")?,
            failed: count(counts, "failed")?,
        })
    }

    fn plus(self, other: Self) -> Self {
        Self {
            hosts: self.hosts.saturating_add(other.hosts),
            ok: self.ok.saturating_add(other.ok),
            changed: self.changed.saturating_add(other.changed),
            unreachable: self.unreachable.saturating_add(other.unreachable),
            failed: self.failed.saturating_add(other.failed),
        }
    }
}

/// The number behind `name=`, which must appear exactly once.
fn count(counts: &str, name: &str) -> Option<u64> {
    let mut values = counts
        .split_whitespace()
        .filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let value = values.next()?.parse().ok()?;
    values.next().is_none().then_some(value)
}
