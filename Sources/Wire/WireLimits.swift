/// Every bound that the machines hold, each with its default.
///
/// A server announces some of them in Welcome; a client takes those over from there.
public struct WireLimits: Sendable, Equatable {
  /// Bytes of a frame in either direction, its prefix excluded; default 4 MiB.
  public var frameBytesMax: UInt32 = 4 << 20
  /// Bytes of a frame before Welcome; default 4 KiB.
  public var greetingFrameBytesMax: UInt32 = 4 << 10
  /// Streams of a connection whose slot is taken; default 256.
  public var openStreamsMax: Int = 256
  /// Window of a stream towards this side, in message bytes; default 1 MiB.
  public var streamWindowBytes: Int64 = 1 << 20
  /// Window of the connection towards this side, in message bytes; default 8 MiB.
  public var connectionWindowBytes: Int64 = 8 << 20
  /// Server-to-client window of the connection, in message bytes; 8 MiB, fixed by the protocol.
  public var answerConnectionWindowBytes: Int64 = 8 << 20
  /// Window of a stream where the peer names none, in message bytes; 1 MiB, fixed by the protocol.
  public var defaultStreamWindowBytes: Int64 = 1 << 20
  /// Time from connecting to Hello (a client: to Welcome); default 10 s.
  public var helloTimeout: Duration = .seconds(10)
  /// Time that any frame may take from its first byte to its last; default 30 s.
  public var frameTimeout: Duration = .seconds(30)
  /// What a frame's own bytes may take longer, in bytes a second; default 64 KiB.
  public var frameBytesPerSecondMin: UInt64 = 64 << 10
  /// Silence after which the peer is pinged; default 60 s.
  public var idleTimeout: Duration = .seconds(60)
  /// Time from that Ping to its Pong; bytes that arrive meanwhile start it over; default 20 s.
  public var pongTimeout: Duration = .seconds(20)
  /// Time that a unary call may take; default 60 s.
  public var callTimeoutMax: Duration = .seconds(60)
  /// Pings a second that the peer may send; default 10.
  public var pingsPerSecond: UInt64 = 10
  /// Pings that the peer may send at once; default 20.
  public var pingBurst: UInt64 = 20
  /// Frames a second that the peer may send to no effect; default 50.
  public var controlFramesPerSecond: UInt64 = 50
  /// Streams that the peer may open and cancel in ``cancelPeriod``; default 1,000.
  public var cancelsMax: Int = 1_000
  /// Streams that the peer may cancel in ``cancelPeriod`` before each one more lets it wait;
  /// default 128.
  public var cancelsFree: Int = 128
  /// The period over which cancelled streams are counted; default 10 s.
  public var cancelPeriod: Duration = .seconds(10)
  /// Time that a drain's Ping may take before the drain's second step; default 1 s.
  public var drainPingTimeout: Duration = .seconds(1)
  /// Time from the start of a drain to its end; default 30 s.
  public var drainTimeout: Duration = .seconds(30)
  /// Time in which input is discarded after a Goaway with a status; default 1 s.
  public var lingerTimeout: Duration = .seconds(1)

  /// Makes the defaults of the protocol.
  public init() {}

  /// What Welcome says of these limits.
  public var announced: Limits {
    Limits(
      frameBytesMax: frameBytesMax,
      openStreamsMax: UInt32(clamping: openStreamsMax),
      streamWindowBytes: UInt64(clamping: streamWindowBytes),
      connectionWindowBytes: UInt64(clamping: connectionWindowBytes),
      idleTimeoutMilliseconds: idleTimeout.wholeMilliseconds,
      callTimeoutMaxMilliseconds: callTimeoutMax.wholeMilliseconds)
  }

  /// When a call must end, or nil for never.
  ///
  /// 0 is ``callTimeoutMax`` for unary calls and none for streaming ones; a unary call that asks
  /// for more than the maximum gets the maximum.
  ///
  /// - Parameters:
  ///   - timeoutMilliseconds: What the Call asks for.
  ///   - kind: The method's kind.
  ///   - arrival: When the Call arrived, in nanoseconds.
  /// - Returns: Nanoseconds of the same clock.
  public func deadline(timeoutMilliseconds: UInt32, kind: CallKind, arrival: UInt64) -> UInt64? {
    let asked = UInt64(timeoutMilliseconds) * 1_000_000
    if kind == .unary {
      let longest = callTimeoutMax.nanoseconds
      return arrival.saturatingAdd(asked == 0 ? longest : min(asked, longest))
    }
    return asked == 0 ? nil : arrival.saturatingAdd(asked)
  }
}

/// What a method takes and answers.
public enum CallKind: UInt8, Sendable, CaseIterable {
  /// One request, one answer.
  case unary
  /// One request, a stream of answers.
  case serverStreaming
  /// A stream of requests, one answer.
  case clientStreaming
  /// A stream of requests, a stream of answers.
  case bidirectional

  /// Whether the client may send Data.
  public var streamsRequests: Bool { self == .clientStreaming || self == .bidirectional }

  /// Whether the server may send Data.
  public var streamsAnswers: Bool { self == .serverStreaming || self == .bidirectional }
}

extension Duration {
  /// Nanoseconds; 0 for a negative duration, the largest number for one that does not fit.
  var nanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    guard seconds >= 0, attoseconds >= 0 else { return 0 }
    let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
    return overflow ? .max : product.saturatingAdd(UInt64(attoseconds / 1_000_000_000))
  }

  /// Milliseconds, clamped to 32 bits.
  var wholeMilliseconds: UInt32 { UInt32(clamping: nanoseconds / 1_000_000) }
}

extension UInt64 {
  /// The sum, or the largest number where it does not fit.
  func saturatingAdd(_ other: UInt64) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
