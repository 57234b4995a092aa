"""Logging of a run: batches, their spool on disk, and the thread that sends them."""
