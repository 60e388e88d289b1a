#!/usr/bin/env bash
# A web action: a workflow makes a page for whoever asks, without a key. Prints the page and, as `.json`, its result.
cd "$(dirname "$0")" && EXAMPLE=web && . ../common.sh

for name in shelf card page; do deploy "$name" "$name.py"; done
deploy web workflow.yaml dataflow:1
publish web
browse web.html input.json >&2 && echo >&2
compare "$(browse web.json input.json)"
