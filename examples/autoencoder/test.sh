#!/bin/sh
# What the autoencoder promises besides learning: a resumed run ends with the same files, byte for byte; Ctrl-C saves;
# mistakes end with exit code 2 and one line.   usage: test.sh PROGRAM
set -eu
program=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
train() { "$program" --data shapes --limit 100 --batch-size 20 --threads 2 "$@"; }

train --epochs 2 --output "$out/straight"
train --epochs 2 --output "$out/resumed" --stop-after 5    # at the end of the first epoch
train --output "$out/resumed" --resume --stop-after 7      # in the middle of the second
train --output "$out/resumed" --resume
for file in checkpoint.safetensors metrics.csv reconstructions.png loss.svg; do
  cmp "$out/straight/$file" "$out/resumed/$file" || fail "$file differs after resuming"
done

code=0
train --output "$out/resumed" --resume --seed 9 2>"$out/message" || code=$?
[ $code = 1 ] && grep -q "started with --seed 1, not 9" "$out/message" || fail "another seed was not refused"

# Not through the function: $! would be a shell that waits for the program.
"$program" --data shapes --limit 100 --threads 2 --epochs 100000 --output "$out/interrupted" >"$out/log" &
tries=0
while ! [ -e "$out/interrupted/checkpoint.safetensors" ]; do
  tries=$((tries + 1))
  [ $tries -lt 600 ] || { kill $!; fail "no checkpoint after a minute"; }
  sleep 0.1
done
kill -INT $!
code=0
wait $! || code=$?
[ $code = 130 ] && grep -q "go on with --resume" "$out/log" || fail "an interrupt ended with $code"
[ "$(ls "$out/interrupted" | wc -l)" = 4 ] || fail "an interrupt left other files than it should"

code=0
"$program" --epochs many 2>"$out/message" || code=$?
[ $code = 2 ] && [ "$(wc -l <"$out/message")" = 1 ] || fail "a mistake ended with $code"
echo "ok"
