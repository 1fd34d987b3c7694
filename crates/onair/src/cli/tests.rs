#![allow(clippy::too_many_lines, reason = "a test may be longer")]

use super::{NAME, command};
use clap::{Arg, Command};
use std::path::Path;

/// onair itself, and each subcommand.
fn commands() -> Vec<Command> {
    let whole = command();
    let subcommands: Vec<Command> = whole.get_subcommands().cloned().collect();
    [vec![whole], subcommands].concat()
}

/// The command lines of onair in a help text, without pipes and redirections.
fn examples(command: &Command) -> Vec<String> {
    let help = command.clone().render_long_help().to_string();
    let (_, examples) = help.split_once("\nExamples:\n").unwrap_or_default();
    let lines = examples
        .lines()
        .filter_map(|line| line.strip_prefix("    "));
    let programs = lines.flat_map(|line| line.split('|').map(str::trim));
    let programs =
        programs.map(|program| program.strip_prefix("sudo ").unwrap_or(program).to_owned());
    let ours = programs.filter(|program| program.starts_with(&format!("{NAME} ")));
    ours.map(|program| {
        program
            .split('>')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    })
    .collect()
}

/// The arguments of a command, without `--help` and `--version`.
fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    command
        .get_arguments()
        .filter(|arg| !["help", "version"].contains(&arg.get_id().as_str()))
}

#[test]
fn the_command_line_is_consistent() {
    command().debug_assert();
}

#[test]
fn each_help_has_examples_that_clap_accepts_and_the_exit_codes() {
    for of in commands() {
        let name = of.get_name().to_owned();
        let examples = examples(&of);
        assert!(!examples.is_empty(), "{name} --help has no examples");
        for example in &examples {
            // Words in capitals are placeholders.
            let example = example.replace("BUCKET", "my-bucket");
            let parsed = command().try_get_matches_from(example.split_whitespace());
            let is_accepted = parsed
                .is_ok_and(|matches| name == NAME || matches.subcommand_name() == Some(&name))
                || (name == NAME && example.ends_with("--help"));
            assert!(is_accepted, "{name} --help: {example}");
        }
        let help = of.clone().render_long_help().to_string();
        assert!(
            help.contains("\nExit codes:\n  0  all work"),
            "{name} --help does not explain the exit codes"
        );
    }
}

#[test]
fn each_variable_begins_with_onair() {
    let commands = commands();
    let names = commands
        .iter()
        .flat_map(Command::get_arguments)
        .filter_map(Arg::get_env);
    let names: Vec<&str> = names.map(|name| name.to_str().unwrap()).collect();
    assert!(names.contains(&"ONAIR_TARGET"), "{names:?}");
    assert!(
        names.iter().all(|name| name.starts_with("ONAIR_")),
        "{names:?}"
    );
}

/// The guide is `docs/guides/SUBCOMMAND.md`. Subcommands without a guide are in `onair.md`.
#[test]
fn each_argument_is_in_the_guide_with_its_variable_and_default() {
    let guides = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides");
    let guide = |name: &str| std::fs::read_to_string(guides.join(format!("{name}.md")));
    let whole = command();
    let mut missing = Vec::new();
    for of in whole.get_subcommands() {
        let name = of.get_name();
        let (file, text) = match guide(name) {
            Ok(text) => (name, text),
            Err(_) => (NAME, guide(NAME).unwrap()),
        };
        let lacking = arguments(of).flat_map(|arg| missing_in_guide(&text, arg));
        missing.extend(lacking.map(|what| format!("docs/guides/{file}.md, {name}: {what}")));
    }
    assert!(missing.is_empty(), "\n  {}\n", missing.join("\n  "));
}

/// The missing parts of an argument's row in the table of a guide.
fn missing_in_guide(guide: &str, arg: &Arg) -> Vec<String> {
    let name = match arg.get_long() {
        Some(long) => format!("--{long}"),
        None => arg.get_value_names().unwrap_or_default()[0].to_string(),
    };
    let begins = ["`", " "].map(|end| format!("| `{name}{end}"));
    let is_row = |line: &&str| begins.iter().any(|begin| line.starts_with(begin));
    let Some(row) = guide.lines().find(is_row) else {
        return vec![format!("there is no row for {name}")];
    };
    let expected = variable_defaults_and_values(arg).into_iter();
    let expected = expected.map(|text| format!("`{text}`"));
    let missing = expected.filter(|text| !row.contains(text.as_str()));
    missing
        .map(|text| format!("the row of {name} lacks {text}"))
        .collect()
}

fn variable_defaults_and_values(arg: &Arg) -> Vec<String> {
    let has_values = arg.get_action().takes_values() && !arg.is_hide_possible_values_set();
    let values = has_values.then(|| arg.get_possible_values());
    let values = values.unwrap_or_default();
    let values = values.iter().map(|value| value.get_name().to_owned());
    let texts = arg.get_env().into_iter();
    let texts = texts.chain(
        arg.get_default_values()
            .iter()
            .map(clap::builder::OsStr::as_os_str),
    );
    values
        .chain(texts.map(|text| text.to_string_lossy().into_owned()))
        .collect()
}
