#!/bin/sh
# Renders the configuration of one nginx and runs it in the foreground. Its logs are in $PREFIX/log:
#
#   PREFIX=$HOME/onair origin/start.sh rtmp|web|proxy
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export PREFIX="${PREFIX:-/var/lib/onair}"
# Debian installs nginx in a folder that is only in root's PATH.
export PATH="$PATH:/usr/sbin"
"$here/render.sh" "$1"
exec nginx -e stderr -p "$PREFIX" -c "$PREFIX/etc/$1.conf"
