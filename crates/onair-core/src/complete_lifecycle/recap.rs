//! What a playbook did, by its own last lines.

use serde::Serialize;

/// The sum of a playbook's recap over its hosts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PlayRecap {
    /// Hosts that the playbook ran on: one, or it ran on nothing.
    pub hosts: u64,
    /// Tasks that are as they should be, changed or not.
    pub ok: u64,
    /// Tasks that changed something, or in check mode would.
    pub changed: u64,
    /// Hosts that could not be reached.
    pub unreachable: u64,
    /// Tasks that failed.
    pub failed: u64,
}

/// When an instance passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassRule {
    /// Nothing failed, and the host was reached.
    NothingFailed,
    /// That, and nothing was, or would be, changed.
    NothingChanged,
}

impl PassRule {
    /// `Err` says what is against it.
    pub(super) fn judge(self, recap: &PlayRecap) -> Result<(), String> {
        let PlayRecap {
            hosts,
            changed,
            unreachable,
            failed,
            ..
        } = recap;
        let figures = format!("changed={changed} unreachable={unreachable} failed={failed}");
        if *hosts == 0 {
            return Err("the playbook ran on no host".to_owned());
        }
        let passes = match self {
            Self::NothingFailed => *failed == 0 && *unreachable == 0,
            Self::NothingChanged => *failed == 0 && *unreachable == 0 && *changed == 0,
        };
        passes
            .then_some(())
            .ok_or_else(|| format!("the playbook's recap does not pass: {figures}"))
    }
}

/// How SSM's agent ends what it cut off at 24,000 characters.
const CUT_OFF: &str = "--output truncated--";

/// Whether an output is not there to its end.
pub(super) fn is_cut_off(stdout: &str) -> bool {
    stdout.trim_end().ends_with(CUT_OFF)
}

/// The last recap of an output. A recap is the line `PLAY RECAP ***` and a line `host : ok=3
/// changed=1 …` for each host (Ansible's default callback). `None` if there is none, or if a line
/// of it is not such a line: it may be cut off.
pub fn recap(stdout: &str) -> Option<PlayRecap> {
    let lines: Vec<&str> = stdout.lines().collect();
    let start = lines
        .iter()
        .rposition(|line| line.starts_with("PLAY RECAP *"))?;
    let mut recap = PlayRecap::default();
    for line in lines[start + 1..]
        .iter()
        .take_while(|line| !line.trim().is_empty())
    {
        let (_host, figures) = line.split_once(" : ")?;
        let figure = |name: &str| {
            let mut values = figures
                .split_whitespace()
                .filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            let value = values.next()?.parse::<u64>().ok()?;
            values.next().is_none().then_some(value)
        };
        // The last of the seven: a line without it is cut off.
        figure("ignored")?;
        let add = |sum: &mut u64, name: &str| {
            *sum = sum.saturating_add(figure(name)?);
            Some(())
        };
        add(&mut recap.ok, "ok")?;
        add(&mut recap.changed, "changed")?;
        add(&mut recap.unreachable, "unreachable")?;
        add(&mut recap.failed, "failed")?;
        recap.hosts += 1;
    }
    Some(recap)
}
