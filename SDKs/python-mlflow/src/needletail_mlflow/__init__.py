"""MLflow on Needletail.

MLflow finds this package by its entry points: with it installed,
`MLFLOW_TRACKING_URI=needletail://host:7443/project` is all that existing code needs.
"""

from needletail_mlflow._version import check_mlflow

__version__ = "0.1.0"

check_mlflow()
