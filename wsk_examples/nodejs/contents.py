def main(args):
    return {"contents": [f"[{title}](#{slug})" for title, slug in zip(args["titles"], args["slugs"], strict=True)]}
