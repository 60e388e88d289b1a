def main(args):
    return {"booked": False, "released": args["seat"], "reason": args["reason"]}
