#!/usr/bin/env bash
# A stock sequence: each action gets the whole result of the one before it. It runs as a chain of data-flow steps.
cd "$(dirname "$0")" && EXAMPLE=sequence && . ../common.sh

for name in split sort join; do deploy "$name" "$name.py"; done
read -ra components <sequence.txt
chain sequence "${components[@]}"
compare "$(invoke sequence input.json)"
