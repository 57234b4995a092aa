import EventLoop
import Glibc
import TLS
import Wire

/// A client that says whatever a test wants, and reads what comes; it blocks, but never for long.
final class RawClient {
  /// A frame as it came.
  struct Received {
    let frame: Frame
    let body: [UInt8]

    var name: String { frame.body.name }
    var stream: UInt32 { frame.stream }

    /// The message of Data and End.
    var message: [UInt8] {
      switch frame.body {
      case .data(let data): Array(body[data.message])
      case .end(let end): Array(body[end.message])
      default: []
      }
    }

    /// The status of End and Goaway.
    var status: Status? {
      switch frame.body {
      case .end(let end): end.status
      case .goaway(let goaway): goaway.status
      default: nil
      }
    }

    /// "INVALID_ARGUMENT FIELD_INVALID", or "OK".
    var outcome: String { status.map { "\($0.code.name) \($0.reason)" } ?? "OK" }
  }

  /// How the server has closed: nil while it has not, true with close_notify.
  private(set) var closedCleanly: Bool?
  private(set) var tls: TLSConnection
  /// Whether the server took the session of an earlier connection.
  var isResumed: Bool { tls.isResumed }
  private let descriptor: Descriptor
  private var input: [UInt8] = []
  private var streams: UInt32 = 0

  /// How long anything may take before the test fails.
  private static let patience: Int32 = 20_000

  /// Connects and shakes hands, by the session of an earlier connection where the server takes it;
  /// greets with `key` unless that is nil.
  init(
    _ server: TestServer, key: String? = "k", window: UInt64 = 0, receiveBufferBytes: Int32 = 0,
    resuming earlier: RawClient? = nil
  ) throws {
    descriptor = try RawClient.connect(server, receiveBufferBytes: receiveBufferBytes)
    let authority = try Credentials.shared.get().authorityPEM
    let context = try TLSContext(
      client: TLSClientSettings(
        trust: .authority(pem: authority), applicationProtocols: ["needletail/1"]))
    tls = try TLSConnection.connecting(
      on: descriptor.number, to: PeerName("127.0.0.1"), context: context)
    if let earlier {
      guard let session = earlier.tls.session else { throw Failure("the server gave no ticket") }
      tls.resume(session)
    }
    while true {
      switch try tls.handshake() {
      case .done:
        if let key { try greet(key, window: window) }
        return
      case .wantRead: try wait(POLLIN)
      case .wantWrite: try wait(POLLOUT)
      }
    }
  }

  /// A connected socket, without TLS.
  static func connect(
    _ server: TestServer, receiveBufferBytes: Int32 = 0
  ) throws -> Descriptor {
    let descriptor = try Connecting.begin(host: "127.0.0.1", port: server.port)
    descriptor.disableDelay()
    if receiveBufferBytes > 0 {
      var bytes = receiveBufferBytes
      _ = unsafe setsockopt(
        descriptor.number, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
    }
    try wait(descriptor.number, POLLOUT)
    if let error = descriptor.takeError() { throw error }
    return descriptor
  }

  private func greet(_ key: String, window: UInt64) throws {
    try send { $0.hello(Hello(apiKey: key, client: "raw/1", streamWindowBytes: window)) }
    let welcome = try receive()
    guard welcome?.name == "Welcome" else {
      throw Failure("greeted with \(welcome?.outcome ?? "a closed connection")")
    }
  }

  // MARK: Sending

  /// Sends frames.
  func send(_ write: (inout FrameWriter) -> Void) throws {
    var writer = FrameWriter()
    write(&writer)
    try send(bytes: writer.bytes)
  }

  /// Sends whatever bytes.
  func send(bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      switch try unsafe tls.write(bytes.span.bytes.extracting(sent...)) {
      case .bytes(let count): sent += count
      case .wantWrite: try wait(POLLOUT)
      case .wantRead: try wait(POLLIN)
      case .closed: throw Failure("the server has closed")
      }
    }
  }

  /// Sends as much of `bytes` as the sockets take now, and says how much that was.
  func sendSome(_ bytes: [UInt8]) throws -> Int {
    var sent = 0
    while sent < bytes.count,
      case .bytes(let count) = try unsafe tls.write(
        bytes.span.bytes.extracting(sent...))
    {
      sent += count
    }
    return sent
  }

  /// Opens the next stream and returns its number.
  @discardableResult
  func call(
    _ method: String, _ message: [UInt8] = [], endOfRequests: Bool = true,
    _ change: (inout CallHeader) -> Void = { _ in }
  ) throws -> UInt32 {
    streams += 1
    let stream = streams
    var header = CallHeader(method: method, endOfRequests: endOfRequests)
    change(&header)
    try send { unsafe $0.call(stream: stream, header, message: message.span.bytes) }
    return stream
  }

  func data(_ stream: UInt32, _ message: [UInt8], endOfRequests: Bool = false) throws {
    try send {
      unsafe $0.data(stream: stream, message: message.span.bytes, endOfRequests: endOfRequests)
    }
  }

  /// Sends bytes below TLS.
  func sendRecordPart(_ bytes: [UInt8]) throws {
    guard unsafe Glibc.send(descriptor.number, bytes, bytes.count, 0) == bytes.count else {
      throw Failure("the socket took less than all")
    }
  }

  /// Says close_notify and that nothing follows.
  func finish() throws {
    _ = try tls.shutdown()
    descriptor.finishWriting()
  }

  /// Changes the keys of both directions, with the next bytes that are sent.
  func updateKeys() throws { try tls.requestKeyUpdate() }

  /// Lets the connection end as after a crash, with a reset, when the client goes.
  func reset() {
    var linger = linger(l_onoff: 1, l_linger: 0)
    _ = unsafe setsockopt(
      descriptor.number, SOL_SOCKET, SO_LINGER, &linger,
      socklen_t(MemoryLayout<Glibc.linger>.size))
  }

  // MARK: Receiving

  /// The next frame, waited for; nil when the server has closed.
  func receive() throws -> Received? {
    while true {
      if let received = try next() { return received }
      if closedCleanly != nil { return nil }
      if try !fill() { try wait(POLLIN) }
    }
  }

  /// Every frame that has come, without waiting.
  func available() throws -> [Received] {
    while closedCleanly == nil, try fill() {}
    var all: [Received] = []
    while let received = try next() { all.append(received) }
    return all
  }

  /// The next frame that is not Credit.
  func receiveAnswer() throws -> Received? {
    while let received = try receive() {
      if received.name != "Credit" { return received }
    }
    return nil
  }

  /// What ends the connection: the Goaway's outcome, after which the server must close.
  func receiveGoaway() throws -> String {
    while let received = try receive() {
      guard received.name == "Goaway" else { continue }
      guard received.status != nil else { continue }
      while try receive() != nil {}
      return received.outcome + (closedCleanly == true ? "" : ", cut")
    }
    return "closed without Goaway"
  }

  /// Reads once; false when nothing is there.
  private func fill() throws -> Bool {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    var span = buffer.mutableSpan
    var bytes = unsafe span.mutableBytes
    switch try tls.read(into: &bytes) {
    case .bytes(let count):
      input += buffer[..<count]
      return true
    case .closed(let isClean):
      closedCleanly = isClean
      return true
    case .wantRead, .wantWrite: return false
    }
  }

  private func next() throws -> Received? {
    let received = input
    let split = try unsafe splitFrame(received.span.bytes, at: 0, frameBytesMax: 4 << 20)
    guard case .body(let range) = split else { return nil }
    let body = Array(input[range])
    input.removeFirst(range.upperBound)
    return Received(frame: try unsafe Frame.decode(body.span.bytes), body: body)
  }

  private func wait(_ events: Int32) throws { try RawClient.wait(descriptor.number, events) }

  private static func wait(_ number: Int32, _ events: Int32) throws {
    var entry = pollfd(fd: number, events: Int16(events), revents: 0)
    guard unsafe poll(&entry, 1, patience) == 1 else { throw Failure("nothing came in time") }
  }
}
