public import Wire

/// Puts a frame into the words of the golden vectors; defaults are left out.
public func meaning(of frame: Frame, body: [UInt8]) -> JSON {
  var result: [String: JSON] = [:]
  func bytes(_ range: Range<Int>) -> JSON? {
    range.isEmpty ? nil : .text(hex(body[range]))
  }
  if frame.stream != 0 { result["stream"] = .number(Int(frame.stream)) }
  let fields: [String: JSON?] =
    switch frame.body {
    case .hello(let hello):
      [
        "api_key": text(hello.apiKey), "client": text(hello.client),
        "stream_window_bytes": long(hello.streamWindowBytes),
      ]
    case .welcome(let welcome):
      [
        "server": text(welcome.server), "organization_id": text(welcome.organizationID),
        "user_id": text(welcome.userID), "api_key_id": text(welcome.apiKeyID),
        "connection_id": text(welcome.connectionID), "limits": welcome.limits.map(meaning),
      ]
    case .call(let call):
      [
        "method": call.method.isEmpty
          ? nil : .text(String(decoding: body[call.method], as: UTF8.self)),
        "timeout_ms": number(call.timeoutMilliseconds),
        "idempotency_key": text(call.idempotencyKey), "traceparent": text(call.traceparent),
        "message": bytes(call.message), "end_of_requests": flag(call.endOfRequests),
        "no_message": flag(call.hasNoMessage), "metadata": map(call.metadata),
      ]
    case .data(let data):
      ["message": bytes(data.message), "end_of_requests": flag(data.endOfRequests)]
    case .end(let end):
      ["status": end.status.map(meaning), "message": bytes(end.message)]
    case .cancel: [:]
    case .credit(let count): ["bytes": long(count)]
    case .ping(let token), .pong(let token): ["token": long(token)]
    case .goaway(let goaway):
      ["last_stream": number(goaway.lastStream), "status": goaway.status.map(meaning)]
    }
  result[frame.body.name.lowercased()] = .object(fields.compactMapValues { $0 })
  return .object(result)
}

private func meaning(_ limits: Limits) -> JSON {
  let fields: [String: JSON?] = [
    "max_frame_bytes": number(limits.frameBytesMax),
    "max_open_streams": number(limits.openStreamsMax),
    "stream_window_bytes": long(limits.streamWindowBytes),
    "connection_window_bytes": long(limits.connectionWindowBytes),
    "idle_timeout_ms": number(limits.idleTimeoutMilliseconds),
    "max_call_timeout_ms": number(limits.callTimeoutMaxMilliseconds),
  ]
  return .object(fields.compactMapValues { $0 })
}

private func meaning(_ status: Status) -> JSON {
  let violations = status.fieldViolations.map { violation in
    let fields: [String: JSON?] = [
      "field": text(violation.field), "description": text(violation.description),
    ]
    return JSON.object(fields.compactMapValues { $0 })
  }
  let code = Int(Int32(bitPattern: status.codeNumber))
  let fields: [String: JSON?] = [
    "code": code == 0 ? nil : .number(code), "message": text(status.message),
    "reason": text(status.reason), "field_violations": violations.isEmpty ? nil : .list(violations),
    "retry_after_ms": number(status.retryAfterMilliseconds), "details": map(status.details),
    "request_id": text(status.requestID),
  ]
  return .object(fields.compactMapValues { $0 })
}

private func text(_ value: String) -> JSON? { value.isEmpty ? nil : .text(value) }
private func number(_ value: UInt32) -> JSON? { value == 0 ? nil : .number(Int(value)) }
private func long(_ value: UInt64) -> JSON? { value == 0 ? nil : .text(String(value)) }
private func flag(_ value: Bool) -> JSON? { value ? .bool(true) : nil }
private func map(_ value: [String: String]) -> JSON? {
  value.isEmpty ? nil : .object(value.mapValues { .text($0) })
}

/// Writes a decoded frame again.
public func encode(_ frame: Frame, body: [UInt8]) -> [UInt8] {
  var writer = FrameWriter()
  let stream = frame.stream
  switch frame.body {
  case .hello(let hello): writer.hello(hello)
  case .welcome(let welcome): writer.welcome(welcome)
  case .call(let call):
    var header = CallHeader(
      method: String(decoding: body[call.method], as: UTF8.self),
      endOfRequests: call.endOfRequests)
    header.timeoutMilliseconds = call.timeoutMilliseconds
    header.hasNoMessage = call.hasNoMessage
    header.idempotencyKey = call.idempotencyKey
    header.traceparent = call.traceparent
    header.metadata = call.metadata
    let message = Array(body[call.message])
    unsafe writer.call(stream: stream, header, message: message.span.bytes)
  case .data(let data):
    let message = Array(body[data.message])
    unsafe writer.data(
      stream: stream, message: message.span.bytes, endOfRequests: data.endOfRequests)
  case .end(let end):
    let message = Array(body[end.message])
    if let status = end.status {
      writer.end(stream: stream, status: status)
    } else {
      unsafe writer.end(stream: stream, message: message.span.bytes)
    }
  case .cancel: writer.cancel(stream: stream)
  case .credit(let count): writer.credit(stream: stream, bytes: count)
  case .ping(let token): writer.ping(token: token)
  case .pong(let token): writer.pong(token: token)
  case .goaway(let goaway): writer.goaway(goaway)
  }
  return writer.bytes
}

/// Writes the frame that the golden vectors describe; what a client sends, and Data.
public func clientFrame(_ meaning: JSON) -> [UInt8] {
  var writer = FrameWriter()
  let stream = UInt32(meaning["stream"]?.number ?? 0)
  if let hello = meaning["hello"] {
    guard stream == 0 else { return onStream(stream, kind: 2, hello["api_key"]?.text ?? "") }
    writer.hello(
      Hello(
        apiKey: hello["api_key"]?.text ?? "", client: "",
        streamWindowBytes: hello["stream_window_bytes"]?.unsigned ?? 0))
  } else if let call = meaning["call"] {
    var header = CallHeader(
      method: call["method"]?.text ?? "", endOfRequests: call["end_of_requests"]?.bool ?? false)
    header.hasNoMessage = call["no_message"]?.bool ?? false
    let message = call["message"]?.bytes ?? []
    unsafe writer.call(stream: stream, header, message: message.span.bytes)
  } else if let data = meaning["data"] {
    let message = data["message"]?.bytes ?? []
    unsafe writer.data(
      stream: stream, message: message.span.bytes,
      endOfRequests: data["end_of_requests"]?.bool ?? false)
  } else if let credit = meaning["credit"] {
    writer.credit(stream: stream, bytes: credit["bytes"]?.unsigned ?? 0)
  } else if meaning["cancel"] != nil {
    writer.cancel(stream: stream)
  } else if meaning["end"] != nil {
    unsafe writer.end(stream: stream, message: [UInt8]().span.bytes)
  } else if stream != 0 {
    return onStream(stream, kind: meaning["ping"] != nil ? 9 : meaning["pong"] != nil ? 10 : 11, "")
  } else if let ping = meaning["ping"] {
    writer.ping(token: ping["token"]?.unsigned ?? 0)
  } else if let pong = meaning["pong"] {
    writer.pong(token: pong["token"]?.unsigned ?? 0)
  } else if meaning["welcome"] != nil {
    writer.welcome(
      Welcome(
        server: "", organizationID: "", userID: "", apiKeyID: "", connectionID: "", limits: nil))
  } else if let goaway = meaning["goaway"] {
    let code = (goaway["status"]?["code"]?.number).map { StatusCode(rawValue: UInt32($0)) }
    let status = code.map { Status($0 ?? .unknown, reason: "", message: "") }
    writer.goaway(Goaway(lastStream: 0, status: status))
  }
  return writer.bytes
}

/// A frame of the connection on a stream, which the writer does not write.
private func onStream(_ stream: UInt32, kind: UInt8, _ key: String) -> [UInt8] {
  let text = key.isEmpty ? [] : [0x0A, UInt8(key.utf8.count)] + Array(key.utf8)
  let body = [0x08, UInt8(stream), kind << 3 | 2, UInt8(text.count)] + text
  return [0, 0, 0, UInt8(body.count)] + body
}
