/// Counts of one loop, added up over the loops when somebody asks.
public struct ServerMetrics: Sendable {
  /// Counts of one method.
  public struct MethodMetrics: Sendable {
    /// Calls that were started.
    public var started: UInt64 = 0
    /// Calls that ended, by canonical code number.
    public var ended = [UInt64](repeating: 0, count: 17)
    /// Calls that ended, by duration: bucket i counts those below 2^i microseconds.
    public var durations = [UInt64](repeating: 0, count: ServerMetrics.durationBuckets)
    /// The sum of all durations in microseconds.
    public var durationSumMicroseconds: UInt64 = 0
  }

  /// How many duration buckets there are; the last one, 2^26 microseconds, is about a minute.
  public static let durationBuckets = 27

  /// By method index.
  public var methods: [MethodMetrics]
  /// Open connections.
  public var connections = 0
  /// Connections accepted.
  public var connectionsAccepted: UInt64 = 0
  /// TLS handshakes that failed or took too long.
  public var handshakeFailures: UInt64 = 0
  /// Hellos that were refused.
  public var helloRefused: UInt64 = 0
  /// Connections that broke a rule of the protocol.
  public var protocolErrors: UInt64 = 0
  /// Connections dropped because the peer did not read.
  public var slowReaders: UInt64 = 0
  /// Bytes read, after decryption.
  public var bytesRead: UInt64 = 0
  /// Bytes written, before encryption.
  public var bytesWritten: UInt64 = 0
  /// Times a stream waited for the peer's window.
  public var creditStalls: UInt64 = 0
  /// Streams open now.
  public var openStreams = 0

  init(methodCount: Int) {
    methods = Array(repeating: MethodMetrics(), count: methodCount)
  }

  mutating func count(_ method: Int, code: UInt32, microseconds: UInt64) {
    methods[method].ended[min(Int(code), 16)] &+= 1
    let bucket = min(64 - microseconds.leadingZeroBitCount, ServerMetrics.durationBuckets - 1)
    methods[method].durations[bucket] &+= 1
    methods[method].durationSumMicroseconds &+= microseconds
  }

  /// Adds another loop's counts.
  public mutating func add(_ other: ServerMetrics) {
    for index in methods.indices {
      methods[index].started &+= other.methods[index].started
      methods[index].durationSumMicroseconds &+= other.methods[index].durationSumMicroseconds
      for code in 0..<17 { methods[index].ended[code] &+= other.methods[index].ended[code] }
      for bucket in 0..<ServerMetrics.durationBuckets {
        methods[index].durations[bucket] &+= other.methods[index].durations[bucket]
      }
    }
    connections += other.connections
    connectionsAccepted &+= other.connectionsAccepted
    handshakeFailures &+= other.handshakeFailures
    helloRefused &+= other.helloRefused
    protocolErrors &+= other.protocolErrors
    slowReaders &+= other.slowReaders
    bytesRead &+= other.bytesRead
    bytesWritten &+= other.bytesWritten
    creditStalls &+= other.creditStalls
    openStreams += other.openStreams
  }
}
