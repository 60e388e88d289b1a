def main(args):
    return {"greeting": f"Hello {args.get('name', 'stranger')}!"}
