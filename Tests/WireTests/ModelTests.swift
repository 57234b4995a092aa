internal import Testing
internal import Wire
internal import WireVectors

/// SplitMix64: small, and the same everywhere, so that a seed can be replayed.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}

/// A client and a server machine with two ordered links between them, and random actors.
///
/// The checks are a model's: what was sent and not consumed stays within windows and one message,
/// every call has one End, nothing is refused between two that hold to the rules, and nothing
/// stalls.
private struct World: ~Copyable {
  private var random: SeededGenerator
  private var client: ClientMachine
  private var server: ServerMachine
  private var toServer: [Frame] = []
  private var toClient: [Frame] = []
  private var now: UInt64 = 0

  private var open: [UInt32: Call] = [:]
  private var running: [UInt32: Handler] = [:]
  private(set) var endsSeen = 0
  private(set) var opened = 0
  private let streamWindow: Int
  private let connectionWindow: Int
  private let messageMax = 40

  private struct Call {
    var kind: CallKind
    var halfClosed: Bool
    var unconsumed = 0
  }

  private struct Handler {
    var kind: CallKind
    var isCancelled = false
    var unconsumed = 0
  }

  init(seed: UInt64) throws {
    random = SeededGenerator(seed: seed)
    streamWindow = Int.random(in: 1...60, using: &random)
    connectionWindow = Int.random(in: 1...120, using: &random)
    var limits = WireLimits()
    limits.openStreamsMax = 12
    limits.streamWindowBytes = Int64(streamWindow)
    limits.connectionWindowBytes = Int64(connectionWindow)
    limits.answerConnectionWindowBytes = Int64(connectionWindow)
    limits.cancelsMax = .max
    client = ClientMachine(limits: limits, now: 0)
    server = ServerMachine(limits: limits, now: 0)
    let hello = Frame(stream: 0, body: .hello(client.hello(apiKey: "k", client: "")))
    _ = try server.receive(hello, now: 0)
    server.welcome(now: 0)
    let welcome = Welcome(
      server: "", organizationID: "", userID: "", apiKeyID: "", connectionID: "",
      limits: limits.announced)
    _ = try client.receive(Frame(stream: 0, body: .welcome(welcome)), now: 0)
  }

  mutating func step() throws {
    now += 10_000_000
    switch Int.random(in: 0..<12, using: &random) {
    case 0, 1: try openCall()
    case 2, 3: clientSends()
    case 4: clientConsumes()
    case 5: if Int.random(in: 0..<4, using: &random) == 0 { clientCancels() }
    case 6: serverSends()
    case 7: serverConsumes()
    case 8: if Int.random(in: 0..<3, using: &random) == 0 { serverEnds() }
    case 9, 10: try deliverToServer()
    default: try deliverToClient()
    }
    check()
  }

  /// Ends everything: whatever is left must still be able to finish.
  mutating func settle() throws {
    for _ in 0..<10_000 {
      now += 1_000_000_000
      while !toServer.isEmpty { try deliverToServer() }
      while !toClient.isEmpty { try deliverToClient() }
      clientConsumes()
      serverConsumes()
      serverEnds()
      if open.isEmpty && running.isEmpty && toServer.isEmpty && toClient.isEmpty { break }
    }
    expect(open.isEmpty && running.isEmpty && server.openStreams == 0)
    expect(client.openStreams == 0 && endsSeen == opened)
    // Everything was consumed: both directions must be open again, for a message each.
    let stream = try client.open(.bidirectional, endOfRequests: false)
    var call = Frame.Call(method: 0..<0, message: 0..<0, endOfRequests: false)
    call.hasNoMessage = true
    _ = try server.receive(Frame(stream: stream, body: .call(call)), now: now)
    expect(server.accept(stream, kind: .bidirectional) == nil)
    expect(client.canSend(on: stream) && server.canSend(on: stream))
  }

  // MARK: The client

  private mutating func openCall() throws {
    let kind = CallKind.allCases.randomElement(using: &random) ?? .unary
    let ends = !kind.streamsRequests || Bool.random(using: &random)
    guard client.openStreams < 12 else { return }
    let stream = try client.open(kind, endOfRequests: ends)
    opened += 1
    open[stream] = Call(kind: kind, halfClosed: ends)
    let call = Frame.Call(method: 0..<0, message: 0..<3, endOfRequests: ends)
    toServer.append(Frame(stream: stream, body: .call(call)))
  }

  private mutating func clientSends() {
    guard let (stream, call) = pick(open), !call.halfClosed else { return }
    guard client.canSend(on: stream) else { return }
    let size = Int.random(in: 0...messageMax, using: &random)
    let isLast = Int.random(in: 0..<8, using: &random) == 0
    client.didSend(size, on: stream)
    if isLast {
      client.didHalfClose(stream)
      open[stream]?.halfClosed = true
    }
    toServer.append(
      Frame(stream: stream, body: .data(.init(message: 0..<size, endOfRequests: isLast))))
  }

  private mutating func clientConsumes() {
    for (stream, call) in open.sorted(by: { $0.key < $1.key }) where call.unconsumed > 0 {
      let due = client.consume(call.unconsumed, on: stream)
      open[stream]?.unconsumed = 0
      returnCredit(due, stream, toServer: true)
    }
  }

  private mutating func clientCancels() {
    guard let (stream, _) = pick(open), client.cancel(stream) else { return }
    open[stream]?.halfClosed = true
    toServer.append(Frame(stream: stream, body: .cancel))
  }

  private mutating func deliverToClient() throws {
    guard !toClient.isEmpty else { return }
    switch try client.receive(toClient.removeFirst(), now: now) {
    case .message(let stream, let data): open[stream]?.unconsumed += data.message.count
    case .end(let stream, _):
      endsSeen += 1
      expect(open.removeValue(forKey: stream) != nil)
      returnCredit(
        CreditDue(streamBytes: 0, connectionBytes: client.release(stream)), 0, toServer: true)
    case .credit(let bytes): toServer.append(Frame(stream: 0, body: .credit(bytes: bytes)))
    case .connectionSendable: while client.nextSendable() != nil {}
    case .ignore, .sendable: break
    case let other: Issue.record("\(other)")
    }
  }

  // MARK: The server

  private mutating func deliverToServer() throws {
    guard !toServer.isEmpty else { return }
    switch try server.receive(toServer.removeFirst(), now: now) {
    case .call(let stream, _):
      let kind = open[stream]?.kind ?? .unary
      expect(server.accept(stream, kind: kind) == nil)
      running[stream] = Handler(kind: kind)
    case .refuse(let stream, let status):
      toClient.append(Frame(stream: stream, body: .end(.init(status: status, message: 0..<0))))
    case .message(let stream, let data): running[stream]?.unconsumed += data.message.count
    case .cancel(let stream): running[stream]?.isCancelled = true
    case .credit(let bytes): toClient.append(Frame(stream: 0, body: .credit(bytes: bytes)))
    case .connectionSendable: while server.nextSendable() != nil {}
    case .ignore, .sendable, .halfClose: break
    case let other: Issue.record("\(other)")
    }
  }

  private mutating func serverSends() {
    guard let (stream, handler) = pick(running), handler.kind.streamsAnswers else { return }
    guard server.canSend(on: stream) else { return }
    let size = Int.random(in: 0...messageMax, using: &random)
    server.didSend(size, on: stream)
    toClient.append(
      Frame(stream: stream, body: .data(.init(message: 0..<size, endOfRequests: false))))
  }

  private mutating func serverConsumes() {
    for (stream, handler) in running.sorted(by: { $0.key < $1.key }) where handler.unconsumed > 0 {
      let due = server.consume(handler.unconsumed, on: stream)
      running[stream]?.unconsumed = 0
      returnCredit(due, stream, toServer: false)
    }
  }

  private mutating func serverEnds() {
    guard let (stream, _) = pick(running) else { return }
    running[stream] = nil
    toClient.append(Frame(stream: stream, body: .end(.init(status: nil, message: 0..<0))))
    if Bool.random(using: &random) { server.didEnd(stream) }
    returnCredit(
      CreditDue(streamBytes: 0, connectionBytes: server.release(stream)), 0, toServer: false)
  }

  private mutating func returnCredit(_ due: CreditDue, _ stream: UInt32, toServer: Bool) {
    var frames: [Frame] = []
    if due.streamBytes > 0 {
      frames.append(Frame(stream: stream, body: .credit(bytes: due.streamBytes)))
    }
    if due.connectionBytes > 0 {
      frames.append(Frame(stream: 0, body: .credit(bytes: due.connectionBytes)))
    }
    if toServer { self.toServer += frames } else { toClient += frames }
  }

  private func check() {
    let streamMax = streamWindow + messageMax
    let connectionMax = connectionWindow + messageMax
    expect(open.values.allSatisfy { $0.unconsumed < streamMax })
    expect(running.values.allSatisfy { $0.unconsumed < streamMax })
    expect(open.values.reduce(0) { $0 + $1.unconsumed } < connectionMax)
    expect(running.values.reduce(0) { $0 + $1.unconsumed } < connectionMax)
    expect(server.openStreams <= 12)
  }

  private mutating func pick<Value>(_ table: [UInt32: Value]) -> (UInt32, Value)? {
    guard let stream = table.keys.sorted().randomElement(using: &random) else { return nil }
    return table[stream].map { (stream, $0) }
  }
}

@Suite("Two machines that talk")
struct ModelTests {
  @Test(
    "Under any order of events nothing is refused, nothing stalls, each call ends once",
    arguments: (1...40).map { UInt64($0) })
  func conversation(seed: UInt64) throws {
    var world = try World(seed: seed)
    for _ in 0..<2_000 { try world.step() }
    try world.settle()
    expect(world.opened > 20)
  }

  @Test(
    "Random bytes are decoded or refused, and what decodes is written and read alike",
    arguments: (1...20).map { UInt64($0) })
  func mutations(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let frames = VectorTests.all.map { $0["bytes"]?.bytes ?? [] }.filter { $0.count > 5 }
    for _ in 0..<2_000 {
      var body = Array((frames.randomElement(using: &random) ?? []).dropFirst(4))
      for _ in 0..<Int.random(in: 0...3, using: &random) where !body.isEmpty {
        let index = Int.random(in: 0..<body.count, using: &random)
        body[index] = UInt8.random(in: 0...255, using: &random)
      }
      guard let frame = try? unsafe Frame.decode(body.span.bytes) else { continue }
      if case .end(let end) = frame.body, end.status != nil { continue }
      if case .ping = frame.body, frame.stream != 0 { continue }
      let isOnConnection = [.credit(bytes: 0)].contains(frame.body) || frame.stream == 0
      guard isOnConnection || Self.isOfStream(frame.body) else { continue }
      let written = encode(frame, body: body)
      let again = try unsafe Frame.decode(written.span.bytes.extracting(4..<written.count))
      #expect(meaning(of: again, body: Array(written[4...])) == meaning(of: frame, body: body))
    }
  }

  private static func isOfStream(_ body: Frame.Body) -> Bool {
    switch body {
    case .call, .data, .end, .cancel, .credit: true
    default: false
    }
  }
}
