//! The parts of `template.yaml` that other rules need, read line by line. Its meaning is checked in
//! `tests/template`.

use super::read;

/// The logical ids of the template's functions.
pub(super) fn functions() -> Vec<String> {
    let template = read("template.yaml");
    let mut functions = Vec::new();
    let mut logical_id = "";
    for line in template.lines().map(without_comment) {
        if let Some(name) = line
            .strip_prefix("  ")
            .and_then(|line| line.strip_suffix(':'))
            && !name.starts_with(' ')
        {
            logical_id = name;
        }
        if [
            "Type: AWS::Serverless::Function",
            "Type: AWS::Lambda::Function",
        ]
        .contains(&line.trim())
        {
            functions.push(logical_id.to_owned());
        }
    }
    functions
}

/// The names of the environment variables of the template's functions.
pub(super) fn settings() -> Vec<String> {
    let template = read("template.yaml");
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut settings = Vec::new();
    let mut lines = template
        .lines()
        .map(without_comment)
        .filter(|line| !line.is_empty())
        .peekable();
    while let Some(line) = lines.next() {
        if line.trim() == "Variables:" {
            while let Some(setting) = lines.next_if(|next| indent(next) > indent(line)) {
                // A value over several lines has colons of its own.
                let named = setting.trim().split_once(':').map(|(name, _)| name);
                let is_name = |name: &&str| {
                    name.bytes()
                        .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
                };
                settings.extend(named.filter(is_name).map(str::to_owned));
            }
        }
    }
    assert!(
        !settings.is_empty(),
        "template.yaml sets no environment variable that this test can see"
    );
    settings
}

/// A line of YAML without its comment and the blanks at its end. A `#` inside quotes, as in an
/// address, has no blank before it in this template.
fn without_comment(line: &str) -> &str {
    let line = if line.trim_start().starts_with('#') {
        ""
    } else {
        line
    };
    line.split_once(" #")
        .map_or(line, |(before, _)| before)
        .trim_end()
}
