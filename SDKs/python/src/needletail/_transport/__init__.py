"""Sockets and time for the engine: a thread of its own, or the application's event loop."""
