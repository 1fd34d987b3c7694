//! The programs that people use today, doing the same deletes.

use crate::BUCKET;
use anyhow::{Result, ensure};
use scenes::program::CREDENTIALS;
use stand_in::S3;
use stand_in::ivs::Recording;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// Longest time that a peer gets.
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

    /// One process for each folder, all at once: no peer is kept waiting by another folder.
    fn commands(self, s3: &S3, folders: &[String]) -> Vec<Command> {
        let endpoint = s3.endpoint_url();
        let command = |folder: &String| match self {
            Self::S5cmd => {
                let mut command = Command::new("s5cmd");
                command.args([
                    "--endpoint-url",
                    &endpoint,
                    "--log",
                    "error",
                    "rm",
                    &format!("s3://{BUCKET}/{folder}*"),
                ]);
                command
            }
            Self::Rclone => {
                let mut command = Command::new("rclone");
                let remote = format!(
                    ":s3,provider=Other,env_auth=true,force_path_style=true,endpoint='{endpoint}':{BUCKET}/{folder}"
                );
                // As many at once as s5cmd has workers.
                command.args([
                    "delete",
                    "--config",
                    "/dev/null",
                    "--checkers",
                    "256",
                    "--transfers",
                    "256",
                    &remote,
                ]);
                command
            }
            Self::AwsCli => {
                let mut command = Command::new("aws");
                command.args([
                    "s3",
                    "rm",
                    "--recursive",
                    "--only-show-errors",
                    "--endpoint-url",
                    &endpoint,
                ]);
                command.arg(format!("s3://{BUCKET}/{folder}"));
                command
            }
        };
        folders.iter().map(command).collect()
    }

    /// Deletes the folders and says how long that took.
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
                // rclone refuses to start with a CA bundle of the environment; none is needed on
                // loopback.
                .env_remove("AWS_CA_BUNDLE")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .kill_on_drop(true);
            children.push(command.spawn()?);
        }
        for child in &mut children {
            let status = tokio::time::timeout(LIMIT, child.wait()).await??;
            ensure!(status.success(), "{} ended with {status}", self.name());
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
