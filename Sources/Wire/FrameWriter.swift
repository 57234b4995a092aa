/// Appends whole frames, prefix included, to a buffer that it owns.
///
/// Sizes are computed first, so a frame costs at most one growth of the buffer and one copy of
/// its payload. What is written is the canonical form: fields in the order of their numbers,
/// defaults left out, map entries ordered by the bytes of their keys.
///
/// The writer holds no limits: the caller knows the peer's largest frame and checks `count`
/// before and after, or ``callBytes(_:messageBytes:)`` and ``messageFrameOverheadMax`` beforehand.
public struct FrameWriter: ~Copyable, Sendable {
  /// The frames that were appended and not removed.
  public private(set) var bytes: [UInt8]

  /// What Data and End without a status add to their message at most, prefix excluded, in bytes.
  public static var messageFrameOverheadMax: Int { 24 }

  /// Makes an empty writer; it allocates with the first frame.
  public init() { bytes = [] }

  /// How many bytes wait.
  public var count: Int { bytes.count }

  /// Whether nothing waits.
  public var isEmpty: Bool { bytes.isEmpty }

  /// Removes all bytes, and gives the memory back unless told to keep it.
  public mutating func removeAll(keepingCapacity: Bool) {
    bytes.removeAll(keepingCapacity: keepingCapacity)
  }

  /// Removes the first bytes, which were sent.
  public mutating func removeFirst(_ byteCount: Int) { bytes.removeFirst(byteCount) }

  // MARK: Calls

  /// Opens a stream.
  public mutating func call(stream: UInt32, _ header: CallHeader, message: RawSpan) {
    let body = header.encodedBytes(messageBytes: message.byteCount)
    frame(stream, .call, bodyBytes: body) { out in header.encode(message: message, into: &out) }
  }

  /// The length of the Frame that opens a stream, its prefix excluded, at most.
  public static func callBytes(_ header: CallHeader, messageBytes: Int) -> Int {
    let body = header.encodedBytes(messageBytes: messageBytes)
    return frameBytes(stream: .max, bodyBytes: body)
  }

  /// Sends one message on an open stream.
  public mutating func data(stream: UInt32, message: RawSpan, endOfRequests: Bool) {
    let body = bytesFieldBytes(message.byteCount) + (endOfRequests ? 2 : 0)
    frame(stream, .data, bodyBytes: body) { out in
      out.bytesField(1, message)
      out.boolField(2, endOfRequests)
    }
  }

  /// Closes a stream with an answer; empty for calls that stream their answers.
  public mutating func end(stream: UInt32, message: RawSpan) {
    frame(stream, .end, bodyBytes: bytesFieldBytes(message.byteCount)) { out in
      out.bytesField(2, message)
    }
  }

  /// Closes a stream with a status.
  public mutating func end(stream: UInt32, status: Status) {
    frame(stream, .end, bodyBytes: messageFieldBytes(status)) { out in
      out.messageField(1, status)
    }
  }

  /// Says that the answer is no longer wanted.
  public mutating func cancel(stream: UInt32) {
    frame(stream, .cancel, bodyBytes: 0) { _ in }
  }

  // MARK: The connection

  /// Allows the peer so many more message bytes, on a stream or, with stream 0, in all.
  public mutating func credit(stream: UInt32, bytes: UInt64) {
    frame(stream, .credit, bodyBytes: varintFieldBytes(bytes)) { out in
      out.varintField(1, bytes)
    }
  }

  /// Asks for a Pong.
  public mutating func ping(token: UInt64) {
    frame(0, .ping, bodyBytes: token == 0 ? 0 : 9) { out in out.fixed64Field(1, token) }
  }

  /// Answers a Ping.
  public mutating func pong(token: UInt64) {
    frame(0, .pong, bodyBytes: token == 0 ? 0 : 9) { out in out.fixed64Field(1, token) }
  }

  /// Announces a drain or the end of the connection.
  public mutating func goaway(_ goaway: Goaway) { frame(.goaway, goaway) }

  /// Greets the server.
  public mutating func hello(_ hello: Hello) { frame(.hello, hello) }

  /// Greets the client.
  public mutating func welcome(_ welcome: Welcome) { frame(.welcome, welcome) }

  // MARK: Frames

  private mutating func frame(_ body: BodyNumber, _ message: some WireMessage) {
    frame(0, body, bodyBytes: message.encodedBytes) { out in message.encode(into: &out) }
  }

  @inline(__always)
  private mutating func frame(
    _ stream: UInt32, _ body: BodyNumber, bodyBytes: Int,
    _ encode: (inout OutputSpan<UInt8>) -> Void
  ) {
    let length = Self.frameBytes(stream: stream, bodyBytes: bodyBytes)
    bytes.append(addingCapacity: framePrefixBytes + length) { out in
      out.bigEndian(UInt32(length))
      out.varintField(1, UInt64(stream))
      out.append(body.rawValue << 3 | WireType.lengthDelimited.rawValue)
      out.varint(UInt64(bodyBytes))
      encode(&out)
    }
  }

  private static func frameBytes(stream: UInt32, bodyBytes: Int) -> Int {
    varintFieldBytes(UInt64(stream)) + 1 + varintBytes(UInt64(bodyBytes)) + bodyBytes
  }
}

/// All of a Call but its message, for writing.
public struct CallHeader: Sendable, Equatable {
  /// "needletail.tracking.v1.Tracking/CreateRun", at most 256 bytes.
  public var method: String
  /// Milliseconds that the caller waits; 0 is the server's default.
  public var timeoutMilliseconds: UInt32
  /// Whether no Data follows.
  public var endOfRequests: Bool
  /// Whether the stream opens without a first message.
  public var hasNoMessage: Bool
  /// At most 64 bytes; empty for none.
  public var idempotencyKey: String
  /// W3C Trace Context, at most 256 bytes; empty for none.
  public var traceparent: String
  /// At most 32 entries and 8 KiB of keys and values.
  public var metadata: [String: String]

  /// Makes a header, all optional parts empty.
  public init(method: String, endOfRequests: Bool) {
    self.method = method
    self.timeoutMilliseconds = 0
    self.endOfRequests = endOfRequests
    self.hasNoMessage = false
    self.idempotencyKey = ""
    self.traceparent = ""
    self.metadata = [:]
  }

  func encodedBytes(messageBytes: Int) -> Int {
    textFieldBytes(method) + varintFieldBytes(UInt64(timeoutMilliseconds))
      + textFieldBytes(idempotencyKey) + textFieldBytes(traceparent)
      + bytesFieldBytes(messageBytes) + (endOfRequests ? 2 : 0) + (hasNoMessage ? 2 : 0)
      + mapFieldBytes(metadata)
  }

  func encode(message: RawSpan, into out: inout OutputSpan<UInt8>) {
    out.textField(1, method)
    out.varintField(2, UInt64(timeoutMilliseconds))
    out.textField(3, idempotencyKey)
    out.textField(4, traceparent)
    out.bytesField(5, message)
    out.boolField(6, endOfRequests)
    out.boolField(7, hasNoMessage)
    out.mapField(8, metadata)
  }
}
