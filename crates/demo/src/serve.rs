//! A live stream that runs until Ctrl-C, and the page of the player.

use crate::narrate::Narrator;
use crate::player::sequence;
use crate::stream::{DemoStream, MULTIVARIANT};
use anyhow::{Context as _, ensure};
use scenes::live_stream::{BUCKET, FOLDER};
use stand_in::{Object, Site, Versioning};
use std::convert::Infallible;
use std::fs::DirEntry;
use std::io;
use std::path::Path;
use std::time::Duration;

/// The bucket of the page.
const PLAYER: &str = "player";
/// A player starts three segments before the live edge.
const SEGMENTS_TO_START: u64 = 3;
/// The interval of the check whether all programs run.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Serves the page in this folder, and a stream, until it is dropped.
///
/// # Errors
///
/// A program failed, or the page does not exist.
pub(crate) async fn serve(narrator: &mut Narrator, page: &Path) -> anyhow::Result<Infallible> {
    let page = read_page(page)?;
    let mut stream = DemoStream::start(&[])?;
    stream.scene.s3.create_bucket(PLAYER, Versioning::Off);
    for (name, file) in page {
        stream.scene.s3.put_object(PLAYER, &name, file);
    }
    let site = Site::start(&stream.scene.s3);
    narrator.heading("On Air on this machine: a live stream and a page with a player");
    narrator.explain(
        "ffmpeg writes a test picture as HLS into a folder, in two renditions with segments of 1 s. publish-live \
         uploads it to a loopback S3. A local web server serves it from there, as a CDN does.",
    );
    let begun = stream
        .until(|stream| stream.every_playlist(|playlist| sequence(playlist) >= SEGMENTS_TO_START))
        .await?;
    ensure!(
        begun.is_some() && stream.is_on_air(),
        "the stream did not start"
    );
    print_instructions(narrator, &stream, &site.url());
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        if let Some((name, id)) = stream.restart_killed()? {
            narrator.explain(&format!("{name} was killed and restarted as process {id}."));
        }
        // The stand-in records every call, and this runs for hours.
        stream.scene.s3.reset_calls();
    }
}

fn print_instructions(narrator: &mut Narrator, stream: &DemoStream, site_url: &str) {
    narrator.heading("Open");
    narrator.show(&format!(
        "{site_url}/{PLAYER}/index.html?src=/{BUCKET}/{FOLDER}/{MULTIVARIANT}"
    ));
    narrator.heading("Try");
    narrator.show(&format!(
        "kill -9 {}  # publish-live",
        stream.publisher_id()
    ));
    narrator.show(&format!("kill -9 {}  # ffmpeg", stream.encoder_id()));
    narrator.explain(
        "The demo restarts a killed program, and the stream continues. Ctrl-C stops the demo.",
    );
}

/// The files of the page with their names.
fn read_page(folder: &Path) -> anyhow::Result<Vec<(String, Object)>> {
    let files = std::fs::read_dir(folder).with_context(|| {
        format!(
            "{} cannot be read: run `make demo SERVE=1`",
            folder.display()
        )
    })?;
    let read = |file: io::Result<DirEntry>| {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        let object = Object {
            body: std::fs::read(file.path())?.into(),
            content_type: Some(content_type(&name).to_owned()),
            // The next demo may serve another page at the same address.
            cache_control: Some("no-store".to_owned()),
            ..Object::default()
        };
        Ok((name, object))
    };
    files.map(read).collect()
}

/// Browsers refuse a module with a wrong type.
fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}
