internal import ArgumentParser
internal import Client
internal import Messages
internal import Wire

/// The command `needletail experiments watch`.
struct ExperimentsWatch: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch", abstract: "Follow the runs of an experiment.",
    discussion: "After a lost connection it goes on where it was.")
  static var document: Document? { Document(WatchExperimentResponse.self) }

  /// The longest time for which the server may be away.
  private static let patience = Duration.seconds(300)

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The experiment's id, or its name.")
  var experiment: String

  @Option(name: .customLong("metric"), help: "Also this metric's last, least and greatest value.")
  var metrics: [String] = []

  @Flag(help: "Only what comes from now on.")
  var skipHistory = false

  @Flag(help: "End once all that there is was told.")
  var catchUp = false

  func run(_ context: CommandContext) async throws {
    var request = WatchExperimentRequest()
    request.experimentID = try await experimentID(experiment, context)
    request.summaryKeys = metrics
    request.skipHistory = skipHistory
    request.catchUp = catchUp
    var names: [String: String] = [:]
    var lastSeen = ContinuousClock.now
    while true {
      do throws(ClientError) {
        let changes: ResponseReader<WatchExperimentResponse> =
          try await context.connection.serverStreaming(
            TrackingMethods.watchExperiment, request, context.global.callOptions)
        while let change = try await changes.next() {
          lastSeen = .now
          tell(change, &names, context)
          request.resumeToken = change.resumeToken
        }
        return
      } catch {
        let isPatient = ContinuousClock.now - lastSeen < Self.patience
        guard error.isRetryable, isPatient else { throw error }
        Console.complain("needletail: \(visible(error.status.message)) Trying again.")
        try await Task.sleep(for: .seconds(1))
      }
    }
  }

  private func tell(
    _ change: WatchExperimentResponse, _ names: inout [String: String], _ context: CommandContext
  ) {
    if global.output == .json {
      // The program's own descriptors describe its own messages.
      try? context.writeLine(change)
      return
    }
    var lines = ""
    for id in change.goneRunIDs {
      lines += "\(id)  \(visible(names[id] ?? ""))  \(Console.styled("gone", .dim))\n"
    }
    for run in change.runs {
      names[run.id] = run.name
      let status = Console.styled(word(run.status), style(run.status))
      let time = duration(milliseconds: run.durationMs)
      lines += "\(run.id)  \(visible(run.name))  \(status)  \(time)\n"
    }
    for run in change.epochs {
      for epoch in run.epochs {
        lines += "\(run.runID)  \(visible(names[run.runID] ?? ""))  "
        lines += "restarted from step \(epoch.fromStep) (epoch \(epoch.epoch))\n"
      }
    }
    for run in change.summaries {
      for metric in run.metrics {
        let extent = "\(short(metric.minValue)) to \(short(metric.maxValue))"
        lines += "\(run.runID)  \(visible(names[run.runID] ?? ""))  \(visible(metric.key))  "
        lines += "\(short(metric.lastValue)) at step \(metric.lastStep)"
        lines += "  \(Console.styled(extent, .dim))\n"
      }
    }
    if !lines.isEmpty { Console.write(lines) }
  }
}
