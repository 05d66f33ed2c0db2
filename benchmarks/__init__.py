"""Timings of ways to do the same work, side by side: `python -m benchmarks.engine` and so on. Not packaged."""
