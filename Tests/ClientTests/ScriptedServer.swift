import Client
import EventLoop
import Synchronization
import TLS
import Wire

/// A server on a loop of its own whose reactions a test writes down.
final class ScriptedServer: Sendable {
  /// What the peer does about one frame; `body` is what the frame's ranges point into.
  typealias Script = @Sendable (ScriptedPeer, Frame, _ body: [UInt8]) -> Void

  let endpoint: Endpoint
  /// The server's own certificate, with what its issuer added.
  let certificatePEM: [UInt8]
  /// The names of all frames but Hello that came, in order, as "Call 1".
  let journal = Journal()
  private let loops: LoopGroup

  init(_ script: @escaping Script) throws {
    let authority = try DevelopmentAuthority(name: "test authority", validity: .days(1))
    let identity = try authority.serverIdentity(hosts: ["127.0.0.1"], validity: .days(1))
    // Only the first: the issuer's would be trusted for others, too.
    let end = Array("-----END CERTIFICATE-----\n".utf8)
    let chain = identity.certificateChainPEM
    let first = chain.indices.first { chain[$0...].starts(with: end) } ?? chain.endIndex
    certificatePEM = Array(chain[..<min(first + end.count, chain.endIndex)])
    loops = try LoopGroup(count: 1) { _, _ in }
    let journal = journal
    let socket = try ListeningSocket(host: "127.0.0.1", port: 0)
    let port = socket.address.port
    let number = socket.descriptor.number
    let held = Mutex<ListeningSocket?>(socket)
    loops.mailboxes[0].post { loop in
      guard let socket = held.withLock({ $0.take() }),
        let context = try? TLSContext(
          server: identity, settings: TLSSettings(applicationProtocols: ["needletail/1"]))
      else { return }
      let listener = Listener(socket, loop: loop, context: context) { peer, frame, body in
        if case .hello = frame.body {} else { journal.add("\(frame.body.name) \(frame.stream)") }
        script(peer, frame, body)
      }
      try? loop.register(number, .read, listener)
    }
    endpoint = Endpoint(
      host: "127.0.0.1", port: port, apiKey: "ntl_test",
      trust: .authority(pem: authority.certificatePEM))
  }

  deinit { loops.stop() }

  /// A server that greets, and leaves the rest to `script`.
  static func greeting(_ script: @escaping Script) throws -> ScriptedServer {
    try ScriptedServer { peer, frame, body in
      if case .hello = frame.body { return peer.welcome() }
      script(peer, frame, body)
    }
  }
}

/// What happened, in order, from any thread.
final class Journal: Sendable {
  private let lines = Mutex<[String]>([])

  var entries: [String] { lines.withLock { $0 } }
  func add(_ line: String) { lines.withLock { $0.append(line) } }
}

private final class Listener: DescriptorHandler {
  private let socket: ListeningSocket
  private let loop: Loop
  private let context: TLSContext
  private let script: ScriptedServer.Script
  private var count = 0

  init(
    _ socket: consuming ListeningSocket, loop: Loop, context: TLSContext,
    script: @escaping ScriptedServer.Script
  ) {
    self.socket = socket
    self.loop = loop
    self.context = context
    self.script = script
  }

  func ready(_ readiness: Readiness) {
    guard case .connection(let descriptor, _) = socket.accept() else { return }
    count += 1
    let number = descriptor.number
    guard let tls = try? TLSConnection.accepting(on: number, context: context) else { return }
    let peer = ScriptedPeer(count, descriptor, tls, loop: loop, script: script)
    try? loop.register(number, .read, peer)
  }
}

/// One connection as the scripted server sees it.
final class ScriptedPeer: DescriptorHandler {
  /// Which connection of the server this is, from 1.
  let number: Int
  /// What the next turn writes.
  var output = FrameWriter()
  let loop: Loop
  private var descriptor: Descriptor?
  private var tls: TLSConnection
  private let script: ScriptedServer.Script
  private var input: [UInt8] = []

  init(
    _ number: Int, _ descriptor: consuming Descriptor, _ tls: consuming TLSConnection, loop: Loop,
    script: @escaping ScriptedServer.Script
  ) {
    self.number = number
    self.descriptor = consume descriptor
    self.tls = tls
    self.loop = loop
    self.script = script
  }

  /// Greets with the default limits, or those given.
  func welcome(_ change: (inout Limits) -> Void = { _ in }) {
    var limits = WireLimits().announced
    change(&limits)
    output.welcome(
      Welcome(
        server: "scripted/1", organizationID: "o", userID: "u", apiKeyID: "k", connectionID: "c",
        limits: limits))
  }

  func end(_ stream: UInt32, _ message: [UInt8]) {
    output.end(stream: stream, message: unsafe message.span.bytes)
  }

  func data(_ stream: UInt32, _ message: [UInt8]) {
    output.data(stream: stream, message: unsafe message.span.bytes, endOfRequests: false)
  }

  /// Ends the connection without a word.
  func hangUp() {
    guard let number = descriptor?.number else { return }
    flush()
    loop.deregister(number)
    descriptor = nil
  }

  func ready(_ readiness: Readiness) {
    guard let number = descriptor?.number else { return }
    if !tls.isEstablished {
      guard (try? tls.handshake()) == .done else { return }
    }
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      var span = buffer.mutableSpan
      var bytes = unsafe span.mutableBytes
      // A client that breaks off is part of some tests.
      guard let transfer = try? tls.read(into: &bytes) else { return hangUp() }
      if case .bytes(let count) = transfer {
        input += buffer[..<count]
        continue
      }
      if case .closed = transfer {
        // What came before the goodbye still counts.
        take()
        return hangUp()
      }
      break
    }
    take()
    flush()
    if descriptor != nil {
      try? loop.setInterest(number, output.isEmpty ? .read : [.read, .write])
    }
  }

  private func take() {
    while descriptor != nil {
      let received = input
      let split = try? splitFrame(unsafe received.span.bytes, at: 0, frameBytesMax: 4 << 20)
      guard case .body(let range) = split else { return }
      let body = Array(received[range])
      input.removeFirst(range.upperBound)
      guard let frame = try? Frame.decode(unsafe body.span.bytes) else { return hangUp() }
      script(self, frame, body)
    }
  }

  private func flush() {
    guard descriptor != nil else { return }
    while !output.isEmpty {
      let bytes = output.bytes
      guard case .bytes(let count) = try? tls.write(unsafe bytes.span.bytes) else { return }
      output.removeFirst(count)
    }
  }
}
