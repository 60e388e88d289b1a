#!/usr/bin/env bash
# Steps in Python and in JavaScript, which hand data to each other like any others. The server needs node.
cd "$(dirname "$0")" && EXAMPLE=nodejs && . ../common.sh

for name in titles slug; do deploy "$name" "$name.js" nodejs:default; done
deploy contents contents.py
deploy nodejs workflow.yaml dataflow:1
compare "$(invoke nodejs input.json)"
