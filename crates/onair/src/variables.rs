//! The variables of the environment. All of onair's begin with `ONAIR_`.

use crate::cli;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use std::env;
use std::ffi::{OsStr, OsString};

/// What the daemon read when it was a program of its own. They are generic names, which a shell may set for other
/// reasons: none of them is taken.
const FORMER: [&str; 7] = ["DIR", "TARGET", "KEEP_WINDOW", "KEEP", "ON_LOST", "REPORT_EVERY", "LOG"];
const PUBLISH_LIVE: &str = "publish-live";
const PREFIX: &str = "ONAIR_";

/// An empty variable counts as not set: a file of variables cannot leave one out as easily.
pub(crate) fn without_empty(command: Command) -> Command {
    let drop_empty = |arg: Arg| match arg.get_env() {
        Some(name) if env::var_os(name).is_some_and(|value| value.is_empty()) => {
            arg.env(None::<&'static str>)
        }
        _ => arg,
    };
    command.mut_subcommands(|subcommand| subcommand.mut_args(drop_empty))
}

/// A warning about former names that are set while the new ones are not, if this command line would have read them.
pub(crate) fn old_names(line: &[OsString]) -> Option<String> {
    let (subcommand, given) = given(line)?;
    if subcommand.get_name() != PUBLISH_LIVE {
        return None;
    }
    let is_missed = |former: &&str| {
        let new = format!("{PREFIX}{former}");
        let arg = subcommand.get_arguments().find(|arg| arg.get_env() == Some(OsStr::new(&new)));
        let is_wanted = arg.is_some_and(|arg| !is_from_line(&given, arg));
        is_wanted && is_set(OsStr::new(former)) && !is_set(OsStr::new(&new))
    };
    let former: Vec<&str> = FORMER.into_iter().filter(is_missed).collect();
    let new: Vec<String> = former.iter().map(|former| format!("{PREFIX}{former}")).collect();
    let (former, new) = (former.join(", "), new.join(", "));
    (!new.is_empty())
        .then(|| format!("former names of variables are set and not read: {former}; set {new} instead"))
}

/// Adds to an error about an argument which variable sets it.
pub(crate) fn named_in(mut error: clap::Error, line: &[OsString]) -> clap::Error {
    let Some((subcommand, given)) = given(line) else { return error };
    let about = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(arg)) => vec![arg.clone()],
        Some(ContextValue::Strings(args)) => args.clone(),
        _ => return error,
    };
    let args = subcommand.get_arguments().filter(|arg| about.contains(&arg.to_string()));
    let names: Vec<_> = args
        .filter(|arg| !is_from_line(&given, arg))
        .filter_map(|arg| arg.get_env())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    if !names.is_empty() {
        let names = names.join(", ");
        let tip = match error.kind() {
            ErrorKind::MissingRequiredArgument => format!("variables can set them: {names}"),
            _ => format!("the value is from the variable {names}"),
        };
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// The subcommand of a command line, and what of it could be understood. None where help or the version is asked for.
fn given(line: &[OsString]) -> Option<(Command, ArgMatches)> {
    let command = without_empty(cli::command()).ignore_errors(true);
    let (name, given) = command.try_get_matches_from(line).ok()?.remove_subcommand()?;
    // Only what is built can be compared with the names in an error.
    let mut whole = cli::command();
    whole.build();
    Some((whole.find_subcommand(name)?.clone(), given))
}

fn is_from_line(given: &ArgMatches, arg: &Arg) -> bool {
    given.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
}

fn is_set(name: &OsStr) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty())
}
