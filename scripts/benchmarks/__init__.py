"""What ``scripts/bench.py`` measures: one file a measurement, with a ``TITLE`` and ``measure(setting) -> Measured``.

A new measurement is a file here and a line in ``MEASUREMENTS``. It is run in a process of its own, raises ``Absent``
where something that it needs is missing, and takes seconds where ``setting.tiny``.
"""

from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent.parent
"""Where Python has to look to find this package."""
MEASUREMENTS = {
    "vllm": "benchmarks.vllm_engine",
    "batching": "benchmarks.batching",
    "judging": "benchmarks.judging",
    "training": "benchmarks.training",
    "pipeline": "benchmarks.pipeline",
    "viewer": "benchmarks.viewer",
}
"""Name on the command line -> module."""
