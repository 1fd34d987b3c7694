//! Environment variables. All variables of onair begin with `ONAIR_`.

use crate::cli;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, Error};
use std::any::TypeId;
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Variables that publish-live read before it was a subcommand. The names are generic and may be
/// set for other reasons, so their values are ignored.
const FORMER: [&str; 7] = [
    "DIR",
    "TARGET",
    "KEEP_WINDOW",
    "KEEP",
    "ON_LOST",
    "REPORT_EVERY",
    "LOG",
];
const PUBLISH_LIVE: &str = "publish-live";
const PREFIX: &str = "ONAIR_";

/// Treats an empty variable as not set, so that a line of an environment file can stay.
pub(crate) fn without_empty(command: Command) -> Command {
    let drop_empty = |arg: Arg| match arg.get_env() {
        Some(name) if env::var_os(name).is_some_and(|value| value.is_empty()) => {
            arg.env(None::<&'static str>)
        }
        _ => arg,
    };
    command.mut_subcommands(|subcommand| subcommand.mut_args(drop_empty))
}

/// A warning about former names that are set, if neither the command line nor the new name sets the
/// argument. Only for command lines that clap read to the end.
pub(crate) fn former_names_warning(line: &[OsString]) -> Option<String> {
    let (subcommand, given) = given(line)?;
    if subcommand.get_name() != PUBLISH_LIVE {
        return None;
    }
    let is_missed = |former: &&str| {
        let new = format!("{PREFIX}{former}");
        let arg = subcommand
            .get_arguments()
            .find(|arg| arg.get_env() == Some(OsStr::new(&new)));
        let is_wanted = arg.is_some_and(|arg| !is_from_line(&given, arg));
        is_wanted && is_set(OsStr::new(former)) && !is_set(OsStr::new(&new))
    };
    let former: Vec<&str> = FORMER.into_iter().filter(is_missed).collect();
    let new: Vec<String> = former
        .iter()
        .map(|former| format!("{PREFIX}{former}"))
        .collect();
    let (former, new) = (former.join(", "), new.join(", "));
    (!new.is_empty()).then(|| {
        format!("former names of variables are set and not read: {former}; set {new} instead")
    })
}

/// Adds the name of the variable to an error about an argument that a variable sets.
pub(crate) fn named_in(error: Error, line: &[OsString]) -> Error {
    match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            with_tip(error, line, "variables can set them:", |_, arg| {
                arg.get_env().is_some()
            })
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidValue).cloned()
            else {
                return error;
            };
            with_tip(
                error,
                line,
                "the value is from the variable",
                |given, arg| {
                    let value = arg.get_env().and_then(env::var_os);
                    !is_from_line(given, arg)
                        && value.is_some_and(|value| value.to_string_lossy() == wrong)
                },
            )
        }
        ErrorKind::InvalidUtf8 => not_utf_8(line).unwrap_or(error),
        _ => error,
    }
}

/// Adds a tip with the variables of the arguments in the error for which `holds` is true.
fn with_tip(
    mut error: Error,
    line: &[OsString],
    tip: &str,
    holds: impl Fn(&ArgMatches, &Arg) -> bool,
) -> Error {
    let Some((subcommand, given)) = given(line) else {
        return error;
    };
    let about = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(arg)) => vec![arg.clone()],
        Some(ContextValue::Strings(args)) => args.clone(),
        _ => return error,
    };
    let args = subcommand
        .get_arguments()
        .filter(|arg| about.contains(&arg.to_string()));
    let names: Vec<_> = args
        .filter(|arg| holds(&given, arg))
        .filter_map(|arg| arg.get_env())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    if !names.is_empty() {
        let tip = format!("{tip} {}", names.join(", "));
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![tip.into()]),
        );
    }
    error
}

/// clap's error about a value that is not UTF-8 does not name the argument. The value is from the
/// command line if clap accepts the line with a UTF-8 value in its place. Otherwise it is from a
/// variable. (The name of a folder may be other than UTF-8.)
fn not_utf_8(line: &[OsString]) -> Option<Error> {
    let mut readable = line.to_vec();
    for place in (0..line.len()).filter(|place| line[*place].to_str().is_none()) {
        let value = line[place].to_string_lossy().into_owned();
        readable[place] = value.clone().into();
        let command = without_empty(cli::command());
        let is_accepted = command
            .try_get_matches_from(&readable)
            .map_or_else(|error| error.kind() != ErrorKind::InvalidUtf8, |_| true);
        if is_accepted {
            let option = line[place - 1]
                .to_str()
                .filter(|before| before.starts_with("--"));
            let option = option
                .map(|option| format!("{option} "))
                .unwrap_or_default();
            return Some(utf_8_error(&format!("the argument '{option}{value}'"), ""));
        }
    }
    let (subcommand, given) = given(line)?;
    let wrong = subcommand.get_arguments().find_map(|arg| {
        let name = arg.get_env()?;
        let value = env::var_os(name).filter(|value| value.to_str().is_none())?;
        let is_path = arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
        (!is_path && !is_from_line(&given, arg)).then_some((name, value))
    });
    let (name, value) = wrong?;
    let value = format!(": '{}'", value.to_string_lossy());
    Some(utf_8_error(
        &format!("the variable {}", name.to_string_lossy()),
        &value,
    ))
}

fn utf_8_error(object: &str, value: &str) -> Error {
    Error::raw(
        ErrorKind::InvalidUtf8,
        format!("{object} is not UTF-8{value}\n"),
    )
}

/// The subcommand of a command line, and its arguments as far as clap could parse them. `None` if
/// the line asks for help or the version.
fn given(line: &[OsString]) -> Option<(Command, ArgMatches)> {
    let command = without_empty(cli::command()).ignore_errors(true);
    let (name, given) = command
        .try_get_matches_from(line)
        .ok()?
        .remove_subcommand()?;
    // Only a built command has the names that are in an error.
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
