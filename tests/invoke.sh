#!/usr/bin/env bash
# Runs a function on this machine on one event, under cargo-lambda's stand-in for Lambda: `make invoke CASE=...`.
#
# The function uses the AWS account of the environment, as in Lambda: AWS_REGION, AWS_ACCESS_KEY_ID and the other
# credentials (`aws configure export-credentials --format env` prints them), AWS_ENDPOINT_URL. Its settings are environment
# variables as well. DRY_RUN is true unless it is set.
set -euo pipefail
cd "$(dirname "$0")/.."

case=${1:-}
event=${EVENT:-events/$case.json}
function=${case%%/*}
if [ -z "$case" ] || [ ! -d "functions/$function" ] || [ ! -f "$event" ]; then
	if [ -z "$case" ]; then
		echo "make invoke: CASE is not set. CASE is one of"
	elif [ ! -d "functions/$function" ]; then
		echo "make invoke: CASE=$case: the folder functions/$function does not exist. CASE is one of"
	else
		echo "make invoke: the file $event does not exist. EVENT names your own file; without it, CASE is one of"
	fi >&2
	find events -name '*.json' | sort | sed 's|events/\(.*\)\.json|  CASE=\1|' >&2
	exit 2
fi

python3 -m json.tool "$event" > /dev/null || { echo "make invoke: $event is not JSON" >&2; exit 2; }

if [ -z "${AWS_ACCESS_KEY_ID:-}" ] || [ -z "${AWS_REGION:-}" ]; then
	echo 'make invoke: credentials or AWS_REGION are not set. With a profile of the AWS CLI:' >&2
	echo '  eval "$(aws configure export-credentials --format env)"; export AWS_REGION=...' >&2
	exit 2
fi

export DRY_RUN=${DRY_RUN:-true}
if [ "$function" = prune-recording ]; then
	# The bucket of the files in events/; events of other buckets are refused.
	export RECORDING_BUCKETS=${RECORDING_BUCKETS:-r2s3-dev-channel-1-recordings}
	[ -n "${DELETE_RENDITIONS:-}" ] || export KEEP_RENDITIONS=${KEEP_RENDITIONS:-highest}
else
	# The channels of the files in events/, which are in us-west-2: in another region their alerts are ignored. Buckets and
	# endpoints have no default: the function's error names the missing ones.
	export PAIR=${PAIR:-show}
	channel=arn:aws:medialive:$AWS_REGION:111122223333:channel
	export SIDE_A_CHANNEL_ARN=${SIDE_A_CHANNEL_ARN:-$channel:123456} SIDE_A_PIPELINE=${SIDE_A_PIPELINE:-0}
	export SIDE_B_CHANNEL_ARN=${SIDE_B_CHANNEL_ARN:-$channel:654321} SIDE_B_PIPELINE=${SIDE_B_PIPELINE:-0}
fi

# Compiled first, so that the invocation does not wait for it.
cargo build --bin "$function"

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
address=(--invoke-address 127.0.0.1 --invoke-port "$port")
log=target/invoke.log
answer=target/invoke.answer
# Without --ignore-changes cargo-lambda would watch the whole tree, and restart the function at any change.
cargo lambda watch "${address[@]}" --ignore-changes > "$log" 2>&1 &
watch=$!
invoke=
# Ends the function that it started.
trap 'kill $watch $invoke 2> /dev/null || true; wait' EXIT
until (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do
	kill -0 "$watch" 2> /dev/null || { cat "$log" >&2; exit 1; }
	sleep 0.1
done

ended=0
cargo lambda invoke "$function" "${address[@]}" --data-file "$event" > "$answer" 2>&1 &
invoke=$!
# With a wrong setting, the function does not start, and cargo-lambda would wait for an answer without an end.
while kill -0 "$invoke" 2> /dev/null; do
	if grep -aq '^ERROR command exited' "$log"; then
		kill "$invoke"
		echo "make invoke: the function did not start; its log has the reason" > "$answer"
		break
	fi
	sleep 0.1
done
wait "$invoke" 2> /dev/null || ended=1
# cargo-lambda asks for a report to itself wherever a function fails.
sed '/^  Was this behavior unexpected/,$d' "$answer"
echo
echo "The function's log, from $log:"
grep -a '^{' "$log" || true
exit "$ended"
