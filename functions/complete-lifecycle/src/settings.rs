use onair_core::complete_lifecycle::{
    FleetPolicy, LaunchPolicy, PassRule, TerminatePolicy, is_bucket, is_directory, is_document,
    is_hook, is_playbook, is_variables,
};
use onair_lambda::{Accepts, Environment, Error};

/// The settings of this function, which are fixed at deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Everything that decisions depend on.
    pub fleet: FleetPolicy,
    /// `DRY_RUN=true`: every run is a dry run.
    pub dry_run: bool,
}

const GROUP: Accepts<'_> = Accepts::only("the name of an Auto Scaling group", |name| {
    name.len() <= 255
});
const HOOK: Accepts<'_> = Accepts::only(
    "the name of a lifecycle hook, or nothing if this direction needs no action",
    is_hook,
);
const BUCKET: Accepts<'_> = Accepts::only("the name of a bucket", is_bucket);
const REGION: Accepts<'_> = Accepts::only("a region, which Lambda sets", is_region);
const PLAYBOOK: Accepts<'_> = Accepts::only(
    "a path below ansible/ to a .yml or .yaml file: letters, digits, '.', '_', '-' and '/'",
    is_playbook,
);
const VARIABLES: Accepts<'_> = Accepts::only(
    "k=v k=v, with one blank between; a value has letters, digits and '_.,/@%+=-' only: AWS-ApplyAnsiblePlaybooks takes no \
     ':', and the rest would reach a shell",
    is_variables,
);
const DOCUMENT: Accepts<'_> = Accepts::only("the name of an SSM document", is_document);
const DIRECTORY: Accepts<'_> = Accepts::only(
    "an absolute path: letters, digits, '.', '_', '-' and '/'",
    is_directory,
);
/// SSM runs no command for longer than 48 hours.
const MAX_TIMEOUT_SECONDS: u32 = 172_800;

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], which names the variable and what it accepts.
    pub fn read(env: &Environment) -> Result<Self, Error> {
        let group = env.required("AUTO_SCALING_GROUP", GROUP)?;
        let launch = env
            .optional("LAUNCH_HOOK", HOOK)?
            .map(|hook| launch(env, hook))
            .transpose()?;
        let terminate = env
            .optional("TERMINATE_HOOK", HOOK)?
            .map(|hook| terminate(env, hook))
            .transpose()?;
        if launch.is_none() && terminate.is_none() {
            return Err(Error::Config(
                "LAUNCH_HOOK and TERMINATE_HOOK are both empty: set at least one of them"
                    .to_owned(),
            ));
        }
        Ok(Self {
            fleet: FleetPolicy {
                group,
                launch,
                terminate,
            },
            dry_run: env.flag("DRY_RUN")?,
        })
    }
}

fn launch(env: &Environment, hook: String) -> Result<LaunchPolicy, Error> {
    let playbook = env.optional("PLAYBOOK_FILE", PLAYBOOK)?;
    let variables = env.optional("EXTRA_VARIABLES", VARIABLES)?;
    let rules = [
        ("failed=0", PassRule::NothingFailed),
        ("changed=0", PassRule::NothingChanged),
    ];
    Ok(LaunchPolicy {
        hook,
        bucket: env.required("PLAYBOOK_BUCKET", BUCKET)?,
        region: env.required("AWS_REGION", REGION)?,
        playbook: playbook.unwrap_or_else(|| "web.yml".to_owned()),
        check_mode: env.flag("CHECK_MODE")?,
        rule: env.choice("PASS_RULE", &rules)?,
        timeout_seconds: env.seconds("PLAYBOOK_TIMEOUT_SECONDS", 1800, 30..=MAX_TIMEOUT_SECONDS)?,
        extra_variables: variables.unwrap_or_default(),
    })
}

fn terminate(env: &Environment, hook: String) -> Result<TerminatePolicy, Error> {
    let directory = env.optional("LOG_DIRECTORY", DIRECTORY)?;
    Ok(TerminatePolicy {
        hook,
        bucket: env.required("LOG_BUCKET", BUCKET)?,
        document: env.required("LOG_DOCUMENT", DOCUMENT)?,
        directory: directory.unwrap_or_else(|| "/var/log/nginx".to_owned()),
    })
}

fn is_region(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
