internal import ArgumentParser
internal import Client
internal import Glibc
internal import Messages
internal import Wire

/// How an export is written.
enum ExportFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
  /// A JSON object a line.
  case jsonl
  /// RFC 4180, with a line for the titles.
  case csv
}

/// The command `needletail audit export`.
struct AuditExport: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write entries of the audit log, oldest first.",
    discussion: """
      Ends some seconds before now (the server's audit-export-horizon). To go on later, give the \
      id of the last entry as --after: what was written before is not repeated.
      """)
  static var document: Document? { Document(AuditLog.self) }

  @OptionGroup var global: GlobalOptions
  @OptionGroup var filter: AuditFilterOptions

  @Option(help: "jsonl or csv.")
  var format = ExportFormat.jsonl

  @Option(help: "Only what comes after the entry of this id.")
  var after: String?

  func validate() throws {
    guard format == .jsonl || global.output == .table else {
      throw ValidationError("--json and --format csv exclude one another.")
    }
  }

  func run(_ context: CommandContext) async throws {
    var request = ExportAuditLogsRequest()
    request.filter = filter.filter
    request.after = after ?? ""
    if format == .csv { Console.line(AuditCSV.titles) }
    try await AuditReader(context).read(&request) { entry in
      switch format {
      case .jsonl: try context.writeLine(entry)
      case .csv: Console.line(AuditCSV.line(entry))
      }
    }
  }
}

/// The command `needletail audit follow`.
struct AuditFollow: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "follow", abstract: "Tell of entries of the audit log as they come.",
    discussion: """
      An entry is told once it is as old as the server's audit-export-horizon, so that none is \
      missed. After a lost connection it goes on where it was.
      """)
  static var document: Document? { Document(AuditLog.self) }

  @OptionGroup var global: GlobalOptions
  @OptionGroup var filter: AuditFilterOptions

  @Option(help: "Begin after the entry of this id; else at --from, else now.")
  var after: String?

  @Option(help: "How often to look: 2s, 1m.")
  var interval = TimeArgument(duration: .seconds(2))

  func run(_ context: CommandContext) async throws {
    var request = ExportAuditLogsRequest()
    var wanted = filter.filter
    if after == nil, wanted.from == nil { wanted.from = .now }
    request.filter = wanted
    request.after = after ?? ""
    while true {
      try await AuditReader(context).read(&request) { entry in
        if global.output == .json { return try context.writeLine(entry) }
        let outcome = Console.styled(word(entry), entry.outcome == .denied ? .red : .green)
        let resource = entry.resourceID.isEmpty ? "" : "  \(entry.resourceID)"
        Console.line(
          "\(Console.styled(short(entry.createdAt), .dim))  \(visible(entry.actorLabel))  "
            + "\(visible(entry.action))  \(outcome)\(resource)")
      }
      try await Task.sleep(for: interval.duration)
    }
  }
}

/// Reads an export to its end, over as many connections as it takes.
struct AuditReader {
  /// The longest time for which the server may be away.
  private static let patience = Duration.seconds(300)

  private let context: CommandContext

  init(_ context: CommandContext) { self.context = context }

  /// Gives `tell` each entry once; `request` then says where another export goes on.
  func read(
    _ request: inout ExportAuditLogsRequest, _ tell: (AuditLog) throws -> Void
  ) async throws {
    var lastSeen = ContinuousClock.now
    while true {
      do {
        let batches: ResponseReader<ExportAuditLogsResponse> =
          try await context.connection.serverStreaming(
            IdentityMethods.exportAuditLogs, request, context.global.callOptions)
        while let batch = try await batches.next() {
          lastSeen = .now
          for entry in batch.auditLogs {
            try tell(entry)
            request.after = entry.id
          }
        }
        return
      } catch let error as ClientError {
        let isPatient = ContinuousClock.now - lastSeen < Self.patience
        guard error.isRetryable, isPatient else { throw error }
        Console.complain("needletail: \(visible(error.status.message)) Trying again.")
        try await Task.sleep(for: .seconds(1))
      }
    }
  }
}

/// Entries as rows of RFC 4180.
enum AuditCSV {
  private static let columns: [(title: String, value: @Sendable (AuditLog) -> String)] = [
    ("id", { $0.id }),
    (
      "created_at",
      { entry in
        let microseconds = entry.createdAt?.microseconds ?? 0
        return CalendarTime.format(
          seconds: microseconds / 1_000_000, nanoseconds: Int32(microseconds % 1_000_000) * 1_000)
      }
    ),
    ("actor_type", { $0.actorType }), ("actor_id", { $0.actorID }),
    ("actor_label", { $0.actorLabel }), ("api_key_id", { $0.apiKeyID }),
    ("action", { $0.action }),
    ("outcome", { $0.outcome == .denied ? "denied" : "success" }), ("reason", { $0.reason }),
    ("resource_type", { $0.resourceType }), ("resource_id", { $0.resourceID }),
    ("project_id", { $0.projectID }), ("ip_address", { $0.ipAddress }), ("client", { $0.client }),
    ("request_id", { $0.requestID }), ("details_json", { $0.detailsJSON }),
  ]

  static let titles = columns.map(\.title).joined(separator: ",")

  static func line(_ entry: AuditLog) -> String {
    CSV.row(columns.map { $0.value(entry) })
  }
}

extension Timestamp {
  /// The moment of the call.
  static var now: Timestamp {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000)
  }
}
