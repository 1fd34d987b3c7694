use crate::ladder::{playlist, usual};
use onair_core::playlist::{MAX_PLAYLIST_BYTES, MultivariantPlaylist};

/// A playlist with everything that a rewrite could lose. It has CRLF, a byte-order mark, comments,
/// blank lines, unknown tags and attributes, odd attribute order, audio groups and I-frame entries.
const RICH: &str = "\u{feff}#EXTM3U\r\n\
    #EXT-X-VERSION:6\r\n\
    ## a comment\r\n\
    \r\n\
    #EXT-X-INDEPENDENT-SEGMENTS\r\n\
    #EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\r\n\
    #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"hi\",NAME=\"English\",DEFAULT=NO,AUTOSELECT=NO,URI=\"audio-hi/a.m3u8\"\r\n\
    #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"lo\",NAME=\"English\",URI=\"audio-lo/a.m3u8\"\r\n\
    #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"nobody\",NAME=\"x\"\r\n\
    #EXT-X-STREAM-INF:SCORE=2,AUDIO=\"hi\",FRAME-RATE=60.000,NEW=\"yes, really\",BANDWIDTH=5000000\r\n\
    # between\r\n\
    1080p60/v.m3u8?token=1\r\n\
    #EXT-X-STREAM-INF:BANDWIDTH=800000,AUDIO=\"lo\",RESOLUTION=640x360 \r\n\
    360p30/v.m3u8\r\n\
    #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=90000,URI=\"1080p60/i.m3u8\",AUDIO=\"hi\"\r\n\
    #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9000,URI=\"360p30/i.m3u8\"\r\n\
    #EXT-X-VENDOR:what=ever";

#[test]
fn an_edit_that_drops_nothing_keeps_every_byte() {
    for text in [
        RICH,
        &playlist(&usual(), "playlist.m3u8"),
        &format!("{}\n\n", playlist(&usual(), "p")),
    ] {
        assert_eq!(
            MultivariantPlaylist::parse(text)
                .unwrap()
                .without(|_| false),
            text
        );
    }
}

#[test]
fn a_dropped_variant_drops_exactly_the_lines_that_only_it_used() {
    let edited = MultivariantPlaylist::parse(RICH)
        .unwrap()
        .without(|uri| uri.starts_with("1080p60/"));
    let dropped: Vec<&str> = RICH
        .split_inclusive('\n')
        .filter(|line| !edited.contains(line))
        .collect();
    insta::assert_debug_snapshot!(dropped, @r###"
    [
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"hi\",NAME=\"English\",DEFAULT=NO,AUTOSELECT=NO,URI=\"audio-hi/a.m3u8\"\r\n",
        "#EXT-X-STREAM-INF:SCORE=2,AUDIO=\"hi\",FRAME-RATE=60.000,NEW=\"yes, really\",BANDWIDTH=5000000\r\n",
        "1080p60/v.m3u8?token=1\r\n",
        "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=90000,URI=\"1080p60/i.m3u8\",AUDIO=\"hi\"\r\n",
    ]
    "###);
    assert_eq!(edited.len(), RICH.len() - dropped.concat().len());
}

#[test]
fn a_group_that_a_kept_variant_shares_is_kept() {
    let shared = RICH.replace("AUDIO=\"lo\",RES", "AUDIO=\"hi\",RES");
    let edited = MultivariantPlaylist::parse(&shared)
        .unwrap()
        .without(|uri| uri.starts_with("1080p60/"));
    assert!(edited.contains("GROUP-ID=\"hi\""));
}

#[test]
fn dropping_the_last_variant_keeps_the_line_end_before_it() {
    let text = playlist(&usual(), "playlist.m3u8");
    let edited = MultivariantPlaylist::parse(&text)
        .unwrap()
        .without(|uri| uri.starts_with("160p30/"));
    assert_eq!(
        edited,
        format!("{}\n", playlist(&usual()[..3], "playlist.m3u8"))
    );
}

/// m3u8-rs parses most of these without an error, but wrongly: a URI moves to another variant.
#[test]
fn a_line_that_cannot_be_parsed_completely_is_an_error_with_its_number() {
    let stream = "#EXT-X-STREAM-INF:BANDWIDTH=1\na/p.m3u8\n";
    let rows = [
        (String::new(), 1),
        (stream.to_owned(), 1),
        ("#EXTM3U\n".to_owned(), 1),
        (
            format!("#EXTM3U\n{stream}#EXT-X-STREAM-INF:BANDWIDTH=2,FRAME-RATE=\"30\"\nb/p.m3u8\n"),
            4,
        ),
        (
            format!(
                "#EXTM3U\n{stream}#EXT-X-STREAM-INF:BANDWIDTH=2,RESOLUTION=1280X720\nb/p.m3u8\n"
            ),
            4,
        ),
        (
            format!("#EXTM3U\n{stream}#EXT-X-STREAM-INF:BANDWIDTH=2,CODECS=\"\"\nb/p.m3u8\n"),
            4,
        ),
        (
            format!("#EXTM3U\n{stream}#EXT-X-STREAM-INF:BANDWIDTH=2.5\nb/p.m3u8\n"),
            4,
        ),
        (
            format!("#EXTM3U\n{stream}#EXT-X-STREAM-INF:CODECS=\"x\"\nb/p.m3u8\n"),
            4,
        ),
        (
            format!("#EXTM3U\n{stream}#EXT-X-STREAM-INF:BANDWIDTH\nb/p.m3u8?a=b\n"),
            4,
        ),
        (
            format!("#EXTM3U\n{stream}#EXT-X-STREAM-INF:BANDWIDTH=2\n"),
            4,
        ),
        (
            format!("#EXTM3U\n{stream}#EXT-X-STREAM-INF:BANDWIDTH=2\n#EXT-X-NEW\nb/p.m3u8\n"),
            5,
        ),
        (format!("#EXTM3U\n{stream}stray/p.m3u8\n"), 4),
        (
            format!("#EXTM3U\n{stream}#EXT-X-MEDIA:TYPE=AUDIO,NAME=\"no group\"\n"),
            4,
        ),
        (
            format!("#EXTM3U\n{stream}#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1\n"),
            4,
        ),
        (format!("#EXTM3U\n{stream}#EXTINF:10,\n0.ts\n"), 4),
        (format!("#EXTM3U\n{stream} b/p.m3u8\n"), 4),
        (format!("#EXTM3U\n{stream}# a\rb\n"), 4),
        (
            format!("#EXTM3U\n{stream}{}", "#\n".repeat(MAX_PLAYLIST_BYTES)),
            1,
        ),
    ];
    for (text, line) in rows {
        let error = MultivariantPlaylist::parse(&text).expect_err(&text);
        assert_eq!(
            error.line,
            line,
            "{error}\n{}",
            text.get(..200).unwrap_or(&text)
        );
    }
}
