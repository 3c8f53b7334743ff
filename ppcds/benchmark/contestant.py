"""The process of a Contestant: python contestant.py FILE FUNCTION JSON. It imports nothing of ppcds itself.

Importing ppcds sets up the processor, which the notebook's way has to go without.
"""

import json
import os
import runpy
import sys

if __name__ == "__main__":
    file, make, text = sys.argv[1:]
    sys.path.pop(0)  # this folder, whose names are not to be found by `import`
    given = json.loads(text)
    if given["cores"] is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, given["cores"])
    work = runpy.run_path(file)[make](**given["options"])
    for _ in sys.stdin:
        print("took", work(), flush=True)
