"""Generators of code from the .proto and .sql files."""
