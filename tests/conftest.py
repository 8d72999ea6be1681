"""What holds for all tests."""

from hypothesis import settings

# How long an example takes is a matter of the machine: it may be busy with others.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")
