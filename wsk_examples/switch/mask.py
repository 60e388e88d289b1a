def main(args):
    report = args["report"]
    comment = report["comment"]
    for word in report["words"]:
        comment = comment.replace(word, "*" * len(word))
    return {"comment": comment}
