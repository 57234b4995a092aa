/// Counts of one loop, added up over the loops when somebody asks.
public struct ServerMetrics: Sendable {
  /// How many codes there are.
  public static let codeCount = 17
  /// How many duration buckets there are; the last one, 2^26 microseconds, is about a minute.
  public static let durationBuckets = 27

  // One row a method: started, the sum of durations, by code, by duration. One flat array, because
  // it is written to twice a call.
  private static let rowLength = 2 + codeCount + durationBuckets
  private var rows: [UInt64]

  /// Open connections.
  public var connections = 0
  /// Connections accepted.
  public var connectionsAccepted: UInt64 = 0
  /// Connections of the process that were refused, because too many were open, by
  /// ``ConnectionLimit``.
  public var connectionsRefused = [UInt64](repeating: 0, count: ConnectionLimit.allCases.count)
  /// TLS handshakes that failed or took too long.
  public var handshakeFailures: UInt64 = 0
  /// Hellos that were refused.
  public var helloRefused: UInt64 = 0
  /// Connections that were ended with their keys.
  public var keysEnded: UInt64 = 0
  /// Roles in projects that were read, because they were not known.
  public var rolesRead: UInt64 = 0
  /// Hellos that were answered late, because their address had failed too often.
  public var helloDelayed: UInt64 = 0
  /// Calls that were not started, because their key was beyond its rate.
  public var callsRateLimited: UInt64 = 0
  /// Times that nothing was read of a connection, because too many of its calls were refused.
  public var connectionsPenalized: UInt64 = 0
  /// Times that the streams of a connection waited for their key's rate.
  public var streamsPaced: UInt64 = 0
  /// Connections that were told to calm down.
  public var floods: UInt64 = 0
  /// Connections that broke a rule of the protocol.
  public var protocolErrors: UInt64 = 0
  /// Connections dropped because the peer did not read.
  public var slowReaders: UInt64 = 0
  /// Calls that were not started, because too many streams of their connection were open.
  public var streamsRefused: UInt64 = 0
  /// Passwords that were wrong, or belonged to nobody who may log in.
  public var passwordsWrong: UInt64 = 0
  /// Passwords that were not looked at, because too many were wrong before.
  public var passwordsThrottled: UInt64 = 0
  /// Bytes read, after decryption.
  public var bytesRead: UInt64 = 0
  /// Bytes written, before encryption.
  public var bytesWritten: UInt64 = 0
  /// Times a stream waited for the peer's window.
  public var creditStalls: UInt64 = 0
  /// Refused attempts that no entry of the audit log counts.
  public var auditRefusalsDropped: UInt64 = 0
  /// Entries that a sink of the audit log was too slow for.
  public var auditSinkDropped: UInt64 = 0
  /// Rows that were removed for good.
  public var rowsPurged: UInt64 = 0
  /// What the tasks of upkeep came to, by name.
  public var upkeep: [String: UpkeepCounts] = [:]
  /// Streams open now.
  public var openStreams = 0

  init(methodCount: Int) {
    rows = Array(repeating: 0, count: methodCount * ServerMetrics.rowLength)
  }

  /// Calls of a method that were started.
  public func started(_ method: Int) -> UInt64 { rows[method * ServerMetrics.rowLength] }

  /// The sum of the durations of a method's calls, in microseconds.
  public func durationSumMicroseconds(_ method: Int) -> UInt64 {
    rows[method * ServerMetrics.rowLength + 1]
  }

  /// Calls of a method that ended, by canonical code number.
  public func ended(_ method: Int) -> ArraySlice<UInt64> {
    let start = method * ServerMetrics.rowLength + 2
    return rows[start..<start + ServerMetrics.codeCount]
  }

  /// Calls of a method that ended, by duration: bucket i counts those below 2^i microseconds.
  public func durations(_ method: Int) -> ArraySlice<UInt64> {
    let start = method * ServerMetrics.rowLength + 2 + ServerMetrics.codeCount
    return rows[start..<start + ServerMetrics.durationBuckets]
  }

  mutating func countStart(_ method: Int) {
    rows[method * ServerMetrics.rowLength] &+= 1
    openStreams += 1
  }

  mutating func countEnd(_ method: Int, code: UInt32, microseconds: UInt64) {
    let row = method * ServerMetrics.rowLength
    let bucket = min(64 - microseconds.leadingZeroBitCount, ServerMetrics.durationBuckets - 1)
    rows[row + 1] &+= microseconds
    rows[row + 2 + min(Int(code), ServerMetrics.codeCount - 1)] &+= 1
    rows[row + 2 + ServerMetrics.codeCount + bucket] &+= 1
    openStreams -= 1
  }

  /// Adds another loop's counts.
  public mutating func add(_ other: ServerMetrics) {
    for index in rows.indices { rows[index] &+= other.rows[index] }
    connections += other.connections
    connectionsAccepted &+= other.connectionsAccepted
    for index in connectionsRefused.indices {
      connectionsRefused[index] &+= other.connectionsRefused[index]
    }
    helloDelayed &+= other.helloDelayed
    callsRateLimited &+= other.callsRateLimited
    connectionsPenalized &+= other.connectionsPenalized
    streamsPaced &+= other.streamsPaced
    floods &+= other.floods
    handshakeFailures &+= other.handshakeFailures
    helloRefused &+= other.helloRefused
    keysEnded &+= other.keysEnded
    rolesRead &+= other.rolesRead
    protocolErrors &+= other.protocolErrors
    slowReaders &+= other.slowReaders
    streamsRefused &+= other.streamsRefused
    passwordsWrong &+= other.passwordsWrong
    passwordsThrottled &+= other.passwordsThrottled
    bytesRead &+= other.bytesRead
    bytesWritten &+= other.bytesWritten
    creditStalls &+= other.creditStalls
    auditRefusalsDropped &+= other.auditRefusalsDropped
    auditSinkDropped &+= other.auditSinkDropped
    rowsPurged &+= other.rowsPurged
    upkeep.merge(other.upkeep) { $0 + $1 }
    openStreams += other.openStreams
  }
}
