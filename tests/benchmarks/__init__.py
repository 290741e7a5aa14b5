"""Speed, memory and tokens of the server against a bare one, and peers, in one table: `python -m tests.benchmarks`.

Every number that has a target is a ratio to the baseline, measured in the same minutes on the same machine. Run it from
the root of the repository, in the environment that has the project and its development requirements.
"""
