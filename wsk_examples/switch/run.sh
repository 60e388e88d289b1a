#!/usr/bin/env bash
# Moderates comments: a condition (`when`) decides per comment which way it takes, `any` joins the ways.
cd "$(dirname "$0")" && EXAMPLE=switch && . ../common.sh

for name in check mask publish; do deploy "$name" "$name.py"; done
deploy switch workflow.yaml dataflow:1
compare "$(invoke switch input.json)"
