"""Bringing data over: whatever an MLflow server keeps, copied to Needletail and compared.

It is `needletail-import-mlflow`, and `needletail import mlflow`, which starts that. An import may
be stopped at any time and run again: what is there is found by its tag, and what is missing is
written.
"""

SOURCE_TAG = "needletail.import.source"
"""Tag of what was imported: the name of the source, a / and the id there."""
