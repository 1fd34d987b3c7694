#!/bin/sh
# Renders the configuration of one of the nginx and becomes it, in the foreground and with its errors on the terminal:
#
#   PREFIX=$HOME/onair origin/start.sh rtmp|web|proxy
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export PREFIX="${PREFIX:-/var/lib/onair}"
"$here/render.sh" "$1"
exec nginx -e stderr -p "$PREFIX" -c "$PREFIX/etc/$1.conf"
