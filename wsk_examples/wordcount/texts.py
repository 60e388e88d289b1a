"""Prints the parameters of the workflow: {"texts": {name: text}}.

With files, those; without, the language reference that ships inside every Python, one text a topic.
"""

import json
import sys
from pathlib import Path


def texts(files):
    if files:
        return {Path(file).name: Path(file).read_text(encoding="utf-8") for file in files}
    from pydoc_data.topics import topics

    return dict(topics)


if __name__ == "__main__":
    json.dump({"texts": texts(sys.argv[1:])}, sys.stdout)
