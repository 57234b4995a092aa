internal import ArgumentParser
internal import Client
internal import Messages
internal import Wire

/// A command that asks a server.
protocol ClientCommand: AsyncParsableCommand {
  var global: GlobalOptions { get }
  /// Whether the connection carries no API key, even where one is known.
  var isAnonymous: Bool { get }

  /// What `--json FIELDS` chooses from; nil where there is nothing to choose.
  static var document: Document? { get }

  /// Does the work; what it throws is told in the format that was asked for.
  func run(_ context: CommandContext) async throws
}

/// A command that takes something away, and so asks first.
protocol DestructiveCommand: ClientCommand {
  var confirmation: Confirmation { get }

  /// What it is about to do, for the question: "Delete the project nightly".
  var intention: String { get }
}

extension ClientCommand {
  static var document: Document? { nil }
  var isAnonymous: Bool { false }

  func run() async throws {
    do {
      try global.written.check(Self.document)
      if let command = self as? any DestructiveCommand {
        try command.confirmation.confirm(command.intention)
      }
      let resolved = try global.endpoint(isAnonymous: isAnonymous)
      let connection = try Connection(to: resolved.endpoint)
      let context = CommandContext(
        connection: connection, resolved: resolved, global: global, document: Self.document)
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
  let document: Document?

  /// One call with one answer.
  func call<Request: Message, Response: Message>(
    _ method: MethodDescriptor, _ request: Request, for type: Response.Type
  ) async throws(ClientError) -> Response {
    try await connection.unary(method, request, global.callOptions)
  }

  /// Writes a message as JSON, in several lines.
  func write(_ message: some Message) throws { write(try json(message)) }

  /// Writes a document, or what was chosen of it, in several lines.
  func write(_ value: JSONValue) {
    Console.line(global.written.chosen(of: value, document).pretty)
  }

  /// Writes a message as JSON in one line.
  func writeLine(_ message: some Message) throws {
    Console.line(global.written.chosen(of: try json(message), document).compact)
  }

  /// A message as JSON.
  func json(_ message: some Message) throws -> JSONValue { try messageJSON(message) }
}

/// A message as JSON, with the fields that are at their defaults.
func messageJSON<Value: Message>(_ message: Value) throws -> JSONValue {
  let decoder = MessageDecoder(schema: try ownSchema.get(), includesDefaults: true)
  return try decoder.decode(message.encoded, as: Value.fullName)
}

/// The fields of a message, by their names in JSON.
func fieldNames(of type: any Message.Type) -> [String] {
  // The program's own descriptors describe its own messages.
  (try? ownSchema.get())?.messages[type.fullName]?.fields.map(\.jsonName) ?? []
}

/// The descriptors that this program was built with.
private let ownSchema: Result<Schema, GenericError> = Result { () throws(GenericError) in
  try Schema(fileDescriptorSet: Descriptors.fileDescriptorSet)
}
