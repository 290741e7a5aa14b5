"""Typical jobs of users, done with the fewest possible calls, on this server and on servers without its features.

`python -m tests.evaluations` prints the calls and the tokens that a model reads for each job. Scripts make the calls;
with `--model`, a model does, and the same checks apply.
"""
