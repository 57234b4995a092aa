// Feeds bytes to a server's connection as its socket would: split, decode, machine.
//
// Build and run for a minute, from the package's folder, with the golden vectors as corpus:
//
//   mkdir -p .build-fuzz/corpus && Fuzz/corpus .build-fuzz/corpus
//   swiftc -O -sanitize=fuzzer,address -parse-as-library -module-name FrameFuzzer \
//     Sources/Wire/*.swift Fuzz/FrameFuzzer.swift -o .build-fuzz/frame
//   SWIFT_BACKTRACE=enable=no .build-fuzz/frame -max_total_time=60 .build-fuzz/corpus

/// One connection per input; a trap, an overflow or a read out of bounds is a finding.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  unsafe converse(bytes.span.bytes)
  return 0
}

private func converse(_ bytes: RawSpan) {
  var limits = WireLimits()
  limits.streamWindowBytes = 16
  limits.connectionWindowBytes = 64
  limits.openStreamsMax = 4
  var server = ServerMachine(limits: limits, now: 0)
  var writer = FrameWriter()
  var now: UInt64 = 0
  var offset = 0
  do throws(ProtocolError) {
    while case .body(let range) = try splitFrame(
      bytes, at: offset, frameBytesMax: server.frameBytesMax)
    {
      offset = range.upperBound
      now += 50_000_000
      let frame = try Frame.decode(bytes.extracting(range))
      precondition(isInside(frame, range.count), "a range reaches out of its frame")
      react(to: try server.receive(frame, now: now), &server, &writer, now: now)
      precondition(server.openStreams <= limits.openStreamsMax)
    }
    server.frameIncomplete(declaredBytes: nil, now: now)
    while let deadline = server.nextDeadline {
      guard let due = try server.expire(now: max(now, deadline)) else { break }
      now = max(now, deadline)
      if due == .close { break }
    }
  } catch {
    if let goaway = server.fail(error.status, now: now) { writer.goaway(goaway) }
  }
}

private func react(
  to action: ServerAction, _ server: inout ServerMachine, _ writer: inout FrameWriter, now: UInt64
) {
  switch action {
  case .authenticate: server.welcome(now: now)
  case .call(let stream, let call):
    let kind = CallKind.allCases[call.method.count % 4]
    guard server.accept(stream, kind: kind) == nil else { return }
    if kind.streamsAnswers, server.canSend(on: stream) { server.didSend(9, on: stream) }
    if call.timeoutMilliseconds % 2 == 1 { _ = server.release(stream) }
  case .message(let stream, let data):
    _ = server.consume(data.message.count, on: stream)
  case .cancel(let stream):
    server.didEnd(stream)
    _ = server.release(stream)
  case .connectionSendable, .sendable:
    while let stream = server.nextSendable() { server.didSend(1, on: stream) }
  case .refuse(let stream, let status): writer.end(stream: stream, status: status)
  case .credit(let bytes): writer.credit(stream: 0, bytes: bytes)
  case .pong(let token): writer.pong(token: token)
  case .drain(let goaway): writer.goaway(goaway)
  case .ignore, .halfClose, .peerDrains, .peerEnded: break
  }
}

/// Whether all payload ranges lie in the frame.
private func isInside(_ frame: Frame, _ count: Int) -> Bool {
  let whole = 0..<count + 1
  func holds(_ range: Range<Int>) -> Bool {
    whole.contains(range.lowerBound) && range.upperBound <= count
  }
  switch frame.body {
  case .call(let call): return holds(call.method) && holds(call.message)
  case .data(let data): return holds(data.message)
  case .end(let end): return holds(end.message)
  default: return true
  }
}
