internal import Client
internal import Messages
internal import Synchronization

/// What is called, and how much of it.
struct LoadPlan: Sendable {
  /// When a loop stops starting calls.
  enum End: Sendable {
    case after(Duration)
    /// So many calls of all loops together.
    case calls(Int)
  }

  let endpoint: Endpoint
  let method: MethodDescriptor
  /// The request, the same for every call.
  let message: [UInt8]
  /// Connections of all loops together.
  let connections: Int
  /// Calls that each connection has under way.
  let inFlight: Int
  let loops: Int
  /// How often each call under way begins again; nil: as soon as it has its answer.
  let pace: Duration?
  /// Whether calls that change something carry an idempotency key.
  let sendsKeys: Bool
  /// nil: the connections are only held.
  let end: End?
  /// What begins so soon after the start is not counted.
  let lead: Duration
  /// What is appended on streams, instead of calls that are made.
  var append: AppendPlan?

  /// The part of a whole that a loop has of it.
  func share(of whole: Int, loop: Int) -> Int {
    whole / loops + (loop < whole % loops ? 1 : 0)
  }
}

/// What one loop, or all together, saw.
struct LoadResult: Sendable {
  /// Answered calls, or acknowledged batches.
  var calls: UInt64 = 0
  var errors: UInt64 = 0
  /// From the first start to the last answer.
  var seconds = 0.0
  var latencies = Histogram()
  /// One of the errors.
  var example: ClientError?

  mutating func add(_ other: LoadResult) {
    calls += other.calls
    errors += other.errors
    seconds = max(seconds, other.seconds)
    latencies.add(other.latencies)
    example = example ?? other.example
  }
}

/// Where the loops wait for one another until every connection is open.
final class LoadGate: Sendable {
  private let missing: Atomic<Int>
  private let failure = Mutex<ClientError?>(nil)

  init(connections: Int) { missing = Atomic(connections) }

  /// A connection is open.
  func arrive() { missing.subtract(1, ordering: .acquiringAndReleasing) }

  /// A connection cannot be opened: nobody goes on.
  func fail(_ error: ClientError) { failure.withLock { $0 = $0 ?? error } }

  var isOpen: Bool { missing.load(ordering: .acquiring) == 0 }
  var error: ClientError? { failure.withLock { $0 } }
}
