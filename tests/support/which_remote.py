"""Which remote is that folder? Reads ``replican remote list --json``, prints the name; exits with 1 for none."""

import json
import os
import sys


def main() -> int:
    wanted = os.path.realpath(sys.argv[1])
    for remote in json.load(sys.stdin):
        if os.path.realpath(remote["url"]) == wanted:
            print(remote["name"])
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
