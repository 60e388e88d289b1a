#!/usr/bin/env bash
# Looks up all prices of a basket at once: `map`, which needs no Redis here; an error is one element of the result.
cd "$(dirname "$0")" && EXAMPLE=prices && . ../../common.sh && . ../composer.sh

deploy price price.py
composition prices
compare "$(invoke prices input.json)"
