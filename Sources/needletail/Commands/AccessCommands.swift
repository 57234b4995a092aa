internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail permissions`.
struct Permissions: ClientCommand {
  static let configuration = CommandConfiguration(
    abstract: "List what methods ask for, which roles include it, and whether the key has it.")
  static var document: Document? {
    Document(listOf: Permission.self, in: "permissions")
  }

  @OptionGroup var global: GlobalOptions

  @Flag(help: "Show the methods, too.")
  var methods = false

  func run(_ context: CommandContext) async throws {
    let answer = try await context.call(
      IdentityMethods.listPermissions, ListPermissionsRequest(), for: ListPermissionsResponse.self)
    if global.output == .json { return try context.write(answer) }
    var columns: [(String, Table.Alignment)] = [
      ("PERMISSION", .left), ("YOURS", .left), ("ROLES", .left),
    ]
    if methods { columns.append(("METHODS", .left)) }
    var table = Table(columns)
    for permission in answer.permissions {
      var cells = [
        permission.name, permission.isGranted ? "yes" : "no",
        permission.roles.map { word($0) }.joined(separator: " "),
      ]
      if methods { cells.append(permission.methods.joined(separator: " ")) }
      table.add(cells)
    }
    Console.write(table.text)
  }
}

/// The command `needletail access`.
struct AccessCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "access", abstract: "Ask who may do what, and why.",
    subcommands: [AccessExplain.self])
}

/// The command `needletail access explain`.
struct AccessExplain: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Say whether a call would be allowed, and which rule decides.",
    discussion: """
      Nothing is called. METHOD is a full name, needletail.tracking.v1.Tracking/CreateRun, or its \
      end: CreateRun. Administrators ask for anybody, others for themselves.
      """)
  static var document: Document? { Document(ExplainAccessResponse.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The method.")
  var method: String

  @Option(help: "The id of a user or service account; yours unless given.")
  var principal: String?

  @Option(help: "The id of a key of theirs; your own unless you ask for somebody else.")
  var key: String?

  @Option(help: "The id of the project, experiment or run that the call is about.")
  var resource: String?

  func run(_ context: CommandContext) async throws {
    var request = ExplainAccessRequest()
    request.method = try find(method, in: try await fetchSchema(context)).descriptor.name
    request.principalID = principal ?? ""
    request.apiKeyID = key ?? ""
    request.resourceID = resource ?? ""
    let answer = try await context.call(
      IdentityMethods.explainAccess, request, for: ExplainAccessResponse.self)
    if global.output == .json { return try context.write(answer) }
    Console.line(
      answer.isAllowed
        ? "allowed: \(request.method) (\(answer.permission))"
        : "refused with \(answer.code): \(request.method) (\(answer.permission))")
    var table = Table([("", .left), ("RULE", .left), ("SAYS", .left), ("WHY", .left)])
    for decision in answer.decisions {
      table.add([
        decision.isDecisive ? ">" : "", word(decision.rule),
        decision.isAllowed ? "yes" : "no", decision.explanation,
      ])
    }
    Console.write(table.text)
  }
}

/// "project-role" for ACCESS_RULE_PROJECT_ROLE.
private func word(_ rule: AccessRule) -> String {
  rule.name.replacing("ACCESS_RULE_", with: "").replacing("_", with: "-").lowercased()
}
