"""A workflow that counts words, an `each` and a `gather` of few words, for tests of whole servers."""

from __future__ import annotations

from typing import Final

TEXT: Final = """
dataflow: 1
steps:
  start: {action: start, inputs: {texts: $run.texts}}
  count: {action: count, inputs: {text: {each: start.text}}}
  merge: {action: merge, inputs: {counts: {gather: count.words}}}
result: merge
"""
ACTIONS: Final = {
    "start": """
        from action_runtime import emit

        def main(args):
            for text in args["texts"]:
                emit("text", text)
        """,
    "count": """
        from collections import Counter

        def main(args):
            return {"words": Counter(args["text"].split())}
        """,
    "merge": """
        from collections import Counter

        def main(args):
            return {"words": sum(map(Counter, args["counts"]), Counter())}
        """,
}
