#!/usr/bin/env bash
# Counts words. run.sh: three small texts, compared with expected.json; run.sh FILE…: those files;
# run.sh --reference: the language reference that ships inside every Python.
files=()
[ $# -eq 0 ] || [ "$1" = --reference ] || mapfile -t files < <(realpath "$@")
cd "$(dirname "$0")" && EXAMPLE=wordcount && . ../common.sh

for name in start count merge; do deploy "$name" "$name.py"; done
deploy wordcount workflow.yaml dataflow:1
if [ $# -eq 0 ]; then
  compare "$(invoke wordcount <(python3 texts.py texts/*.txt))"
else
  invoke wordcount <(python3 texts.py "${files[@]}")
fi
