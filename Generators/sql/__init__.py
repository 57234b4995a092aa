"""Makes typed Swift functions from the .sql files beside each service."""
