internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail describe`.
struct Describe: ClientCommand {
  static let configuration = CommandConfiguration(
    abstract: "Describe the server's services, methods and messages.",
    discussion: "Without a name it lists every method.")

  @OptionGroup var global: GlobalOptions

  @Argument(help: "A service, method, message or enum, by its full name or the end of it.")
  var name: String?

  func run(_ context: CommandContext) async throws {
    let schema = try await fetchSchema(context)
    let description = SchemaDescription(schema: schema)
    guard let name else {
      return global.output == .json
        ? Console.line(description.listJSON.pretty) : Console.write(description.list)
    }
    guard let found = description.find(name) else {
      throw CommandFailure(
        .notFound, reason: "NAME_UNKNOWN", "The server has nothing called \(name).")
    }
    if global.output == .json {
      Console.line(found.json.pretty)
    } else {
      Console.write(found.text)
    }
  }
}

/// The descriptors of the server.
func fetchSchema(_ context: CommandContext) async throws -> Schema {
  let answer = try await context.call(
    ServerMethods.getDescriptors, GetDescriptorsRequest(), for: GetDescriptorsResponse.self)
  return try Schema(fileDescriptorSet: answer.fileDescriptorSet)
}

/// The one method that a name means.
func find(_ name: String, in schema: Schema) throws(CommandFailure) -> MethodType {
  let found = schema.methods(named: name)
  if let method = found.first, found.count == 1 { return method }
  let names = found.map(\.name).joined(separator: ", ")
  throw CommandFailure(
    .usage, reason: "METHOD_UNKNOWN",
    found.isEmpty
      ? "The server has no method \(name); `needletail describe` lists them."
      : "\(name) can be any of \(names).")
}
