BANNED = {"darn", "heck"}


def main(args):
    words = [word.strip(".,!?") for word in args["comment"].split()]
    found = [word for word in words if word.lower() in BANNED]
    report = {"illegal": bool(found), "words": found, "comment": args["comment"]}
    return {"comment": args["comment"], "report": report}
