use onair_core::complete_lifecycle::{
    Fleet, Launch, Rule, Terminate, is_bucket, is_directory, is_document, is_hook, is_playbook,
    is_variables,
};
use onair_lambda::{Environment, Error};

/// What the user decided once, at deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// All that decisions are made from.
    pub fleet: Fleet,
    /// `DRY_RUN=true`: plan only, whatever the event says.
    pub dry_run: bool,
}

/// A check of a text, and what is said to somebody whose text does not pass.
type Rules<'a> = (fn(&str) -> bool, &'a str);

const HOOK: Rules<'_> = (
    is_hook,
    "the name of a lifecycle hook, or nothing where the direction is not to be looked after",
);
const BUCKET: Rules<'_> = (is_bucket, "the name of a bucket");
const PLAYBOOK: Rules<'_> = (
    is_playbook,
    "a path below ansible/ to a .yml or .yaml file: letters, digits, '.', '_', '-' and '/'",
);
const VARIABLES: Rules<'_> = (
    is_variables,
    "k=v k=v, with one blank between; a value has letters, digits and '_.,/@%+=-' only: AWS-ApplyAnsiblePlaybooks takes no \
     ':', and the rest would reach a shell",
);
const DOCUMENT: Rules<'_> = (is_document, "the name of an SSM document");
const DIRECTORY: Rules<'_> = (
    is_directory,
    "an absolute path: letters, digits, '.', '_', '-' and '/'",
);

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], which names the variable and what it accepts.
    pub fn read(env: &Environment<impl Fn(&str) -> Option<String>>) -> Result<Self, Error> {
        let group = required(
            env,
            "AUTO_SCALING_GROUP",
            (
                |name| name.len() <= 255,
                "the name of an Auto Scaling group",
            ),
        )?;
        let launch = optional(env, "LAUNCH_HOOK", HOOK)?
            .map(|hook| launch(env, hook))
            .transpose()?;
        let terminate = optional(env, "TERMINATE_HOOK", HOOK)?
            .map(|hook| terminate(env, hook))
            .transpose()?;
        if launch.is_none() && terminate.is_none() {
            return Err(Error::Config(
                "LAUNCH_HOOK and TERMINATE_HOOK are both empty: nothing would be done; set one of them"
                    .to_owned(),
            ));
        }
        let dry_run = env.choice("DRY_RUN", &[("false", false), ("true", true)])?;
        Ok(Self {
            fleet: Fleet {
                group,
                launch,
                terminate,
            },
            dry_run,
        })
    }
}

fn launch(
    env: &Environment<impl Fn(&str) -> Option<String>>,
    hook: String,
) -> Result<Launch, Error> {
    let is_region = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    Ok(Launch {
        hook,
        bucket: required(env, "PLAYBOOK_BUCKET", BUCKET)?,
        region: required(
            env,
            "AWS_REGION",
            (is_region, "a region, which Lambda sets"),
        )?,
        playbook: optional(env, "PLAYBOOK_FILE", PLAYBOOK)?.unwrap_or_else(|| "web.yml".to_owned()),
        check_mode: env.choice("CHECK_MODE", &[("false", false), ("true", true)])?,
        rule: env.choice(
            "PASS_RULE",
            &[
                ("failed=0", Rule::NothingFailed),
                ("changed=0", Rule::NothingChanged),
            ],
        )?,
        timeout_seconds: timeout(env)?,
        extra_variables: optional(env, "EXTRA_VARIABLES", VARIABLES)?.unwrap_or_default(),
    })
}

fn terminate(
    env: &Environment<impl Fn(&str) -> Option<String>>,
    hook: String,
) -> Result<Terminate, Error> {
    Ok(Terminate {
        hook,
        bucket: required(env, "LOG_BUCKET", BUCKET)?,
        document: required(env, "LOG_DOCUMENT", DOCUMENT)?,
        directory: optional(env, "LOG_DIRECTORY", DIRECTORY)?
            .unwrap_or_else(|| "/var/log/nginx".to_owned()),
    })
}

/// SSM runs nothing for longer than 48 hours.
fn timeout(env: &Environment<impl Fn(&str) -> Option<String>>) -> Result<u32, Error> {
    const NAME: &str = "PLAYBOOK_TIMEOUT_SECONDS";
    let Some(text) = env.get(NAME) else {
        return Ok(1800);
    };
    match text.parse() {
        Ok(seconds @ 30..=172_800) => Ok(seconds),
        _ => Err(Error::Config(format!(
            "{NAME} is {text:?}; it accepts whole seconds from 30 to 172800"
        ))),
    }
}

fn required(
    env: &Environment<impl Fn(&str) -> Option<String>>,
    name: &str,
    rules: Rules<'_>,
) -> Result<String, Error> {
    optional(env, name, rules)?
        .ok_or_else(|| Error::Config(format!("{name} is not set; it takes {}", rules.1)))
}

fn optional(
    env: &Environment<impl Fn(&str) -> Option<String>>,
    name: &str,
    (passes, accepted): Rules<'_>,
) -> Result<Option<String>, Error> {
    match env.get(name) {
        Some(text) if !passes(&text) => Err(Error::Config(format!(
            "{name} is {text:?}; it accepts {accepted}"
        ))),
        text => Ok(text),
    }
}
