"""The protocol without I/O: bytes and the time go in, bytes and outcomes come out."""
