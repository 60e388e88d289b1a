#!/usr/bin/env bash
# An API in front of a web action: a path and a method of its own, served by the gateway without a key.
cd "$(dirname "$0")" && EXAMPLE=api && . ../common.sh

deploy api api.py
publish api
route POST /greetings api
compare "$(curl --silent --show-error --fail-with-body --max-time 90 \
  --header 'Content-Type: application/json' --data-binary @input.json "$url")"
