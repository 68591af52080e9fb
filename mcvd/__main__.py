"""``python -m mcvd``: the command line."""

from mcvd.apps.cli.main import run

if __name__ == "__main__":
    run()
