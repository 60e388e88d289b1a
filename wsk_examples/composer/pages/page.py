LINES, PER_PAGE = [f"line {number}" for number in range(23)], 5


def main(args):
    start = args["next"]
    end = start + PER_PAGE
    return {"lines": LINES[start:end], "next": end if end < len(LINES) else None}
