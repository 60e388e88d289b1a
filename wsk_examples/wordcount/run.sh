#!/usr/bin/env bash
# Counts the words of texts: one firing a text, each as soon as its text is emitted, and a sum of them all.
# run.sh: the small texts of input.json, compared with expected.json; run.sh FILE…: those files;
# run.sh --reference: the language reference that ships inside every Python.
files=()
[ $# -eq 0 ] || [ "$1" = --reference ] || mapfile -t files < <(realpath "$@")
cd "$(dirname "$0")" && EXAMPLE=wordcount && . ../common.sh

texts() { # [FILE…]: prints the parameters, {"texts": {name: text}}
  python3 - "$@" <<'PYTHON'
import json, pathlib, sys
if sys.argv[1:]:
    texts = {path.name: path.read_text(encoding="utf-8") for path in map(pathlib.Path, sys.argv[1:])}
else:
    from pydoc_data.topics import topics as texts
json.dump({"texts": texts}, sys.stdout)
PYTHON
}

for name in start count merge; do deploy "$name" "$name.py"; done
deploy wordcount workflow.yaml dataflow:1
if [ $# -eq 0 ]; then
  compare "$(invoke wordcount input.json)"
else
  invoke wordcount <(texts "${files[@]}")
fi
