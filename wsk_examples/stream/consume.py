import io
import time

from action_runtime import open_input


def main(args):
    total, began_s = 0, None
    with io.BufferedReader(open_input("lines")) as lines:
        for line in lines:
            began_s = began_s or time.time()
            total += int(line)
    return {"began_s": began_s, "total": total}
