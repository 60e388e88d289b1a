def main(args):
    return {"words": args["text"].split()}
