#!/usr/bin/env bash
# A producer and a consumer that work at the same time, joined by a stream.
cd "$(dirname "$0")" && EXAMPLE=stream && . ../common.sh

for name in produce consume compare; do deploy "$name" "$name.py"; done
deploy stream workflow.yaml dataflow:1
compare "$(invoke stream input.json)"
