"""Runs a program of ours with its allocations traced: `-m benchmarks.profiling.traced MODULE FILE ARGUMENT…`.

SIGUSR1 makes it write to FILE what is alive at that moment: bytes and blocks by source file, as JSON.
"""

import gc
import json
import runpy
import signal
import sys
import tracemalloc
from pathlib import Path


def _write(target: Path) -> None:
    gc.collect()
    alive = tracemalloc.take_snapshot().statistics("filename")
    draft = target.with_suffix(".draft")
    draft.write_text(json.dumps({one.traceback[0].filename: [one.size, one.count] for one in alive}))
    draft.rename(target)  # readers find it complete


def main() -> None:
    """Run the module as `python -m` does."""
    module, target, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    signal.signal(signal.SIGUSR1, lambda *_: _write(Path(target)))
    tracemalloc.start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
