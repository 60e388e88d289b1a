from html import escape


def main(args):
    return {"html": f"<li>{escape(args['title'])}</li>"}
