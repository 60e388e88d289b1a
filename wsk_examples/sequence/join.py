def main(args):
    return {"text": " ".join(args["words"])}
