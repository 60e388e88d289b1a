#!/usr/bin/env bash
# A stock sequence: each action gets the whole result of the one before it. It runs as a chain of data-flow steps.
cd "$(dirname "$0")" && EXAMPLE=sequence && . ../common.sh

for name in split sort join; do deploy "$name" "$name.py"; done
chain sorted split sort join
compare "$(invoke sorted <(echo '{"text": "the quick brown Fox jumps over the lazy Dog"}'))"
