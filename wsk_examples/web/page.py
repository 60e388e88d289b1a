def main(args):
    return {"html": f"<!doctype html><title>Books</title><ul>{''.join(args['cards'])}</ul>"}
