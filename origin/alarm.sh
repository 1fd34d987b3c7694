#!/bin/sh
# Prints each stream that has no new segments and the probable cause. Exits with 1 if there is one. For a timer or a monitor.
# A stream that has ended is printed until nginx-rtmp has deleted its files, about 20 s.
#
#   alarm.sh HLS_FOLDER LIMIT_S
set -eu
folder=$1 limit_s=$2
now=$(date +%s)
found=0

for playlist in "$folder"/*/index.m3u8; do
	written=$(stat -c %Y "$playlist" 2> /dev/null) || continue
	age_s=$((now - written))
	[ "$age_s" -gt "$limit_s" ] || continue
	found=1
	stream=$(basename "$(dirname "$playlist")")
	newest=$(ls -t "$(dirname "$playlist")" | sed -n '/\.ts$/{p;q}')
	file=$(dirname "$playlist")/$newest
	if [ -n "$newest" ] && [ $((now - $(stat -c %Y "$file"))) -le 2 ]; then
		echo "$stream: no key frame for $age_s s: $newest has $(stat -c %s "$file") bytes and still grows"
	else
		echo "$stream: stalled for $age_s s: no camera publishes, or the ladder has ended"
	fi
done
exit "$found"
