def main(args):
    return {"words": sorted(args["words"], key=str.lower)}
