"""Jobs of this server's users, done by the shortest honest calls, here and on servers without its help.

`python -m tests.evaluations` prints what each job costs a model: calls, and tokens of what it reads. No model runs;
with `--model` one does, and is judged by the same checks.
"""
