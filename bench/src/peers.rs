//! Common programs that delete the same objects.

use crate::BUCKET;
use anyhow::{Result, ensure};
use scenes::program::CREDENTIALS;
use stand_in::S3;
use stand_in::ivs::Recording;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// The time limit of a peer.
const LIMIT: Duration = Duration::from_secs(1_200);

/// A program that can delete folders of a bucket.
#[derive(Clone, Copy)]
pub(crate) enum Peer {
    S5cmd,
    Rclone,
    AwsCli,
}

impl Peer {
    pub(crate) const ALL: [Self; 3] = [Self::S5cmd, Self::Rclone, Self::AwsCli];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::S5cmd => "s5cmd rm",
            Self::Rclone => "rclone delete",
            Self::AwsCli => "aws s3 rm --recursive",
        }
    }

    /// One process for each folder. They run concurrently, so no peer waits for another folder.
    fn commands(self, s3: &S3, folders: &[String]) -> Vec<Command> {
        let endpoint = s3.endpoint_url();
        let command = |folder: &String| match self {
            Self::S5cmd => s5cmd(&endpoint, folder),
            Self::Rclone => rclone(&endpoint, folder),
            Self::AwsCli => aws_cli(&endpoint, folder),
        };
        folders.iter().map(command).collect()
    }

    /// Deletes the folders. Returns the time.
    pub(crate) async fn delete(
        self,
        s3: &S3,
        recording: &Recording,
        folders: &[String],
    ) -> Result<Duration> {
        let begin = Instant::now();
        let mut children = Vec::new();
        for mut command in self.commands(s3, folders) {
            command
                .envs(CREDENTIALS)
                .env("AWS_EC2_METADATA_DISABLED", "true")
                // rclone does not start with a CA bundle in the environment. Loopback needs none.
                .env_remove("AWS_CA_BUNDLE")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .kill_on_drop(true);
            children.push(command.spawn()?);
        }
        for child in &mut children {
            let status = tokio::time::timeout(LIMIT, child.wait()).await??;
            ensure!(status.success(), "{} failed: {status}", self.name());
        }
        let took = begin.elapsed();
        for folder in folders {
            let left = s3.keys(BUCKET, folder).len();
            ensure!(
                left == 0,
                "{} left {left} objects of {} in {folder}",
                self.name(),
                recording.prefix
            );
        }
        Ok(took)
    }
}

fn s5cmd(endpoint: &str, folder: &str) -> Command {
    let mut command = Command::new("s5cmd");
    command
        .args(["--endpoint-url", endpoint, "--log", "error", "rm"])
        .arg(format!("s3://{BUCKET}/{folder}*"));
    command
}

fn rclone(endpoint: &str, folder: &str) -> Command {
    let mut command = Command::new("rclone");
    let remote = format!(
        ":s3,provider=Other,env_auth=true,force_path_style=true,endpoint='{endpoint}':{BUCKET}/{folder}"
    );
    // As many concurrent requests as s5cmd has workers.
    command
        .args(["delete", "--config", "/dev/null"])
        .args(["--checkers", "256", "--transfers", "256"])
        .arg(remote);
    command
}

fn aws_cli(endpoint: &str, folder: &str) -> Command {
    let mut command = Command::new("aws");
    command
        .args(["s3", "rm", "--recursive", "--only-show-errors"])
        .args(["--endpoint-url", endpoint])
        .arg(format!("s3://{BUCKET}/{folder}"));
    command
}
