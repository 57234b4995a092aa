"""The programs that Needletail is compared with. Each says so when it is not installed."""
