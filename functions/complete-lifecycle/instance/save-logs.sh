#!/bin/bash
# Saves the access logs of an instance that terminates. Runs as root.
# Any failure stops the script, and the instance is retained.
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
  echo "instance $instance expected, but this is $AWS_SSM_INSTANCE_ID: send the command to $instance" >&2
  exit 1
fi
export AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-${AWS_SSM_REGION_NAME:?is not set}}
export AWS_RETRY_MODE=standard AWS_MAX_ATTEMPTS=5

cd -- "$directory"
# A second run waits until the first has ended.
exec 9< .
flock --wait 300 9
shopt -s nullglob

name_of() {
  local name
  read -r name 2> /dev/null < "/proc/$1/comm" && echo "$name" || true
}
# IDs of all processes that have one of these files open for writing.
writers_of() {
  local fd log pid
  for fd in /proc/[0-9]*/fd/*; do
    for log in "$@"; do
      [[ $fd -ef $log ]] || continue
      # If the file is open for reading only, the last octal digit is 0 or 4, and grep returns 1.
      # A process that cannot be inspected counts as a writer. If it has ended, the next pass does not find it.
      grep -qs '^flags:.*[1-35-7]$' "${fd/\/fd\///fdinfo/}" || (($? > 1)) || continue
      pid=${fd#/proc/}
      echo "${pid%%/*}"
    done
  done | sort -nu
}

for log in *access*.log; do
  [[ -f $log && ! -L $log ]] || continue
  before=("$log-$run"*)
  # A second run finds the log that the first run renamed. Lines that were written since then go into another file.
  if [[ ! -s $log && ${#before[@]} -gt 0 ]]; then continue; fi
  name=$log-$run
  for ((n = 2; ; n++)); do
    [[ -e $name || -e $name.gz ]] || break
    name=$log-$run-$n
  done
  mv -- "$log" "$name"
done
# This includes logs of earlier days, and logs that an interrupted run renamed.
rotated=()
for log in *access*.log[-.]*; do
  [[ -f $log && ! -L $log && $log != *.gz ]] || continue
  rotated+=("$log")
done
# nginx writes to the renamed file until its main process gets USR1 and reopens its logs.
# A log must not be compressed while a process writes to it: later lines would be lost.
for ((n = 0; ${#rotated[@]} > 0; n++)); do
  writers=$(writers_of "${rotated[@]}")
  [[ -n $writers ]] || break
  if ((n == 50)); then
    for pid in $writers; do echo "process $pid ($(name_of "$pid")) still writes to a renamed log: stop it" >&2; done
    exit 1
  fi
  for pid in $writers; do
    [[ $(name_of "$pid") == nginx ]] || continue
    parent=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status" 2> /dev/null || true)
    if [[ $(name_of "$parent") == nginx ]]; then pid=$parent; fi
    kill -USR1 "$pid" 2> /dev/null || true
  done
  sleep 0.2
done

# A run that was killed leaves a .gz beside its file. --force overwrites it.
for log in "${rotated[@]}"; do
  gzip --no-name --force -- "$log"
done

# Only in an assignment, sum=$(base64_of ...), does a failure stop the script.
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
    echo "log name $(printf %q "$log") is not accepted: rename the file to letters, digits, '.', '_' and '-' (not first)" >&2
    exit 1
  fi
  sum=$(sha256sum < "$log")
  sum=$(base64_of "${sum%% *}")
  bytes=$(stat -c %s -- "$log")
  # S3 rejects a body that has another checksum.
  put "$log" "$log" application/gzip "$sum"
  list+="${list:+,}{\"name\":\"$log\",\"bytes\":$bytes,\"sha256\":\"$sum\"}"
  files=$((files + 1))
  total=$((total + bytes))
done
if ((files == 0)); then
  echo "no access log (*access*.log) found in $directory: check LogDirectory" >&2
  exit 1
fi
printf '{"instance":"%s","files":[%s]}' "$instance" "$list" > "$manifest"
sum=$(sha256sum < "$manifest")
sum=${sum%% *}
# The checksum is part of the name, so that a later run does not overwrite the manifest of this run.
base64=$(base64_of "$sum")
put "manifest-$sum.json" "$manifest" application/json "$base64"
echo "onair-manifest sha256=$sum files=$files bytes=$total"
