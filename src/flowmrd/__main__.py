"""``python -m flowmrd``."""

from flowmrd.cli.app import main

main()
