#!/bin/sh
# Encodes the renditions of one stream: reads it from nginx-rtmp, and publishes each rendition there. nginx-rtmp starts
# this script when a camera publishes (exec_push), and ends it when the camera stops.
#
#   ladder.sh RTMP_PORT PREFIX SEGMENT_S LADDER NAME
set -eu
port=$1 prefix=$2 segment_s=$3 ladder=$4 name=$5

# A program that nginx-rtmp starts has no standard error.
exec >> "$prefix/log/ladder-$name.log" 2>&1

set --
for rung in $ladder; do
	IFS=: read -r rendition height kbits <<-END
		$rung
	END
	width=$((height * 16 / 18 * 2))
	# Key frames at the same times in all renditions, whatever key frames the camera sends: players change the rendition
	# at a key frame, and nginx-rtmp begins segments there.
	set -- "$@" -map 0:v:0 -map '0:a:0?' \
		-vf "scale=$width:$height:force_original_aspect_ratio=decrease,pad=$width:$height:-1:-1,format=yuv420p" \
		-c:v libx264 -preset veryfast -b:v "${kbits}k" -maxrate "$((kbits * 11 / 10))k" -bufsize "$((kbits * 2))k" \
		-force_key_frames "expr:gte(t,n_forced*$segment_s)" -sc_threshold 0 -bf 0 \
		-c:a aac -b:a 128k -ar 48000 -ac 2 \
		-flvflags no_duration_filesize -f flv "rtmp://127.0.0.1:$port/hls/${name}_$rendition"
done
exec ffmpeg -hide_banner -nostdin -loglevel warning -i "rtmp://127.0.0.1:$port/live/$name" "$@"
