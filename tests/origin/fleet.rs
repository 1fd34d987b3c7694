//! The complete life of an instance, with the real programs of its commands. Ansible runs the
//! playbook, which configures nginx. The AWS CLI runs in the script that saves logs. The
//! instance is a folder on this machine.

use crate::counting::wait_for_a_young_minute;
use crate::station::{OriginServer, free_port};
use crate::web::{UpstreamServer, get};
use scenes::program::onair;
use serde_json::{Value, json};
use stand_in::{ACCESS_KEY_ID, CommandResult, Function, REGION, SECRET_ACCESS_KEY};
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;
use stories::fleet::{
    FLEET, Fleet, GROUP, INSTANCE, OTHER, PLAYBOOKS, invocation, launched, terminating,
};
use stories::{response, root, wait_until};

/// The time limit of one of these programs, in seconds.
const LIMIT_S: &str = "120";

/// The last step of `AWS-ApplyAnsiblePlaybooks`, in the folder that the step before it has fetched.
/// Its parameters are environment variables.
const PLAY: &str = r#"
    echo "Running Ansible in $(pwd)"
    if [[ ! -f $PlaybookFile ]]; then echo "there is no such playbook" >&2; exit 2; fi
    check=()
    if [[ $Check == True ]]; then check=(--check); fi
    exec timeout --kill-after=5 "$TimeoutSeconds" \
        ansible-playbook -i localhost, "${check[@]}" -c local -e "${ExtraVariables:-SSM=True}" $Verbose "$PlaybookFile"
"#;

/// The script of the template's document. Its parameters are inserted as SSM does, if they match.
const SCRIPT: &str = r#"
import json, re, sys
from samtranslator.yaml_helper import yaml_parse
given = json.loads(sys.argv[1])
document = yaml_parse(open("template.yaml").read())["Resources"]["FleetLogDocument"]["Properties"]["Content"]
(step,) = document["mainSteps"]
text = "\n".join(step["inputs"]["runCommand"])
assert given.keys() == document["parameters"].keys(), given
for name, (value,) in given.items():
    assert re.fullmatch(document["parameters"][name]["allowedPattern"], value), (name, value)
    text = text.replace("{{ " + name + " }}", value)
print(text)
"#;

/// An instance of the group, and the server of the published files.
struct Machine {
    fleet: Fleet,
    station: OriginServer,
    published: UpstreamServer,
    port: u16,
}

impl Machine {
    /// The bucket has the playbook as `make deploy-playbook` uploads it. Nothing is configured.
    fn new(story: &str) -> Self {
        let (fleet, station, published) = (
            Fleet::new(),
            OriginServer::new(story),
            UpstreamServer::start(),
        );
        published.behave(|manner| manner.content = "#EXTM3U\n".to_owned());
        let machine = Self {
            fleet,
            station,
            published,
            port: free_port(),
        };
        let mut make = machine.with_aws("make");
        // A stack with the name of the bucket does not exist. This may run within `make test`.
        make.args([
            "--silent",
            "deploy-playbook",
            &format!("stack=echo {FLEET}"),
        ])
        .current_dir(root());
        make.env_remove("MAKEFLAGS")
            .env_remove("MFLAGS")
            .env_remove("MAKELEVEL");
        let said = succeeded(&make.output().unwrap());
        assert_eq!(said, format!("s3://{FLEET}/ansible/\n"));
        // `EXTRA_VARIABLES` must not contain a colon, and the published files are on this machine.
        let of_ours = format!(
            "- import_playbook: web.yml\n  vars:\n    web_origin: http://{}/live\n",
            machine.published.address()
        );
        machine.fleet.put("ansible/site.yml", of_ours.as_bytes());
        machine
    }

    /// The folder of the instance's files.
    fn web(&self) -> PathBuf {
        self.station.prefix().join("web")
    }

    /// Starts the function with settings that make the playbook configure this folder.
    fn function(&self, settings: &[(&str, &str)]) -> Function {
        let web = self.web().display().to_string();
        let variables = format!(
            "web_service=false web_prefix={web} web_port={} web_trusted=127.0.0.0/8 web_workers=1",
            self.port
        );
        let log_directory = format!("{web}/log");
        let usual = [
            ("PLAYBOOK_FILE", "site.yml"),
            ("PLAYBOOK_TIMEOUT_SECONDS", LIMIT_S),
            ("EXTRA_VARIABLES", &variables),
            ("LOG_DIRECTORY", &log_directory),
        ];
        self.fleet.start(&[&usual, settings].concat())
    }

    /// A program with AWS credentials and a time limit.
    fn with_aws(&self, program: &str) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", LIMIT_S, program]);
        let tools = root().join("target/venv/bin").display().to_string();
        // The Ansible of Debian, and not another one in the PATH.
        let path = format!(
            "{tools}:/usr/bin:/bin:/usr/sbin:{}",
            std::env::var("PATH").unwrap()
        );
        command.env("PATH", path).env("LC_ALL", "C.UTF-8");
        command
            .env("AWS_ENDPOINT_URL", self.fleet.s3.endpoint_url())
            .env("AWS_DEFAULT_REGION", REGION);
        command
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
        for file in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
            command.env(file, "/dev/null");
        }
        command
    }

    /// The result of the agent for this command.
    fn agent(&self, command: &stand_in::Command) -> CommandResult {
        let output = match command.document.as_str() {
            PLAYBOOKS => self.play(command),
            _ => self.save(command),
        };
        let status = if output.status.success() {
            "Success"
        } else {
            "Failed"
        };
        let name = format!("{}.out", command.id);
        fs::write(
            self.station.prefix().join(name),
            [&*output.stdout, &*output.stderr].concat(),
        )
        .unwrap();
        CommandResult {
            status: status.to_owned(),
            stdout: String::from_utf8(output.stdout).unwrap(),
        }
    }

    fn play(&self, command: &stand_in::Command) -> Output {
        let parameter = |name: &str| command.parameters[name][0].as_str();
        assert_eq!(parameter("SourceType"), "S3");
        let source: Value = serde_json::from_str(parameter("SourceInfo")).unwrap();
        let host = format!("https://s3.{REGION}.amazonaws.com/");
        let folder = source["path"]
            .as_str()
            .unwrap()
            .strip_prefix(&host)
            .unwrap();
        let downloaded = self.station.prefix().join("downloaded");
        let _ = fs::remove_dir_all(&downloaded);
        let mut fetch = self.with_aws("aws");
        fetch.args([
            "s3",
            "cp",
            "--recursive",
            "--only-show-errors",
            &format!("s3://{folder}"),
        ]);
        succeeded(&fetch.arg(&downloaded).output().unwrap());

        let mut play = self.with_aws("bash");
        play.args(["-euc", PLAY]).current_dir(&downloaded);
        // Ansible's own files are written into the folder of the test.
        play.env("HOME", self.station.prefix())
            .env("ANSIBLE_REMOTE_TEMP", self.station.prefix().join("ansible"));
        play.envs(
            command
                .parameters
                .iter()
                .map(|(name, values)| (name, &values[0])),
        );
        play.output().unwrap()
    }

    fn save(&self, command: &stand_in::Command) -> Output {
        let mut render = self.with_aws("python");
        render
            .args(["-c", SCRIPT, &json!(command.parameters).to_string()])
            .current_dir(root());
        let script = self.station.prefix().join("_script.sh");
        fs::write(&script, succeeded(&render.output().unwrap())).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
        let mut run = self.with_aws("sh");
        run.arg("-c").arg(script).current_dir(self.station.prefix());
        run.env("AWS_SSM_INSTANCE_ID", &command.instance)
            .env("AWS_SSM_REGION_NAME", REGION);
        run.env_remove("AWS_DEFAULT_REGION").output().unwrap()
    }

    /// Launches an instance and runs its playbook. Returns the function's entry for the instance.
    async fn launch(&self, settings: &[(&str, &str)], instance: &str) -> Value {
        self.fleet.ssm.register(instance);
        self.fleet.autoscaling.launch(GROUP, instance);
        let function = self.function(settings);
        assert_eq!(
            response(function.invoke(launched(instance)).await)["outcome"],
            "sent"
        );
        let ran = self.fleet.ssm.run(|command| self.agent(command));
        told(&function, &ran[0]).await
    }

    /// An instance that serves because its playbook passed. Returns its URL.
    async fn joined(&mut self) -> String {
        let entry = self.launch(&[], INSTANCE).await;
        assert_eq!(entry["why"], "the playbook passed", "{entry:#}");
        assert_eq!(entry["outcome"], "continued");
        assert_eq!(self.fleet.autoscaling.state(INSTANCE), "InService");
        let recap = &entry["recap"];
        assert!(recap["changed"].as_u64() >= Some(3), "{recap}");
        assert_eq!(
            (&recap["hosts"], &recap["unreachable"], &recap["failed"]),
            (&json!(1), &json!(0), &json!(0))
        );
        // On an instance, the service manager does this.
        let web = self.web();
        let mut nginx = Command::new("nginx");
        nginx
            .args(["-e", "stderr"])
            .arg("-p")
            .arg(&web)
            .arg("-c")
            .arg(web.join("etc/web.conf"));
        self.station.start("web", &nginx);
        let port = self.port;
        let serves = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        wait_until("nginx", Duration::from_secs(10), serves);
        format!("http://127.0.0.1:{port}")
    }

    /// Terminates the instance and saves its logs.
    async fn leave(&self) -> (Function, stand_in::Command) {
        self.fleet.autoscaling.terminate(INSTANCE);
        let function = self.function(&[]);
        assert_eq!(
            response(function.invoke(terminating(INSTANCE)).await)["outcome"],
            "sent"
        );
        let ran = self.fleet.ssm.run(|command| self.agent(command));
        (function, ran[0].clone())
    }
}

/// The function's entry for an instance after the event of its command.
async fn told(function: &Function, command: &stand_in::Command) -> Value {
    let answer = response(function.invoke(invocation(command)).await);
    assert_eq!(answer["outcome"], "completed", "{answer:#}");
    answer["instances"][0].clone()
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The peak of concurrent viewers of each stream in this log.
fn viewers(log: &PathBuf) -> BTreeMap<String, u64> {
    let lines = succeeded(
        &onair("viewers")
            .unwrap()
            .arg("--json")
            .arg(log)
            .output()
            .unwrap(),
    );
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let figure = |line: &Value| {
        Some((
            line["stream"].as_str()?.to_owned(),
            line["viewers"].as_u64()?,
        ))
    };
    let figures: BTreeMap<_, _> = lines.iter().filter_map(figure).collect();
    assert_eq!(figures.len(), lines.len(), "all in one minute: {lines:?}");
    figures
}

/// Promises P95, P97, P99, P113, P115 and P129.
#[tokio::test]
#[ignore = "needs nginx, Ansible and the AWS CLI: make test runs it"]
async fn an_instance_joins_by_its_playbook_serves_and_leaves_its_logs() {
    let mut machine = Machine::new("instance");
    let url = machine.joined().await;

    wait_for_a_young_minute();
    let got = get(&url, "/show.m3u8", "203.0.113.1");
    assert_eq!((got.status, got.body.as_str()), (200, "#EXTM3U\n"));
    assert_eq!(machine.published.asked()[0].path, "/live/show.m3u8");
    for viewer in 1..=40 {
        let address = format!("203.0.113.{viewer}");
        get(&url, &format!("/show_180p/{viewer}.mi8vqk7k.ts"), &address);
        if viewer <= 15 {
            get(&url, "/other.m3u8", &address);
        }
    }
    // A health check of the load balancer.
    assert_eq!(get(&url, "/", "").status, 404);

    let (function, command) = machine.leave().await;
    let entry = told(&function, &command).await;
    assert_eq!(entry["outcome"], "continued", "{entry:#}");
    assert_eq!(machine.fleet.autoscaling.state(INSTANCE), "Terminated");
    assert_eq!(machine.fleet.results(INSTANCE), ["CONTINUE", "CONTINUE"]);

    let prefix = &command.parameters["Prefix"][0];
    let run = prefix.rsplit('/').next().unwrap();
    let log = format!("access.log-{run}.gz");
    let keys = machine.fleet.s3.keys(FLEET, "logs/");
    let [file, manifest] = &keys[..] else {
        panic!("{keys:?}")
    };
    assert_eq!(*file, format!("{prefix}/{log}"));
    assert!(
        manifest.starts_with(&format!("{prefix}/manifest-")),
        "{manifest}"
    );
    let saved = machine.fleet.s3.object(FLEET, &keys[0]).unwrap();
    let why = format!("1 log files with {} bytes are in S3", saved.body.len());
    assert_eq!(entry["why"], why);
    let file = machine.station.prefix().join(log);
    fs::write(&file, &saved.body).unwrap();
    assert_eq!(
        viewers(&file),
        [("other".to_owned(), 15), ("show".to_owned(), 40)].into()
    );

    // The instance serves until its end, and starts a new log for that.
    get(&url, "/late.m3u8", "203.0.113.99");
    let log = machine.web().join("log/access.log");
    let late = || fs::read_to_string(&log).is_ok_and(|text| text.lines().count() == 1);
    wait_until("a line of the new log", Duration::from_secs(5), late);
}

/// Promises P99, P109 and P113.
#[tokio::test]
#[ignore = "needs nginx, Ansible and the AWS CLI: make test runs it"]
async fn an_instance_whose_log_is_changed_in_s3_before_anybody_looks_stays() {
    let mut machine = Machine::new("changed");
    let url = machine.joined().await;
    assert_eq!(get(&url, "/show.m3u8", "203.0.113.1").status, 200);

    let (function, command) = machine.leave().await;
    assert_eq!(command.status.0, "Success");
    let keys = machine.fleet.s3.keys(FLEET, "logs/");
    let mut body = machine
        .fleet
        .s3
        .object(FLEET, &keys[0])
        .unwrap()
        .body
        .to_vec();
    let middle = body.len() / 2;
    body[middle] ^= 1;
    machine.fleet.put(&keys[0], &body);

    let entry = told(&function, &command).await;
    assert_eq!(entry["outcome"], "abandoned", "{entry:#}");
    assert!(
        entry["why"].as_str().unwrap().contains("another SHA-256"),
        "{entry:#}"
    );
    let metrics = function.stdout().concat();
    assert!(metrics.contains(r#""LogsUnverified":1"#), "{metrics}");
    assert_eq!(
        machine.fleet.autoscaling.state(INSTANCE),
        "Terminating:Retained"
    );
    // An operator finds the logs on the disk.
    let kept = fs::read_dir(machine.web().join("log")).unwrap().flatten();
    let kept = kept.filter(|entry| entry.file_name().to_string_lossy().ends_with(".gz"));
    assert_eq!(kept.count(), 1);
}

/// Promises P97 and P115.
#[tokio::test]
#[ignore = "needs nginx, Ansible and the AWS CLI: make test runs it"]
async fn an_instance_whose_configuration_nginx_does_not_take_never_serves() {
    let machine = Machine::new("broken");
    let key = "ansible/origin/nginx/web.conf";
    let conf = machine.fleet.s3.object(FLEET, key).unwrap().body;
    let conf = String::from_utf8(conf.to_vec()).unwrap();
    assert!(conf.contains("server_tokens off;"));
    machine.fleet.put(
        key,
        conf.replace("server_tokens off;", "server_tokens of;")
            .as_bytes(),
    );

    let entry = machine.launch(&[], INSTANCE).await;
    assert_eq!(entry["outcome"], "abandoned", "{entry:#}");
    assert_eq!(
        entry["why"],
        "the playbook command ended with status Failed"
    );
    let recap = &entry["recap"];
    assert_eq!(
        (&recap["hosts"], &recap["unreachable"], &recap["failed"]),
        (&json!(1), &json!(0), &json!(1))
    );
    assert_eq!(machine.fleet.results(INSTANCE), ["ABANDON"]);
    assert!(!machine.web().join("etc/web.conf").exists());
}

/// Promises P97 and P115.
#[tokio::test]
#[ignore = "needs nginx, Ansible and the AWS CLI: make test runs it"]
async fn where_nothing_may_change_only_an_instance_that_is_as_it_should_be_serves() {
    let machine = Machine::new("checked");
    let strict = [("CHECK_MODE", "true"), ("PASS_RULE", "changed=0")];
    let entry = machine.launch(&strict, INSTANCE).await;
    assert_eq!(entry["outcome"], "abandoned", "{entry:#}");
    let changed = entry["recap"]["changed"].as_u64().unwrap();
    assert!(changed >= 3, "{entry:#}");
    let figures = format!("changed={changed} unreachable=0 failed=0");
    assert!(
        entry["why"].as_str().unwrap().ends_with(&figures),
        "{entry:#}"
    );
    assert!(!machine.web().exists(), "it was only to be looked at");

    let entry = machine.launch(&[], OTHER).await;
    assert_eq!(entry["outcome"], "continued", "{entry:#}");
    assert!(
        entry["recap"]["changed"].as_u64() >= Some(changed),
        "{entry:#}"
    );

    // The next instance starts from the files of the last one.
    let next = "i-0aaaabbbbccccdddd";
    let entry = machine.launch(&strict, next).await;
    assert_eq!(
        (&entry["outcome"], &entry["recap"]["changed"]),
        (&json!("continued"), &json!(0)),
        "{entry:#}"
    );
    assert_eq!(machine.fleet.autoscaling.state(next), "InService");
}
