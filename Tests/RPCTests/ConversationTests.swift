import RPC
import Wire

public import Testing
public import WireVectors

extension JSON {
  var name: String { self["name"]?.text ?? "" }
}

extension JSON: CustomTestStringConvertible {
  /// The vector's name.
  public var testDescription: String { name }
}

@Suite("Golden conversations with a live server")
struct ConversationTests {
  /// What only a machine with a clock and a handler of its own can be asked.
  static let unsuited: Set<String> = [
    // 100 ms to the millisecond.
    "ping_rate",
    // A session writes End when the handler stops, never before: SlotTests has it.
    "slot_is_held_until_the_handler_stops",
  ]

  static let all = ((try? JSON.vectors("conversations.json")) ?? []).filter {
    !unsuited.contains($0.name)
  }

  @Test("The conversations are there")
  func present() { #expect(Self.all.count > 60) }

  @Test("A live server does what the conversation says", arguments: all)
  func conversation(_ vector: JSON) throws {
    let server = try TestServer { $0.settings.wire = limits(of: vector) }
    let player = try Player(server)
    for (index, step) in steps(of: vector).enumerated() {
      let seen = try player.perform(step)
      if !player.matches(seen, step.expect) {
        Issue.record("\(vector.name) step \(index): \(seen) not \(step.expect)")
        return
      }
    }
  }

  /// A step, with those before it that a clock must not come between.
  struct Step {
    var actions: [JSON]
    var expect: [JSON]
  }

  private func steps(of vector: JSON) -> [Step] {
    var steps: [Step] = []
    var joins = false
    for step in vector["steps"]?.list ?? [] {
      let count = step["repeat"]?.number ?? 1
      let actions = Array(repeating: step, count: count)
      let expect = Array(repeating: step["expect"]?.list ?? [], count: count).flatMap { $0 }
      if joins {
        steps[steps.count - 1].actions += actions
        steps[steps.count - 1].expect += expect
      } else {
        steps.append(Step(actions: actions, expect: expect))
      }
      joins = count > 1
    }
    return steps
  }

  /// The vector's limits; a time that it waits for is made short.
  private func limits(of vector: JSON) -> WireLimits {
    var limits = WireLimits()
    for (name, value) in vector["limits"]?.object ?? [:] {
      switch name {
      case "max_open_streams": limits.openStreamsMax = value.number
      case "stream_window_bytes": limits.streamWindowBytes = Int64(value.number)
      case "connection_window_bytes": limits.connectionWindowBytes = Int64(value.number)
      case "cancels_max": limits.cancelsMax = value.number
      default: preconditionFailure("no limit \(name)")
      }
    }
    for step in vector["steps"]?.list ?? [] where step["wait_ms"] != nil {
      for expected in step["expect"]?.list ?? [] {
        let frame = expected["frame"]
        switch frame?["goaway"]?["status"]?["reason"]?.text {
        case "HELLO_TIMEOUT": limits.helloTimeout = .milliseconds(300)
        case "FRAME_TIMEOUT":
          limits.frameTimeout = .milliseconds(300)
          limits.frameBytesPerSecondMin = 1 << 40
        case "PONG_TIMEOUT": limits.pongTimeout = .milliseconds(300)
        default: break
        }
        if frame?["ping"] != nil { limits.idleTimeout = .milliseconds(300) }
      }
    }
    limits.lingerTimeout = .milliseconds(300)
    limits.drainPingTimeout = vector.name == "drain_without_pong" ? .milliseconds(10) : .seconds(60)
    return limits
  }
}

/// Carries the steps of a conversation out, over a socket.
private final class Player {
  private let server: TestServer
  private let client: RawClient
  private var lastPing: UInt64 = 0

  init(_ server: TestServer) throws {
    self.server = server
    client = try RawClient(server, key: nil)
  }

  /// Does what a step says and tells all that the server did about it: frames, then events.
  func perform(_ step: ConversationTests.Step) throws -> [JSON] {
    var bytes: [UInt8] = []
    for action in step.actions {
      if let frame = action["client"] {
        bytes += clientFrame(frame)
      } else if let text = action["client_bytes"] {
        bytes += text.bytes
      } else if action["client_pongs"] != nil {
        var writer = FrameWriter()
        writer.pong(token: lastPing)
        bytes += writer.bytes
      } else if let action = action["server"] {
        act(action)
      }
    }
    // A server that has said Goaway may have closed already.
    if !bytes.isEmpty { try? client.send(bytes: bytes) }
    server.settle()
    var seen = try client.available().map(describe)
    if step.actions.contains(where: { $0["wait_ms"] != nil }) {
      for _ in step.expect.filter({ $0["frame"] != nil }).dropFirst(seen.count) {
        if let received = try client.receive() { seen.append(describe(received)) }
      }
    }
    seen += server.perform { $0.stage.take() }
    if step.expect.contains(where: { $0["close"] != nil }),
      server.eventually({ $0.server.metrics.connections == 0 })
    {
      seen.append(.object(["close": .bool(true)]))
    }
    return seen
  }

  private func describe(_ received: RawClient.Received) -> JSON {
    if case .ping(let token) = received.frame.body { lastPing = token }
    return .object(["frame": meaning(of: received.frame, body: received.body)])
  }

  private func act(_ action: JSON) {
    func stream(_ value: JSON) -> UInt32 { UInt32(value["stream"]?.number ?? 0) }
    func tell(_ stream: UInt32, _ command: Command) {
      server.perform { $0.stage.tell(stream, command) }
    }
    if let answer = action["answer"] {
      tell(stream(answer), .answer(answer["message"]?.bytes ?? []))
    } else if let failure = action["fail"] {
      let code = StatusCode(rawValue: UInt32(failure["code"]?.number ?? 0)) ?? .unknown
      tell(
        stream(failure), .fail(CallError(Reason(failure["reason"]?.text ?? "", code), "")))
    } else if let consumed = action["consume"] {
      tell(stream(consumed), .consume(consumed["bytes"]?.number ?? 0))
    } else if let message = action["send"] {
      tell(stream(message), .send(message["bytes"]?.number ?? 0))
    } else if action["drain"] != nil {
      server.perform { $0.server.drain {} }
    }
  }

  /// Whether what was seen is what is expected; frames and events each in their order.
  func matches(_ seen: [JSON], _ expected: [JSON]) -> Bool {
    // What a client's drain leads to is seen at its end alone.
    let expected = expected.filter { $0["drains"] == nil }
    func isFrame(_ entry: JSON) -> Bool { entry["frame"] != nil }
    let ordered = expected.filter(isFrame) + expected.filter { !isFrame($0) }
    guard seen.count == ordered.count else { return false }
    return zip(seen, ordered).allSatisfy { seen, expected in
      guard let frame = expected["frame"] else { return seen == expected }
      return seen["frame"].map { isSame($0, as: frame) } ?? false
    }
  }

  private func isSame(_ seen: JSON, as expected: JSON) -> Bool {
    guard Set(seen.object.keys) == Set(expected.object.keys), seen["stream"] == expected["stream"]
    else { return false }
    if expected["welcome"] != nil || expected["ping"] != nil { return true }
    let kind = expected.object.keys.first { $0 != "stream" } ?? ""
    let (seenBody, body) = (seen[kind]?.object ?? [:], expected[kind]?.object ?? [:])
    guard let status = body["status"]?.object else { return seenBody == body }
    return status.allSatisfy { seenBody["status"]?[$0.key] == $0.value }
  }
}
