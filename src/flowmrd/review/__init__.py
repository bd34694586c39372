"""Review of results: signed decisions, kept in an append-only, hash-chained log.

A key with a passphrase takes it from the environment variable ``FLOWMRD_REVIEW_PASSPHRASE``, never from an argument.
"""
