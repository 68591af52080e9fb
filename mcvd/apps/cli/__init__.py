"""The `mcvd` command: a module for each of its commands, found by `mcvd.apps.cli.main`."""
