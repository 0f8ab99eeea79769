"""What several extensions share; they find it because it lies beside them."""

import os
import sys


def status(message, *args):
    print(message % args)


def log(message):
    descriptor = int(os.environ["MORPH_LOG_FD"])
    os.write(descriptor, (message + "\n").encode("utf-8"))


def fail(message):
    print("ERROR: %s" % message)
    sys.exit(1)


def get_bool(name, default="no"):
    value = os.environ.get(name, default).lower()
    if value in ("yes", "true", "1"):
        return True
    if value in ("no", "false", "0", ""):
        return False
    fail("%s must be yes or no, not %r" % (name, value))
