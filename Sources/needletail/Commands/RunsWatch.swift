internal import ArgumentParser
internal import Client
internal import Messages
internal import Wire

/// The command `needletail runs watch`.
struct RunsWatch: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch", abstract: "Follow a run until it ends.",
    discussion: "After a lost connection it goes on where it was; no point is missed or repeated.")
  static var document: Document? { Document(WatchRunResponse.self) }

  /// The longest time for which the server may be away.
  private static let patience = Duration.seconds(300)

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The run's id, or latest.")
  var run: String

  @Flag(help: "Only what comes from now on.")
  var skipHistory = false

  @Flag(help: "Go on after the run has ended.")
  var stay = false

  func run(_ context: CommandContext) async throws {
    var request = WatchRunRequest()
    request.runID = try await runID(run, context)
    request.skipHistory = skipHistory
    request.stay = stay
    var lastSeen = ContinuousClock.now
    while true {
      do throws(ClientError) {
        return try await follow(&request, &lastSeen, context)
      } catch {
        if error.reason == "RESUME_TOKEN_EXPIRED" {
          // Too long away: from now on is what is left, since all of it again would repeat points.
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

  /// Tells what one stream brings, and keeps the place from which another would go on.
  private func follow(
    _ request: inout WatchRunRequest, _ lastSeen: inout ContinuousClock.Instant,
    _ context: CommandContext
  ) async throws(ClientError) {
    let changes: ResponseReader<WatchRunResponse> = try await context.connection.serverStreaming(
      TrackingMethods.watchRun, request, context.global.callOptions)
    while let change = try await changes.next() {
      lastSeen = .now
      tell(change, context)
      if !change.resumeToken.isEmpty { request.resumeToken = change.resumeToken }
    }
  }

  private func tell(_ change: WatchRunResponse, _ context: CommandContext) {
    if global.output == .json {
      // The program's own descriptors describe its own messages.
      try? context.writeLine(change)
      return
    }
    var lines = ""
    if let run = change.run {
      let status = Console.styled(word(run.status), style(run.status))
      lines += "\(visible(run.name))  \(status)  \(duration(milliseconds: run.durationMs))\n"
    }
    for series in change.series {
      let key = visible(series.key)
      for (step, value) in zip(series.steps, series.values) {
        lines += "\(Console.styled("step \(step)", .dim))  \(key)  \(short(value))\n"
      }
    }
    if !lines.isEmpty { Console.write(lines) }
  }
}
