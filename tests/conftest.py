"""What holds for every test."""

from hypothesis import settings

# A generated example may be slow because the machine is busy; that is no failure of the program.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
