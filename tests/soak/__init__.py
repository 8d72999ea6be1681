"""A soak and fault test: ``python -m tests.soak --seconds N``.

Friends chat by a model and check every message, while foes do to the same server what
they can. Afterwards nothing may be lost or doubled, and nothing left behind.
"""
