"""Needletail measured beside its peers, on one machine and in one run. See README.md."""
