import time

from action_runtime import open_output


def main(args):
    with open_output("lines") as lines:
        for number in range(args["lines"]):
            lines.write(b"%d\n" % number)
            lines.flush()  # the consumer can read this line now
            time.sleep(0.1)  # stands for a slow source, such as a sensor
    return {"ended_s": time.time()}
