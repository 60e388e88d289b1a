def main(args):
    return {"total": args["total"], "overlapped": args["began_s"] < args["ended_s"]}
