"""The client of Needletail.

`needletail.connect()` gives a client with a method for every call of the API,
`needletail.aio.connect()` its asyncio twin, and `needletail.run()` a training run to log to.
"""

from needletail import (
    aio,
    artifacts,
    datasets,
    downsampling,
    histories,
    identity,
    registry,
    rpc,
    searches,
    tracing,
    tracking,
)
from needletail._calls import (
    AsyncBidirectionalCall,
    AsyncClientStreamingCall,
    AsyncMessageStream,
    BidirectionalCall,
    ClientStreamingCall,
    MessageStream,
)
from needletail._login import login
from needletail._runs.active import ActiveRun
from needletail._runs.log import LogHandler
from needletail._runs.run import run
from needletail._runs.summary import RunSummary
from needletail._runs.sync import SyncReport, sync
from needletail._version import VERSION as __version__
from needletail.client import Client, connect
from needletail.downsampling import Bucket, DownsampledHistories, DownsampledHistory
from needletail.errors import (
    AbortedError,
    AlreadyExistsError,
    CallCancelledError,
    CallError,
    Code,
    DataLossError,
    DeadlineExceededError,
    FailedPreconditionError,
    FieldViolation,
    InternalError,
    InvalidArgumentError,
    NeedletailError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
    ResourceExhaustedError,
    SettingsError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
    UnknownError,
)
from needletail.histories import Histories, MetricHistory
from needletail.settings import Settings

__all__ = [
    "AbortedError",
    "ActiveRun",
    "AlreadyExistsError",
    "AsyncBidirectionalCall",
    "AsyncClientStreamingCall",
    "AsyncMessageStream",
    "BidirectionalCall",
    "Bucket",
    "CallCancelledError",
    "CallError",
    "Client",
    "ClientStreamingCall",
    "Code",
    "DataLossError",
    "DeadlineExceededError",
    "DownsampledHistories",
    "DownsampledHistory",
    "FailedPreconditionError",
    "FieldViolation",
    "Histories",
    "InternalError",
    "InvalidArgumentError",
    "LogHandler",
    "MessageStream",
    "MetricHistory",
    "NeedletailError",
    "NotFoundError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "RunSummary",
    "Settings",
    "SettingsError",
    "SyncReport",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownError",
    "__version__",
    "aio",
    "artifacts",
    "connect",
    "datasets",
    "downsampling",
    "histories",
    "identity",
    "login",
    "registry",
    "rpc",
    "run",
    "searches",
    "sync",
    "tracing",
    "tracking",
]
