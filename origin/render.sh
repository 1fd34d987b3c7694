#!/bin/sh
# Writes the configuration of one or several programs into $PREFIX/etc, and replaces ${NAME} by the values of
# settings.env or of the environment: nginx itself cannot listen on a variable's address.
#
#   PREFIX=/srv/onair origin/render.sh rtmp web proxy
set -eu
here=$(cd "$(dirname "$0")" && pwd)

while IFS='=' read -r name value; do
	case $name in '' | \#*) continue ;; esac
	eval "known=\${$name+set}"
	[ -n "$known" ] || eval "$name=$value"
	export "${name?}"
done < "$here/settings.env"

ORIGIN=$here
# The user who renders also runs nginx. As root, nginx's workers could not write where only root may write.
RUN_AS="$(id -un) $(id -gn)"

# nginx-rtmp begins a segment at the first key frame after this time. With the segment's own length it would miss a
# key frame that is a millisecond early (29.97 frames/s), and the segment would be twice as long.
FRAGMENT_MS=$((SEGMENT_S * 750))
# Without a key frame, nginx-rtmp ends the segment at this time and logs an error.
MAX_FRAGMENT_MS=$((SEGMENT_S * 3000))
# Twelve segments: nginx-rtmp divides this by FRAGMENT_MS.
PLAYLIST_MS=$((FRAGMENT_MS * 12))

VARIANTS=
for rung in $LADDER; do
	IFS=: read -r name height kbits <<-END
		$rung
	END
	# The picture's highest rate, 128 kbit/s of sound, and the overhead of MPEG-TS.
	bandwidth=$(((kbits * 11 / 10 + 128) * 1100))
	width=$((height * 16 / 18 * 2))
	VARIANTS="$VARIANTS
            hls_variant _$name BANDWIDTH=$bandwidth RESOLUTION=${width}x$height;"
done
UPSTREAMS=
for server in $WEB_SERVERS; do
	UPSTREAMS="$UPSTREAMS
        server $server max_fails=1 fail_timeout=2s;"
done
BELIEVED=
for address in $TRUSTED; do
	BELIEVED="$BELIEVED
    set_real_ip_from $address;"
done
# The proxy logs viewers. A web server logs them only if no proxy of On Air is in front of it (ansible/).
ACCESS_LOG='access_log off;'
export ORIGIN RUN_AS ACCESS_LOG FRAGMENT_MS MAX_FRAGMENT_MS PLAYLIST_MS VARIANTS UPSTREAMS BELIEVED

mkdir -p "$PREFIX/etc" "$PREFIX/log" "$PREFIX/run" "$PREFIX/hls" "$PREFIX/cache"
if [ ! -s "$PREFIX/etc/secret.conf" ]; then
	(
		umask 077
		secret=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
		printf 'set $publish_secret "%s";\n' "$secret" > "$PREFIX/etc/secret.conf"
	)
fi
for program in "$@"; do
	awk '{
		line = ""
		while (match($0, /\$\{[A-Z_0-9]+\}/)) {
			name = substr($0, RSTART + 2, RLENGTH - 3)
			if (!(name in ENVIRON)) { print FILENAME ": " name " is not set" > "/dev/stderr"; exit 1 }
			line = line substr($0, 1, RSTART - 1) ENVIRON[name]
			$0 = substr($0, RSTART + RLENGTH)
		}
		print line $0
	}' "$here/nginx/$program.conf" > "$PREFIX/etc/$program.conf"
done
