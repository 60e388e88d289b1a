from action_runtime import emit


def main(args):
    for title in args["titles"].split(","):
        emit("title", title.strip())
