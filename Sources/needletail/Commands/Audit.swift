internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail audit`.
struct Audit: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Look at the audit log: who did what, and who was refused.",
    subcommands: [AuditList.self, AuditFollow.self, AuditExport.self])
}

/// Which entries are wanted: those that match all that is given.
struct AuditFilterOptions: ParsableArguments {
  @Option(help: "Only those of this user or service account, by its id.")
  var actor: String?

  @Option(name: .customLong("key"), help: "Only those of this API key, by its id.")
  var apiKey: String?

  @Option(help: "Only this action, or all of a resource: run.create, 'run.*'.")
  var action: String?

  @Option(help: "Only those of this kind of resource: run.")
  var resourceType: String?

  @Option(help: "Only those of this resource, by its id.")
  var resource: String?

  @Option(help: "Only those that are success or denied.")
  var outcome: OutcomeArgument?

  @Option(help: "Not before: 2026-01-02, 2026-01-02T03:04:05Z, or so long ago: 30m, 24h, 7d.")
  var from: MomentArgument?

  @Option(help: "Before, in the same forms.")
  var until: MomentArgument?

  var filter: AuditLogFilter {
    var filter = AuditLogFilter()
    filter.actorID = actor ?? ""
    filter.apiKeyID = apiKey ?? ""
    filter.action = action ?? ""
    filter.resourceType = resourceType ?? ""
    filter.resourceID = resource ?? ""
    filter.outcome = outcome?.outcome ?? .unspecified
    filter.from = from?.time
    filter.until = until?.time
    return filter
  }
}

/// An outcome on the command line: the last word of its name in the .proto.
struct OutcomeArgument: ExpressibleByArgument, Sendable {
  let outcome: AuditOutcome

  init?(argument: String) {
    switch argument.lowercased() {
    case "success": outcome = .success
    case "denied": outcome = .denied
    default: return nil
    }
  }

  static var allValueStrings: [String] { ["success", "denied"] }
}

/// A moment on the command line: RFC 3339, a day (UTC), or how long ago.
struct MomentArgument: ExpressibleByArgument, Sendable {
  let time: Timestamp

  init?(argument: String) {
    if argument.hasSuffix("d") {
      guard let days = Int64(argument.dropLast()), (1...36_500).contains(days) else { return nil }
      time = Timestamp(microseconds: Timestamp.now.microseconds - days * 86_400_000_000)
      return
    }
    if let ago = TimeArgument(argument: argument)?.duration {
      let (seconds, attoseconds) = ago.components
      time = Timestamp(
        microseconds: Timestamp.now.microseconds - seconds * 1_000_000
          - attoseconds / 1_000_000_000_000)
      return
    }
    let text = argument.utf8.count == 10 ? "\(argument)T00:00:00Z" : argument
    guard let moment = CalendarTime.parse(text) else { return nil }
    time = Timestamp(
      microseconds: moment.seconds * 1_000_000 + Int64(moment.nanoseconds / 1_000))
  }
}

/// The command `needletail audit list`.
struct AuditList: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List entries of the audit log, newest first.")
  static var document: Document? { Document(listOf: AuditLog.self, in: "auditLogs") }

  @OptionGroup var global: GlobalOptions
  @OptionGroup var filter: AuditFilterOptions

  @OptionGroup var most: Limit

  func run(_ context: CommandContext) async throws {
    var request = ListAuditLogsRequest()
    request.filter = filter.filter
    let all = try await context.list(
      IdentityMethods.listAuditLogs, request, \ListAuditLogsResponse.auditLogs, limit: most.limit)

    if global.output == .json { return try context.write(all) }
    var table = Table([
      ("TIME", .left), ("ACTOR", .left), ("ACTION", .left), ("OUTCOME", .left),
      ("RESOURCE", .left), ("ID", .left),
    ])
    for entry in all.auditLogs {
      table.add([
        short(entry.createdAt), firstLine(entry.actorLabel), entry.action, word(entry),
        entry.resourceID.isEmpty ? "–" : entry.resourceID, entry.id,
      ])
    }
    Console.write(table.text)
  }
}

/// "success", or why it was refused.
func word(_ entry: AuditLog) -> String {
  entry.outcome == .denied ? "denied: \(entry.reason)" : "success"
}
