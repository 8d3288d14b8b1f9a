"""What the command line does; a file for each thing that commands are about, in the order of `--help`."""

from importlib import import_module

for _name in ("learn", "episodes", "worlds", "agents", "measure"):
    import_module(f".{_name}", __name__)
