//! Runs a function's binary as Lambda does.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use crate::{ACCESS_KEY_ID, Answer, REGION, RuntimeApi, SECRET_ACCESS_KEY, lock};

/// The time limit of [`Function::invoke`].
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// How long the system may need to end a killed process.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// The process of a function with its own [`RuntimeApi`]. It is killed when dropped.
pub struct Function {
    api: RuntimeApi,
    process: Arc<Process>,
    id: Option<u32>,
    started_at: Instant,
    stdout: File,
    stderr: File,
}

#[derive(Default)]
struct Process {
    kill: Notify,
    /// How the process ended, as text.
    ended: Mutex<Option<String>>,
    has_ended: Condvar,
}

impl Function {
    /// Starts the binary. The environment is Lambda's, with the stand-in's credentials and region.
    /// Variables in `env` override it; nothing is inherited.
    ///
    /// Panics if the binary cannot be started.
    #[track_caller]
    pub fn start<K, V>(binary: &Path, env: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        let env = env
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        match Self::try_start(binary, env) {
            Ok(function) => function,
            Err(error) => panic!("{} cannot be started: {error}", binary.display()),
        }
    }

    fn try_start(binary: &Path, env: Vec<(String, String)>) -> io::Result<Self> {
        let name = binary.file_stem().unwrap_or_default().to_string_lossy();
        let api = RuntimeApi::start(&name);
        // Files, because a pipe can still hold output when the answer has arrived.
        let (stdout, stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let mut command = Command::new(binary);
        set_lambda_environment(&mut command, &name, &api.address());
        command
            .envs(env)
            .stdin(Stdio::null())
            .stdout(stdout.try_clone()?)
            .stderr(stderr.try_clone()?)
            .kill_on_drop(true);
        let started_at = Instant::now();
        let child = {
            let _guard = api.runtime().enter();
            command.spawn()?
        };
        let id = child.id();
        let process = Arc::new(Process::default());
        api.runtime()
            .spawn(watch(child, Arc::clone(&process), api.end()));
        Ok(Self {
            api,
            process,
            id,
            started_at,
            stdout,
            stderr,
        })
    }

    /// Invokes the function with a time limit of one minute.
    pub async fn invoke(&self, event: Value) -> Answer {
        self.invoke_within(event, TIME_LIMIT).await
    }

    /// Invokes the function. The function sees the time limit as its deadline. At the deadline the
    /// process is killed, as Lambda does.
    pub async fn invoke_within(&self, event: Value, time_limit: Duration) -> Answer {
        let answer = self.api.invoke(&event, time_limit).await;
        if answer == Answer::TimedOut {
            self.kill();
        }
        answer
    }

    /// Kills the process, and returns when it has ended.
    pub fn kill(&self) {
        self.process.kill.notify_one();
        let ended = lock(&self.process.ended);
        let wait = self
            .process
            .has_ended
            .wait_timeout_while(ended, KILL_LIMIT, |ended| ended.is_none());
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }

    /// The lines of standard output so far.
    pub fn stdout(&self) -> Vec<String> {
        lines(&self.stdout)
    }

    /// The lines of standard error so far.
    pub fn stderr(&self) -> Vec<String> {
        lines(&self.stderr)
    }

    /// The time at which the process was started.
    pub fn started_at(&self) -> Instant {
        self.started_at
    }

    /// When the function first requested an invocation, which ends its start.
    pub fn first_next_at(&self) -> Option<Instant> {
        self.api.first_next_at()
    }

    /// The peak memory of the running process (`VmHWM`). `None` after its end, or without Linux's
    /// `/proc`.
    pub fn peak_rss_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id?)).ok()?;
        let peak_kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?
            .trim()
            .strip_suffix(" kB")?;
        peak_kib.parse::<u64>().ok()?.checked_mul(1024)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a function's binary with settings that it must refuse, and returns the one line that it
/// logs.
///
/// The environment has the settings and the variables that every start under Lambda has. Nothing
/// listens at the address of the Runtime API, so a binary that does start cannot continue.
///
/// Panics if the binary cannot be started, if it exits with success, or if it logs anything other
/// than one configuration error.
#[track_caller]
pub fn start_fails(binary: &Path, settings: &[(&str, &str)]) -> String {
    let mut command = std::process::Command::new(binary);
    command
        .env_clear()
        .env("AWS_REGION", REGION)
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
        .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9")
        .envs(settings.iter().copied());
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => panic!("{} cannot be started: {error}", binary.display()),
    };
    let log = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success(), "{settings:?} are accepted: {log}");
    assert_eq!(log.lines().count(), 1, "{settings:?}: {log}");
    for part in [r#""level":"ERROR""#, r#""error.type":"Config""#] {
        assert!(log.contains(part), "{settings:?}: no {part} in {log}");
    }
    log
}

/// Replaces the inherited environment by the one of Lambda, with the stand-in's credentials.
fn set_lambda_environment(command: &mut Command, name: &str, runtime_api: &str) {
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
        .env("AWS_LAMBDA_FUNCTION_NAME", name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}"))
        .env(
            "AWS_LAMBDA_LOG_STREAM_NAME",
            "2020/01/01/[$LATEST]00000000000000000000000000000000",
        )
        .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
        .env("_HANDLER", "bootstrap")
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .env("AWS_EC2_METADATA_DISABLED", "true");
}

/// Waits for the end of the process, which ends every invocation.
async fn watch(mut child: Child, process: Arc<Process>, end: impl Fn(Answer)) {
    let status = tokio::select! {
        status = child.wait() => status,
        () = process.kill.notified() => match child.start_kill() {
            Ok(()) => child.wait().await,
            Err(error) => Err(error),
        },
    };
    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    end(Answer::Died {
        status: status.clone(),
    });
    *lock(&process.ended) = Some(status);
    process.has_ended.notify_all();
}

fn lines(file: &File) -> Vec<String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or_default()];
        // `read` would move the file position, which the process also uses for writing.
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    };
    let bytes =
        read().unwrap_or_else(|error| format!("the output cannot be read: {error}").into_bytes());
    String::from_utf8_lossy(&bytes)
        .lines()
        .map(str::to_owned)
        .collect()
}
