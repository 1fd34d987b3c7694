#!/bin/bash
# As root, on an instance that is about to go. Whatever does not succeed ends it, and the instance stays.
set -euo pipefail
umask 077
export LC_ALL=C
bucket='{{ Bucket }}'
prefix='{{ Prefix }}'
directory='{{ Directory }}'
run=${prefix##*/}
instance=${prefix%/*}
instance=${instance##*/}
if [[ ${AWS_SSM_INSTANCE_ID:-$instance} != "$instance" ]]; then
  echo "this is $AWS_SSM_INSTANCE_ID and not $instance" >&2
  exit 1
fi
export AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-${AWS_SSM_REGION_NAME:?is not set}}
export AWS_RETRY_MODE=standard AWS_MAX_ATTEMPTS=5

cd -- "$directory"
# Nobody else does the same here meanwhile.
exec 9< .
flock --wait 300 9
shopt -s nullglob

called() {
  local name
  read -r name 2> /dev/null < "/proc/$1/comm" && echo "$name" || true
}
# IDs of all processes that write into one of these files.
writers_of() {
  local fd log pid
  for fd in /proc/[0-9]*/fd/*; do
    for log in "$@"; do
      [[ $fd -ef $log ]] || continue
      # Opened for reading alone (1: no such line): the last of these octal digits is 0 or 4. Whoever cannot be
      # asked may write; if it is gone, it is not found the next time.
      grep -qs '^flags:.*[1-35-7]$' "${fd/\/fd\///fdinfo/}" || (($? > 1)) || continue
      pid=${fd#/proc/}
      echo "${pid%%/*}"
    done
  done | sort -nu
}

for log in *access*.log; do
  [[ -f $log && ! -L $log ]] || continue
  before=("$log-$run"*)
  # A second run finds what the first has put aside; what was written since is put beside it.
  if [[ ! -s $log && ${#before[@]} -gt 0 ]]; then continue; fi
  name=$log-$run
  for ((n = 2; ; n++)); do
    [[ -e $name || -e $name.gz ]] || break
    name=$log-$run-$n
  done
  mv -- "$log" "$name"
done
# Those of earlier days, too: nothing else has saved them; and those that a run before has put aside and left.
rotated=()
for log in *access*.log[-.]*; do
  [[ -f $log && ! -L $log && $log != *.gz ]] || continue
  rotated+=("$log")
done
# nginx writes on into the same file until it is told to open its logs anew (USR1 to its first process). A file
# that somebody writes into must not be packed: what came after would be lost.
for ((n = 0; ${#rotated[@]} > 0; n++)); do
  writers=$(writers_of "${rotated[@]}")
  [[ -n $writers ]] || break
  if ((n == 50)); then
    for pid in $writers; do echo "process $pid ($(called "$pid")) still writes into a log that was put aside" >&2; done
    exit 1
  fi
  for pid in $writers; do
    [[ $(called "$pid") == nginx ]] || continue
    parent=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status" 2> /dev/null || true)
    if [[ $(called "$parent") == nginx ]]; then pid=$parent; fi
    kill -USR1 "$pid" 2> /dev/null || true
  done
  sleep 0.2
done

# A .gz beside its file is left of a killed run.
for log in "${rotated[@]}"; do
  gzip --no-name --force -- "$log"
done

# Only as a value of its own (sum=$(base64_of ...)), where a failure is one.
base64_of() {
  local escaped
  escaped=$(sed 's/../\\x&/g' <<< "$1") && printf %b "$escaped" | base64 -w 0
}
put() {
  aws s3api put-object --bucket "$bucket" --key "$prefix/$1" --body "$2" --content-type "$3" \
    --checksum-algorithm SHA256 --checksum-sha256 "$4" > /dev/null
}

manifest=$(mktemp)
trap 'rm -f -- "$manifest" || true' EXIT
files=0
total=0
list=
for log in *access*.log[-.]*gz; do
  [[ -f $log && ! -L $log ]] || continue
  if [[ ! $log =~ ^[A-Za-z0-9_][A-Za-z0-9._-]*$ ]]; then
    echo "a log has a name that cannot be saved: $(printf %q "$log")" >&2
    exit 1
  fi
  sum=$(sha256sum < "$log")
  sum=$(base64_of "${sum%% *}")
  bytes=$(stat -c %s -- "$log")
  # S3 refuses it if what arrives has another sum.
  put "$log" "$log" application/gzip "$sum"
  list+="${list:+,}{\"name\":\"$log\",\"bytes\":$bytes,\"sha256\":\"$sum\"}"
  files=$((files + 1))
  total=$((total + bytes))
done
if ((files == 0)); then
  echo "there is no access log in $directory" >&2
  exit 1
fi
printf '{"instance":"%s","files":[%s]}' "$instance" "$list" > "$manifest"
sum=$(sha256sum < "$manifest")
sum=${sum%% *}
# Called by its sum: another run's has another name, so that what each has printed stays true.
base64=$(base64_of "$sum")
put "manifest-$sum.json" "$manifest" application/json "$base64"
echo "onair-manifest sha256=$sum files=$files bytes=$total"
