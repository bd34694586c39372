"""The command line: one command per stage and per user task. Nothing heavy is imported before a command runs."""
