def main(args):
    return {"line": f"{args['author']}: {args['comment']}"}
