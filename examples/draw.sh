#!/bin/sh
# Draw a picture over the API with curl: order, watch, fetch.
#
#     sh examples/draw.sh "a red boat" boat.png [http://127.0.0.1:7860]
#
# Where the server asks for it, put a token into WEBUI_TOKEN (python webui.py user token NAME).
set -eu

prompt=$1
file=$2
address=${3:-http://127.0.0.1:7860}
key=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

call() {
    curl --silent --show-error --fail-with-body ${WEBUI_TOKEN:+--header "Authorization: Bearer $WEBUI_TOKEN"} "$@"
}

# A quotation mark or a backslash in the prompt would end the JSON text: both are written with a backslash.
text=$(printf '%s' "$prompt" | sed 's/\\/\\\\/g; s/"/\\"/g')
body="{\"prompt\": \"$text\", \"steps\": ${STEPS:-20}, \"width\": ${SIZE:-512}, \"height\": ${SIZE:-512}}"

# With a key the order may be sent again after a lost answer: it stays one job.
job=$(call --retry 3 --retry-connrefused --header "Idempotency-Key: $key" --header "Content-Type: application/json" \
    --data "$body" "$address/api/v1/jobs" | sed 's/^{"id": *"\([0-9a-f]*\)".*/\1/')

# The stream ends with the job; its last message is Finished or Failed.
call --no-buffer "$address/api/v1/jobs/$job/events" | sed -n 's/^data: //p' | sed 's/"data_uri".*//' >&2

call --output "$file" "$address/api/v1/jobs/$job/images/0"
echo "$file"
