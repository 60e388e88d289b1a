def main(args):
    return {"seat": f"{args['to'].upper()}-12A"}
