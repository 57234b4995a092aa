"""Reads that take several calls, for both faces of the client."""
