#!/usr/bin/env bash
# Reads all pages of something: a loop whose test and bookkeeping are inline functions, around one action.
cd "$(dirname "$0")" && EXAMPLE=pages && . ../../common.sh && . ../composer.sh

deploy page page.py
composition pages
compare "$(invoke pages input.json)"
