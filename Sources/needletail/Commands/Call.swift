internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail call`.
struct Call: ClientCommand {
  static let configuration = CommandConfiguration(
    abstract: "Call any method of the server, with JSON in and out.",
    discussion: """
      METHOD is a full name, or its end: needletail.tracking.v1.Tracking/GetRun, \
      Tracking/GetRun, GetRun. The request is JSON on the command line, @FILE, or - for standard \
      input; without one it is empty. A method that streams its answers writes one document a \
      line; one that streams its requests reads one document a line, from standard input unless \
      another source is given. Bytes are base64, 64-bit integers strings, times RFC 3339.
      """)

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The method.")
  var method: String

  @Argument(help: "JSON, @FILE, or -.")
  var request: String?

  @Option(help: "Marks the call, so that it takes effect once; a random key unless given.")
  var idempotencyKey: String?

  @Flag(help: "Write fields at their defaults, too.")
  var defaults = false

  @Option(help: "W3C Trace Context for the server's logs.")
  var traceparent = ""

  func run(_ context: CommandContext) async throws {
    let schema = try await fetchSchema(context)
    let method = try find(method, in: schema)
    let document = Document(
      fields: schema.messages[method.response]?.fields.map(\.jsonName) ?? [])
    try global.written.check(document)
    let requests = try RequestSource(
      request, of: method, encoder: MessageEncoder(schema: schema))
    let descriptor = method.descriptor
    let decoder = MessageDecoder(schema: schema, includesDefaults: defaults)
    let connection = context.connection
    switch descriptor.kind {
    case .unary:
      let answer = try await connection.unaryRaw(descriptor, try await requests.only(), options)
      try write(answer, method, decoder, document)
    case .serverStreaming:
      let call = try await connection.startRaw(descriptor, try await requests.only(), options)
      try await writeAll(call, method, decoder, document)
    case .clientStreaming:
      let call = try await connection.startRaw(descriptor, nil, options)
      try await sending(requests, on: call) {
        try write(try await call.answer(), method, decoder, document)
      }
    case .bidirectional:
      let call = try await connection.startRaw(descriptor, nil, options)
      try await sending(requests, on: call) {
        try await writeAll(call, method, decoder, document)
      }
    }
  }

  private var options: CallOptions {
    var options = global.callOptions
    if let idempotencyKey { options.idempotencyKey = .explicit(idempotencyKey) }
    options.traceparent = traceparent
    return options
  }

  private func write(
    _ bytes: [UInt8], _ method: MethodType, _ decoder: MessageDecoder, _ document: Document
  ) throws {
    let answer = try decoder.decode(bytes, as: method.response)
    Console.line(global.written.chosen(of: answer, document).pretty)
  }

  private func writeAll(
    _ call: RawCall, _ method: MethodType, _ decoder: MessageDecoder, _ document: Document
  ) async throws {
    while let bytes = try await call.next() {
      let answer = try decoder.decode(bytes, as: method.response)
      Console.line(global.written.chosen(of: answer, document).compact)
    }
  }
}

/// Sends what a source holds while `body` reads.
///
/// The call ends when the server says so; requests that are still to be typed are not awaited. A
/// request that cannot be read ends the call, and is what is told then.
private func sending(
  _ requests: RequestSource, on call: RawCall, _ body: () async throws -> Void
) async throws {
  try await withThrowingTaskGroup(of: GenericError?.self) { group in
    group.addTask { await send(requests, on: call) }
    do {
      try await body()
    } catch {
      group.cancelAll()
      let failure = try await group.next() ?? nil
      if let failure { throw failure }
      throw error
    }
    group.cancelAll()
  }
}

/// Sends all requests and the end; says what was wrong with one.
private func send(_ requests: RequestSource, on call: RawCall) async -> GenericError? {
  do {
    while let message = try await requests.next() { try await call.send(message) }
    try await call.finishSending()
  } catch let error as GenericError {
    call.cancel()
    return error
  } catch {
    // The call has failed, which its reader is told as well.
  }
  return nil
}

/// The messages of a request, from the command line, a file or standard input.
private struct RequestSource: Sendable {
  private let method: MethodType
  private let encoder: MessageEncoder
  private let origin: Origin

  private enum Origin {
    /// Documents that are there already, one a line for a stream.
    case documents(Lines)
    case input(StandardInput)
  }

  /// The largest file of requests, in bytes.
  private static let fileBytesMax = 256 << 20

  init(_ argument: String?, of method: MethodType, encoder: MessageEncoder) throws {
    self.method = method
    self.encoder = encoder
    if let argument, argument.hasPrefix("@") {
      let bytes = try readNeededFile(String(argument.dropFirst()), bytesMax: Self.fileBytesMax)
      origin = .documents(Lines(bytes))
    } else if let argument, argument != "-" {
      origin = .documents(Lines(Array(argument.utf8)))
    } else if argument == "-" || method.streamsRequests {
      origin = .input(try StandardInput())
    } else {
      origin = .documents(Lines(Array("{}".utf8)))
    }
  }

  /// The whole source as one message.
  func only() async throws -> [UInt8] {
    switch origin {
    case .documents(let lines): try encode(lines.rest())
    case .input(let input): try encode(await input.rest())
    }
  }

  /// The next message of a stream: the next line that is not empty.
  func next() async throws -> [UInt8]? {
    while true {
      let line: [UInt8]?
      switch origin {
      case .documents(let lines): line = lines.next()
      case .input(let input): line = await input.line()
      }
      guard let line else { return nil }
      if line.contains(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }) {
        return try encode(line)
      }
    }
  }

  private func encode(_ bytes: [UInt8]) throws(GenericError) -> [UInt8] {
    let json: JSONValue
    do throws(JSONError) {
      json = try JSONValue.parse(bytes)
    } catch {
      throw GenericError(path: "", problem: "the request is not JSON: \(error)")
    }
    return try encoder.encode(json, as: method.request)
  }
}
