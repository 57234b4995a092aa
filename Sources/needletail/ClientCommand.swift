internal import ArgumentParser
internal import Client
internal import Messages
internal import Wire

/// A command that asks a server.
protocol ClientCommand: AsyncParsableCommand {
  var global: GlobalOptions { get }
  /// Whether the connection carries no API key, even where one is known.
  var isAnonymous: Bool { get }

  /// Does the work; what it throws is told in the format that was asked for.
  func run(_ context: CommandContext) async throws
}

extension ClientCommand {
  var isAnonymous: Bool { false }

  func run() async throws {
    do {
      let resolved = try global.endpoint(isAnonymous: isAnonymous)
      let connection = try Connection(to: resolved.endpoint)
      let context = CommandContext(connection: connection, resolved: resolved, global: global)
      // The first attempt is made at once, so that a server that is away is told right now.
      _ = try await connection.open()
      try await run(context)
      await connection.close()
    } catch {
      throw tell(error, global.output)
    }
  }
}

/// Says what went wrong, and gives the failure that ends the process.
func tell(_ error: any Error, _ format: OutputFormat) -> any Error {
  let failure: CommandFailure
  switch error {
  case let error as CommandFailure: failure = error
  case let error as ClientError: failure = CommandFailure(error)
  case let error as GenericError: failure = CommandFailure(error)
  // The parser's own: it knows how to say it.
  default: return error
  }
  Console.complain(format == .json ? failure.json.compact : failure.text)
  return failure
}

/// What a command works with.
struct CommandContext: Sendable {
  let connection: Connection
  let resolved: ResolvedEndpoint
  let global: GlobalOptions

  /// One call with one answer.
  func call<Request: Message, Response: Message>(
    _ method: MethodDescriptor, _ request: Request, for type: Response.Type
  ) async throws(ClientError) -> Response {
    try await connection.unary(method, request, global.callOptions)
  }

  /// Writes a message as JSON, in several lines.
  func write(_ message: some Message) throws {
    Console.line(try json(message).pretty)
  }

  /// A message as JSON.
  func json<Value: Message>(_ message: Value) throws -> JSONValue {
    let decoder = MessageDecoder(schema: try ownSchema.get(), includesDefaults: true)
    return try decoder.decode(message.encoded, as: Value.fullName)
  }
}

/// The descriptors that this program was built with.
private let ownSchema: Result<Schema, GenericError> = Result { () throws(GenericError) in
  try Schema(fileDescriptorSet: Descriptors.fileDescriptorSet)
}
