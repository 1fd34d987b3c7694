//! A live stream that goes on, and the player's page to watch it with.

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
/// A player begins three segments before the end.
const TO_BEGIN: u64 = 3;
/// How often it is looked whether everything runs.
const LOOK: Duration = Duration::from_millis(500);

/// Serves the page that lies in this folder, and a stream, until it is dropped.
///
/// # Errors
///
/// A program ended by itself, or the page is not there.
pub(crate) async fn serve(narrator: &mut Narrator, page: &Path) -> anyhow::Result<Infallible> {
    let page = read_page(page)?;
    let mut stream = DemoStream::start(&[])?;
    stream.scene.s3.create_bucket(PLAYER, Versioning::Off);
    for (name, file) in page {
        stream.scene.s3.put_object(PLAYER, &name, file);
    }
    let site = Site::start(&stream.scene.s3);
    narrator.heading("On Air on this machine: a live stream, and the page to watch it with");
    narrator.say(
        "ffmpeg writes a test picture as HLS into a folder, in two renditions and segments of 1 s; publish-live \
         puts it into a loopback S3; from there it is served to anybody on this machine, as by a CDN.",
    );
    let begun = stream
        .until(|stream| stream.each(|playlist| sequence(playlist) >= TO_BEGIN))
        .await?;
    ensure!(
        begun.is_some() && stream.is_on_air(),
        "the stream does not begin"
    );
    narrator.heading("Open");
    narrator.show(&format!(
        "{}/{PLAYER}/index.html?src=/{BUCKET}/{FOLDER}/{MULTIVARIANT}",
        site.url()
    ));
    narrator.heading("What you can do to it");
    narrator.show(&format!(
        "kill -9 {}  # publish-live",
        stream.publisher_id()
    ));
    narrator.show(&format!("kill -9 {}  # ffmpeg", stream.encoder_id()));
    narrator
        .say("What is killed is started again, and the picture goes on. Ctrl-C ends everything.");
    loop {
        tokio::time::sleep(LOOK).await;
        if let Some((name, id)) = stream.tend()? {
            narrator.say(&format!("{name} was killed. It is process {id} now."));
        }
        // It remembers them all, and this goes on for hours.
        stream.scene.s3.reset_calls();
    }
}

/// The files of the page, by their names, as they are served.
fn read_page(folder: &Path) -> anyhow::Result<Vec<(String, Object)>> {
    let files = std::fs::read_dir(folder)
        .with_context(|| format!("{}: `make demo SERVE=1` makes it", folder.display()))?;
    let read = |file: io::Result<DirEntry>| {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        let object = Object {
            body: std::fs::read(file.path())?.into(),
            content_type: Some(content_type(&name).to_owned()),
            // The next demo may have another page at the same address.
            cache_control: Some("no-store".to_owned()),
            ..Object::default()
        };
        Ok((name, object))
    };
    files.map(read).collect()
}

/// A browser runs no module of a wrong type.
fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}
