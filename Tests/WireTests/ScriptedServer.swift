internal import Wire
internal import WireVectors

/// A server without sockets and handlers: bytes, times and a script's actions in, events out.
///
/// It does with the machine what a session does. Its methods are the four of `test.Calls`.
struct ScriptedServer: ~Copyable {
  private var machine: ServerMachine
  private var now: UInt64 = 1_000_000_000
  private var buffer: [UInt8] = []
  private var lastPing: UInt64 = 0
  private var isClosed = false
  /// What happened since the last step, in the words of the golden vectors.
  private var events: [JSON] = []

  init(limits overrides: JSON) {
    var limits = WireLimits()
    for (name, value) in overrides.object {
      switch name {
      case "max_open_streams": limits.openStreamsMax = value.number
      case "stream_window_bytes": limits.streamWindowBytes = Int64(value.number)
      case "connection_window_bytes": limits.connectionWindowBytes = Int64(value.number)
      case "cancels_max": limits.cancelsMax = value.number
      default: preconditionFailure("no limit \(name)")
      }
    }
    machine = ServerMachine(limits: limits, now: now)
  }

  /// Carries a step out, and says what happened.
  mutating func perform(_ step: JSON) -> [JSON] {
    events = []
    if let frame = step["client"] {
      feed(clientFrame(frame))
    } else if let bytes = step["client_bytes"] {
      feed(bytes.bytes)
    } else if step["client_pongs"] != nil {
      var writer = FrameWriter()
      writer.pong(token: lastPing)
      feed(writer.bytes)
    } else if let milliseconds = step["wait_ms"] {
      pass(UInt64(milliseconds.number) * 1_000_000)
    } else if let action = step["server"] {
      act(action)
    }
    if machine.isDrained && !isClosed { close() }
    return events
  }

  // MARK: Input

  private mutating func feed(_ bytes: [UInt8]) {
    buffer += bytes
    var offset = 0
    do throws(ProtocolError) {
      var split = FrameSplit.incomplete(declaredBytes: nil)
      repeat {
        guard !machine.discardsInput else { return }
        split = try unsafe splitFrame(
          buffer.span.bytes, at: offset, frameBytesMax: machine.frameBytesMax)
        if case .body(let range) = split {
          let frame = try unsafe Frame.decode(buffer.span.bytes.extracting(range))
          let body = Array(buffer[range])
          offset = range.upperBound
          perform(try machine.receive(frame, now: now), body)
        }
      } while split.isBody
      buffer.removeFirst(offset)
      if case .incomplete(let declared) = split, !buffer.isEmpty {
        machine.frameIncomplete(declaredBytes: declared, now: now)
      }
    } catch {
      end(error.status)
    }
  }

  private mutating func perform(_ action: ServerAction, _ body: [UInt8]) {
    switch action {
    case .ignore: break
    case .authenticate(let hello): authenticate(hello)
    case .call(let stream, let call): route(stream, call, body)
    case .refuse(let stream, let status): writeEnd(stream, status)
    case .message(let stream, let data):
      events.append(
        .object([
          "deliver": .object([
            "stream": .number(Int(stream)), "message": .text(hex(body[data.message])),
            "end_of_requests": .bool(data.endOfRequests),
          ])
        ]))
    case .halfClose(let stream): event("half_close", .number(Int(stream)))
    case .cancel(let stream): event("cancel", .number(Int(stream)))
    case .sendable(let stream): event("sendable", .number(Int(stream)))
    case .connectionSendable:
      while let stream = machine.nextSendable() { event("sendable", .number(Int(stream))) }
    case .credit(let bytes): writeCredit(0, bytes)
    case .pong(let token): write(0, "pong", ["token": .text(String(token))])
    case .drain(let goaway): writeDrain(goaway)
    case .peerDrains: event("drains", .bool(true))
    case .peerEnded: close()
    }
  }

  private mutating func authenticate(_ hello: Hello) {
    precondition(!machine.wantsFrames)
    guard hello.apiKey == "k" else {
      return end(Status(.unauthenticated, reason: "API_KEY_REFUSED", message: "No such key."))
    }
    machine.welcome(now: now)
    write(0, "welcome", [:])
  }

  private mutating func route(_ stream: UInt32, _ call: Frame.Call, _ body: [UInt8]) {
    let kinds: [String: CallKind] = [
      "test.Calls/Unary": .unary, "test.Calls/ServerStreaming": .serverStreaming,
      "test.Calls/ClientStreaming": .clientStreaming, "test.Calls/Bidirectional": .bidirectional,
    ]
    guard let kind = kinds[String(decoding: body[call.method], as: UTF8.self)] else {
      machine.decline(stream)
      return writeEnd(stream, Status(.unimplemented, reason: "", message: ""))
    }
    if let status = machine.accept(stream, kind: kind) { return writeEnd(stream, status) }
    event("start", .number(Int(stream)))
  }

  // MARK: Time

  private mutating func pass(_ nanoseconds: UInt64) {
    let end = now + nanoseconds
    while let deadline = machine.nextDeadline, deadline <= end, !isClosed {
      now = max(now, deadline)
      do throws(ProtocolError) {
        while !isClosed, let due = try machine.expire(now: now) { perform(due) }
      } catch {
        self.end(error.status)
      }
      if machine.isDrained && !isClosed { close() }
    }
    now = end
  }

  private mutating func perform(_ due: ServerTimeout) {
    switch due {
    case .ping(let token):
      lastPing = token
      write(0, "ping", [:])
    case .drain(let goaway): writeDrain(goaway)
    case .drainExpired: event("drain_expired", .bool(true))
    case .close: close()
    }
  }

  // MARK: The script's server

  private mutating func act(_ action: JSON) {
    if let answer = action["answer"] {
      let stream = UInt32(answer["stream"]?.number ?? 0)
      let message = answer["message"]?.text ?? ""
      write(stream, "end", message.isEmpty ? [:] : ["message": .text(message)])
      writeCredit(0, machine.release(stream))
    } else if let failure = action["fail"] {
      let stream = UInt32(failure["stream"]?.number ?? 0)
      writeEnd(stream, status(failure))
      writeCredit(0, machine.release(stream))
    } else if let failure = action["end"] {
      let stream = UInt32(failure["stream"]?.number ?? 0)
      writeEnd(stream, status(failure))
      machine.didEnd(stream)
    } else if let stream = action["release"] {
      writeCredit(0, machine.release(UInt32(stream.number)))
    } else if let consumed = action["consume"] {
      let stream = UInt32(consumed["stream"]?.number ?? 0)
      let due = machine.consume(consumed["bytes"]?.number ?? 0, on: stream)
      writeCredit(stream, due.streamBytes)
      writeCredit(0, due.connectionBytes)
    } else if let message = action["send"] {
      send(UInt32(message["stream"]?.number ?? 0), message["bytes"]?.number ?? 0)
    } else if action["drain"] != nil, let drain = machine.startDrain(now: now) {
      writeDrain(drain.goaway)
      if let token = drain.pingToken { perform(ServerTimeout.ping(token: token)) }
    }
  }

  private mutating func send(_ stream: UInt32, _ bytes: Int) {
    guard machine.canSend(on: stream) else { return event("blocked", .number(Int(stream))) }
    machine.didSend(bytes, on: stream)
    let message = hex(Array(repeating: 0, count: bytes))
    write(stream, "data", message.isEmpty ? [:] : ["message": .text(message)])
  }

  private func status(_ failure: JSON) -> Status {
    let code = StatusCode(rawValue: UInt32(failure["code"]?.number ?? 0)) ?? .unknown
    return Status(code, reason: failure["reason"]?.text ?? "", message: "")
  }

  // MARK: Output

  private mutating func event(_ name: String, _ value: JSON) {
    events.append(.object([name: value]))
  }

  private mutating func write(_ stream: UInt32, _ kind: String, _ body: [String: JSON]) {
    var frame: [String: JSON] = [kind: .object(body)]
    if stream != 0 { frame["stream"] = .number(Int(stream)) }
    event("frame", .object(frame))
  }

  private mutating func writeEnd(_ stream: UInt32, _ status: Status) {
    write(stream, "end", ["status": meaning(status)])
  }

  private mutating func writeCredit(_ stream: UInt32, _ bytes: UInt64) {
    if bytes > 0 { write(stream, "credit", ["bytes": .text(String(bytes))]) }
  }

  private mutating func writeDrain(_ goaway: Goaway) {
    let last = Int(goaway.lastStream)
    write(0, "goaway", last == 0 ? [:] : ["last_stream": .number(last)])
  }

  private mutating func end(_ status: Status) {
    guard machine.fail(status, now: now) != nil else { return }
    write(0, "goaway", ["status": meaning(status)])
  }

  private mutating func close() {
    isClosed = true
    event("close", .bool(true))
  }

  private func meaning(_ status: Status) -> JSON {
    .object(["code": .number(Int(status.codeNumber)), "reason": .text(status.reason)])
  }
}

extension FrameSplit {
  fileprivate var isBody: Bool {
    if case .body = self { return true }
    return false
  }
}

/// Whether an event is what a golden vector expects: what it does not name is not compared, in a
/// status and in what else a `goaway` with one says.
func matches(_ event: JSON, _ expected: JSON) -> Bool {
  guard let status = expectedStatus(expected) else { return event == expected }
  guard let actual = expectedStatus(event) else { return false }
  for (name, value) in status.object where actual[name] != value { return false }
  return event["frame"]?["stream"] == expected["frame"]?["stream"]
}

private func expectedStatus(_ event: JSON) -> JSON? {
  (event["frame"]?["goaway"] ?? event["frame"]?["end"])?["status"]
}
