import re
from collections import Counter

WORD = re.compile(r"[a-z]+")


def main(args):
    return {"words": Counter(WORD.findall(args["file"].lower()))}
