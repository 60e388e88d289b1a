#!/usr/bin/env bash
# One plain action, as on any OpenWhisk.
cd "$(dirname "$0")" && EXAMPLE=hello && . ../common.sh

deploy hello hello.py
compare "$(invoke hello input.json)"
