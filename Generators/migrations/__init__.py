"""Embeds the migrations in the Storage target."""
