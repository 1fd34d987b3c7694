#!/bin/bash
# Runs as root on an instance that terminates. Any failure stops the script, and the instance is kept.
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
# Only one run at a time.
exec 9< .
flock --wait 300 9
shopt -s nullglob

called() {
  local name
  read -r name 2> /dev/null < "/proc/$1/comm" && echo "$name" || true
}
# IDs of all processes that have one of these files open for writing.
writers_of() {
  local fd log pid
  for fd in /proc/[0-9]*/fd/*; do
    for log in "$@"; do
      [[ $fd -ef $log ]] || continue
      # The last octal digit of a file that is open for reading only is 0 or 4 (then grep returns 1).
      # A process that cannot be inspected counts as a writer. A process that has ended is not found in the next pass.
      grep -qs '^flags:.*[1-35-7]$' "${fd/\/fd\///fdinfo/}" || (($? > 1)) || continue
      pid=${fd#/proc/}
      echo "${pid%%/*}"
    done
  done | sort -nu
}

for log in *access*.log; do
  [[ -f $log && ! -L $log ]] || continue
  before=("$log-$run"*)
  # A second run finds the log that the first has renamed. Lines that were written since get a name of their own.
  if [[ ! -s $log && ${#before[@]} -gt 0 ]]; then continue; fi
  name=$log-$run
  for ((n = 2; ; n++)); do
    [[ -e $name || -e $name.gz ]] || break
    name=$log-$run-$n
  done
  mv -- "$log" "$name"
done
# Includes logs of earlier days, and logs that an interrupted run left.
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
    for pid in $writers; do echo "process $pid ($(called "$pid")) still writes to a renamed log: stop it" >&2; done
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

# A .gz beside its file is left by a run that was killed.
for log in "${rotated[@]}"; do
  gzip --no-name --force -- "$log"
done

# Call it only as sum=$(base64_of ...): there a failure stops the script.
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
  # S3 refuses a body that has another checksum.
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
# Named by its checksum: a later run writes another manifest, and the one that this run printed stays.
base64=$(base64_of "$sum")
put "manifest-$sum.json" "$manifest" application/json "$base64"
echo "onair-manifest sha256=$sum files=$files bytes=$total"
