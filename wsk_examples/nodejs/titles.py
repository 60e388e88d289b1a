from action_runtime import emit


def main(args):
    titles = [line.lstrip("# ") for line in args["text"].splitlines() if line.startswith("#")]
    for title in titles:
        emit("title", title)
    return {"titles": titles}
