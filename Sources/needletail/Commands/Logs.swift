internal import ArgumentParser
internal import Client
internal import Messages
internal import Wire

/// The command `needletail logs`.
struct Logs: ClientCommand {
  static let configuration = CommandConfiguration(
    abstract: "Read what a run wrote to its log.",
    discussion: """
      Oldest first. With --follow it goes on until the run ends; after a lost connection it goes \
      on where it was, and no line is missed or repeated.
      """)
  static var document: Document? { Document(LogLine.self) }

  /// The longest time for which the server may be away.
  private static let patience = Duration.seconds(300)
  /// The most that a server gives in one page.
  private static let pageSizeMax = 1_000

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, or latest.")
  var run: String

  @Flag(name: .shortAndLong, help: "Go on with what comes, until the run ends.")
  var follow = false

  @Flag(help: "With --follow: only what comes from now on.")
  var skipHistory = false

  @Flag(help: "With --follow: go on after the run has ended.")
  var stay = false

  @Option(help: "Only the newest N lines.")
  var last: Int?

  @Option(help: "Only this level and graver ones: debug, info, warning, error, critical.")
  var level: LevelArgument?

  @Option(help: "Only this process of a distributed job; may be repeated.")
  var rank: [UInt32] = []

  @Option(help: "Only what was written to stdout, stderr or this name; may be repeated.")
  var stream: [String] = []

  @Option(help: "Only lines that contain this text, ignoring case.")
  var grep: String?

  @Option(help: "Not before: 2026-01-02, 2026-01-02T03:04:05Z, or so long ago: 30m, 24h, 7d.")
  var since: MomentArgument?

  @Option(help: "Before, in the same forms.")
  var until: MomentArgument?

  func validate() throws {
    if let last, last < 1 { throw ValidationError("--last must be above 0.") }
    guard follow || !(skipHistory || stay) else {
      throw ValidationError("--skip-history and --stay go with --follow.")
    }
    guard !follow || last == nil else {
      throw ValidationError("--last and --follow exclude one another.")
    }
  }

  private var filter: LogFilter {
    var filter = LogFilter()
    filter.streams = stream
    filter.ranks = rank
    filter.levels = level?.andGraver ?? []
    filter.contains = grep ?? ""
    filter.fromUs = since?.time.microseconds
    filter.untilUs = until?.time.microseconds
    return filter
  }

  func run(_ context: CommandContext) async throws {
    let runID = try await runID(run, context)
    if follow { return try await followed(runID, context) }
    if let last { return try await newest(last, of: runID, context) }
    var request = ListLogsRequest()
    request.runID = runID
    request.filter = filter
    request.pageSize = UInt32(Self.pageSizeMax)
    repeat {
      let page = try await context.call(
        TrackingMethods.listLogs, request, for: ListLogsResponse.self)
      try tell(page.lines, context)
      request.pageToken = page.nextPageToken
    } while !request.pageToken.isEmpty
  }

  private func newest(_ count: Int, of runID: String, _ context: CommandContext) async throws {
    var request = ListLogsRequest()
    request.runID = runID
    request.filter = filter
    request.newestFirst = true
    let found = try await context.list(
      TrackingMethods.listLogs, request, \ListLogsResponse.lines, limit: count)
    try tell(found.lines.reversed(), context)
  }

  private func followed(_ runID: String, _ context: CommandContext) async throws {
    var request = WatchLogsRequest()
    request.runID = runID
    request.filter = filter
    request.skipHistory = skipHistory
    request.stay = stay
    var lastSeen = ContinuousClock.now
    while true {
      do {
        let messages: ResponseReader<WatchLogsResponse> =
          try await context.connection.serverStreaming(
            TrackingMethods.watchLogs, request, context.global.callOptions)
        while let message = try await messages.next() {
          lastSeen = .now
          try tell(message.lines, context)
          if !message.resumeToken.isEmpty { request.resumeToken = message.resumeToken }
        }
        return
      } catch let error as ClientError {
        if error.reason == "RESUME_TOKEN_EXPIRED" {
          // Too long away: from now on is what is left, since all of it again would repeat lines.
          Console.complain("needletail: away for too long; what came meanwhile is left out")
          request.resumeToken = ""
          request.skipHistory = true
          continue
        }
        let isPatient = ContinuousClock.now - lastSeen < Self.patience
        guard error.isRetryable, isPatient else { throw error }
        Console.complain("needletail: \(visible(error.status.message)) Trying again.")
        try await Task.sleep(for: .seconds(1))
      }
    }
  }

  private func tell(_ lines: [LogLine], _ context: CommandContext) throws {
    if global.output == .json {
      for line in lines { try context.writeLine(line) }
      return
    }
    var text = ""
    for line in lines {
      text += Console.styled(short(Timestamp(microseconds: line.timeUs)), .dim)
      if line.rank > 0 { text += "  " + Console.styled("rank \(line.rank)", .dim) }
      if line.level != .unspecified {
        text += "  " + Console.styled(word(line.level), style(line.level))
      }
      text += "  \(readable(line.text))\n"
    }
    if !text.isEmpty { Console.write(text) }
  }
}

extension ListLogsRequest: PageRequest {}
extension ListLogsResponse: PageResponse {}

/// A level on the command line: the last word of its name in the .proto, in any case.
struct LevelArgument: ExpressibleByArgument, Sendable {
  let level: LogLevel

  init?(argument: String) {
    let found = LogLevel.known.first { $0 != .unspecified && word($0) == argument.lowercased() }
    guard let found else { return nil }
    level = found
  }

  static var allValueStrings: [String] {
    LogLevel.known.filter { $0 != .unspecified }.map(word)
  }

  /// This level and those above it.
  var andGraver: [LogLevel] { LogLevel.known.filter { $0.number >= level.number } }
}

/// "warning" for LOG_LEVEL_WARNING.
private func word(_ level: LogLevel) -> String {
  level.name.replacing("LOG_LEVEL_", with: "").lowercased()
}

private func style(_ level: LogLevel) -> Console.Style {
  switch level {
  case .warning: .yellow
  case .error, .critical: .red
  case .unspecified, .debug, .info, .unrecognized: .dim
  }
}

/// A line as a terminal may show it: of what was overwritten the last, and no control characters.
private func readable(_ text: String) -> String {
  let shown = text.split(separator: "\r", omittingEmptySubsequences: true).last ?? ""
  return shown.split(separator: "\t", omittingEmptySubsequences: false)
    .map { visible(String($0)) }.joined(separator: "\t")
}
