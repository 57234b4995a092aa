"""The rules of form that no tool knows: what they look at, and what they look for."""
