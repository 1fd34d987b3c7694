//! The programs of `origin/`, each in a folder of this test, on ports that the system chose.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use stories::{root, wait_until};

/// `timeout` ends a program after this time, even if the test was killed. It passes on the signal
/// by which it is ended.
const RUN_S: &str = "240";
const START_LIMIT: Duration = Duration::from_secs(10);
/// Small enough for a machine that also plays it in a browser.
const LADDER: &str = "180p:180:300 90p:90:100";

/// A transcoder, web servers and a proxy. All programs are ended when this is dropped.
pub(crate) struct OriginServer {
    prefix: PathBuf,
    rtmp_port: u16,
    programs: Vec<Child>,
    servers: usize,
}

impl OriginServer {
    /// Creates an empty folder with the name `story`, without running programs.
    pub(crate) fn new(story: &str) -> Self {
        let prefix = root().join("target/origin").join(story);
        let _ = fs::remove_dir_all(&prefix);
        fs::create_dir_all(&prefix).unwrap();
        Self {
            prefix,
            rtmp_port: free_port(),
            programs: Vec::new(),
            servers: 0,
        }
    }

    pub(crate) fn prefix(&self) -> &Path {
        &self.prefix
    }

    pub(crate) fn hls(&self) -> PathBuf {
        self.prefix.join("hls")
    }

    /// Starts nginx-rtmp, which starts the ladder, with segments of this length.
    pub(crate) fn start_rtmp(&mut self, segment_s: u32) {
        let (rtmp, gate) = (self.rtmp_port.to_string(), free_port().to_string());
        let (prefix, segment_s) = (self.prefix.clone(), segment_s.to_string());
        let settings = [
            ("RTMP_ADDRESS", "127.0.0.1"),
            ("RTMP_PORT", &rtmp),
            ("GATE_PORT", &gate),
            ("LADDER", LADDER),
            ("SEGMENT_S", &segment_s),
        ];
        self.start_nginx("rtmp", &prefix, &settings, self.rtmp_port);
    }

    /// Starts another web server in front of the bucket. Returns its address.
    pub(crate) fn start_web(&mut self, bucket_url: &str) -> String {
        let port = free_port();
        self.servers += 1;
        let prefix = self.prefix.join(format!("web-{}", self.servers));
        let settings = [
            ("WEB_PORT", port.to_string()),
            ("BUCKET_URL", bucket_url.to_owned()),
        ];
        let settings = settings
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        self.start_nginx("web", &prefix, &settings, port);
        format!("127.0.0.1:{port}")
    }

    /// Starts the proxy in front of these web servers. Returns its address.
    pub(crate) fn start_proxy(&mut self, servers: &[&str]) -> String {
        let (port, inner) = (free_port(), free_port().to_string());
        let (listen, servers) = (port.to_string(), servers.join(" "));
        let prefix = self.prefix.clone();
        let settings = [
            ("PROXY_ADDRESS", "127.0.0.1"),
            ("PROXY_PORT", &listen),
            ("PROXY_INNER_PORT", &inner),
            ("WEB_SERVERS", &servers),
            ("TRUSTED", "127.0.0.1/32"),
            ("CACHE_SIZE", "64m"),
        ];
        self.start_nginx("proxy", &prefix, &settings, port);
        format!("http://127.0.0.1:{port}")
    }

    fn start_nginx(&mut self, program: &str, prefix: &Path, settings: &[(&str, &str)], port: u16) {
        let mut render = Command::new(root().join("origin/render.sh"));
        render
            .arg(program)
            .env("PREFIX", prefix)
            .envs(settings.iter().copied());
        let rendered = render.output().unwrap();
        assert!(
            rendered.status.success(),
            "{}",
            String::from_utf8_lossy(&rendered.stderr)
        );
        let mut command = Command::new("nginx");
        // Logs from before the configuration is read would be written to a folder of root.
        command
            .arg("-e")
            .arg(prefix.join("log").join(format!("{program}-start.log")));
        command
            .arg("-p")
            .arg(prefix)
            .arg("-c")
            .arg(prefix.join("etc").join(format!("{program}.conf")));
        self.start(program, &command);
        wait_until(program, START_LIMIT, || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
    }

    /// Starts a program that runs until the end of the test.
    pub(crate) fn start(&mut self, name: &str, command: &Command) {
        let log = File::create(self.prefix.join(format!("{name}.out"))).unwrap();
        let mut bounded = Command::new("timeout");
        bounded
            .args(["--kill-after=5", RUN_S])
            .arg(command.get_program())
            .args(command.get_args());
        bounded.envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        bounded
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.programs.push(
            bounded
                .spawn()
                .unwrap_or_else(|error| panic!("{name}: {error}")),
        );
    }

    /// The secret of publishers.
    pub(crate) fn secret(&self) -> String {
        let file = fs::read_to_string(self.prefix.join("etc/secret.conf")).unwrap();
        file.split('"').nth(1).unwrap().to_owned()
    }

    /// The URL to which a camera sends.
    pub(crate) fn publish_url(&self, stream: &str, key: &str) -> String {
        format!(
            "rtmp://127.0.0.1:{}/live/{stream}?key={key}",
            self.rtmp_port
        )
    }

    /// The URL to which the ladder sends.
    pub(crate) fn rendition_url(&self, name: &str) -> String {
        format!("rtmp://127.0.0.1:{}/hls/{name}", self.rtmp_port)
    }

    /// The playlist of a rendition on the disk, or an empty text.
    pub(crate) fn playlist(&self, stream: &str, rendition: &str) -> String {
        let file = self.hls().join(format!("{stream}_{rendition}/index.m3u8"));
        fs::read_to_string(file).unwrap_or_default()
    }

    /// The files in the folder that is published.
    pub(crate) fn hls_files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.hls()).unwrap().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.prefix.join("log").join(name)).unwrap_or_default()
    }

    /// All logs with their names.
    pub(crate) fn logs(&self) -> Vec<(String, String)> {
        let folders = [self.prefix.clone(), self.prefix.join("log")];
        let entries = folders
            .iter()
            .flat_map(|folder| fs::read_dir(folder).unwrap().flatten());
        let files = entries.filter(|entry| entry.path().is_file());
        let logs: Vec<(String, String)> = files
            .map(|entry| {
                let text = fs::read(entry.path()).unwrap();
                (
                    entry.path().display().to_string(),
                    String::from_utf8_lossy(&text).into_owned(),
                )
            })
            .collect();
        assert!(
            logs.iter().any(|(file, _)| file.ends_with("rtmp.log")),
            "{logs:?}"
        );
        logs
    }

    /// Whether `alarm.sh` succeeded, and its output.
    pub(crate) fn alarm(&self, limit_s: u32) -> (bool, String) {
        let mut command = Command::new(root().join("origin/alarm.sh"));
        let output = command
            .arg(self.hls())
            .arg(limit_s.to_string())
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    }
}

impl Drop for OriginServer {
    fn drop(&mut self) {
        for program in &mut self.programs {
            // A killed nginx would leave its workers running. The id of a process that has ended
            // may belong to another one.
            if matches!(program.try_wait(), Ok(None)) {
                let _ = Command::new("kill").arg(program.id().to_string()).status();
            }
        }
        for program in &mut self.programs {
            let _ = program.wait();
        }
    }
}

/// A port that is free at this time.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
