internal import ArgumentParser
internal import Client
internal import EventLoop
internal import Messages

/// The command `needletail load`.
struct Load: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure how many calls the server answers, and how fast.")

  /// What is called.
  enum Target: String, ExpressibleByArgument, CaseIterable {
    /// Server/Echo: nothing but the way.
    case echo
    /// Tracking/GetRun: one row read.
    case getRun = "get-run"
    /// Tracking/CreateRun: one row written.
    case createRun = "create-run"
    /// Tracking/AppendMetrics: points of metrics, on streams.
    case appendMetrics = "append-metrics"
  }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "echo, get-run, create-run or append-metrics.")
  var target: Target

  @Option(help: "How many connections to open.")
  var connections = 1

  @Option(
    help: "How many calls each connection has under way; batches that a writer has unacknowledged.")
  var inFlight = 1

  @Option(help: "For how many seconds to call.")
  var seconds: Double?

  @Option(help: "For how many seconds before that to call without counting what is begun.")
  var lead = 0.0

  @Option(help: "How many calls to make.")
  var calls: Int?

  @Option(help: "How many threads to use.")
  var loops = 1

  @Option(help: "Milliseconds from one start of a call to the next in its place.")
  var every: Int?

  @Option(help: "Writers of each connection of append-metrics, each with a run of its own.")
  var writers = 1

  @Option(help: "Metrics of each run of append-metrics.")
  var metrics = 1

  @Option(help: "Points of a batch of append-metrics, of all its metrics together.")
  var batchPoints = 1_000

  @Flag(help: "Call create-run without idempotency keys.")
  var unkeyed = false

  @Option(help: "Bytes that an echo carries.")
  var payloadBytes = 0

  @Flag(help: "Open the connections, say when all are up, and hold them until standard input ends.")
  var idle = false

  @Option(help: "The run that get-run reads, by its id; the newest unless given.")
  var run: String?

  @Option(help: "The experiment to fill, by its id or its name; one called load unless given.")
  var experiment: String?

  func validate() throws {
    guard connections > 0, inFlight > 0, loops > 0, payloadBytes >= 0 else {
      throw ValidationError("--connections, --in-flight and --loops must be above 0.")
    }
    guard writers > 0, metrics > 0, (metrics...AppendPlan.batchPointsMax).contains(batchPoints)
    else {
      throw ValidationError(
        "--writers and --metrics must be above 0, --batch-points --metrics to "
          + "\(AppendPlan.batchPointsMax).")
    }
    guard every.map({ $0 > 0 && $0 <= 60_000 }) ?? true else {
      throw ValidationError("--every must be 1 to 60000.")
    }
    guard seconds == nil || calls == nil else {
      throw ValidationError("Give --seconds or --calls, not both.")
    }
    guard seconds.map({ $0 > 0 && $0 <= 86_400 }) ?? true, calls.map({ $0 > 0 }) ?? true else {
      throw ValidationError("--seconds and --calls must be above 0.")
    }
    guard 0...3_600 ~= lead, lead == 0 || calls == nil else {
      throw ValidationError("--lead must be 0 to 3600, and goes with --seconds.")
    }
  }

  /// What is told of a measurement, in this order.
  private static let fieldNames = [
    "calls", "seconds", "calls_per_second", "p50_us", "p90_us", "p99_us", "max_us", "errors",
    "points_per_second",
  ]
  private static let document = Document(fields: fieldNames)

  func run() async throws {
    do {
      try global.written.check(Self.document)
      let resolved = try global.endpoint(isAnonymous: false)
      try await measure(try await plan(resolved))
    } catch {
      throw tell(error, global.output)
    }
  }

  // MARK: The plan

  private func plan(_ resolved: ResolvedEndpoint) async throws -> LoadPlan {
    let (method, message, append) = try await request(resolved)
    let end: LoadPlan.End? =
      idle ? nil : calls.map { .calls($0) } ?? .after(.seconds(seconds ?? 5))
    return LoadPlan(
      endpoint: resolved.endpoint, method: method, message: message, connections: connections,
      inFlight: inFlight, loops: min(loops, connections),
      pace: every.map { .milliseconds($0) }, sendsKeys: !unkeyed, end: end,
      lead: .seconds(lead),
      append: append)
  }

  /// The method that is called, and its request; or what is appended.
  private func request(
    _ resolved: ResolvedEndpoint
  ) async throws -> (MethodDescriptor, [UInt8], AppendPlan?) {
    if target == .echo || idle {
      var request = EchoRequest()
      request.payload = [UInt8](repeating: 0x5A, count: payloadBytes)
      return (ServerMethods.echo, request.encoded, nil)
    }
    let connection = try Connection(to: resolved.endpoint)
    let context = CommandContext(
      connection: connection, resolved: resolved, global: global, document: nil)
    _ = try await connection.open()
    let prepared: (MethodDescriptor, [UInt8], AppendPlan?)
    switch target {
    case .getRun:
      var request = GetRunRequest()
      request.id = try await runToRead(context)
      prepared = (TrackingMethods.getRun, request.encoded, nil)
    case .appendMetrics:
      prepared = (TrackingMethods.appendMetrics, [], try await appendPlan(context))
    case .createRun, .echo:
      prepared = (TrackingMethods.createRun, try await newRun(context).encoded, nil)
    }
    await connection.close()
    return prepared
  }

  private func runToRead(_ context: CommandContext) async throws -> String {
    if let run { return run }
    do {
      return try await runID("latest", context)
    } catch let failure as CommandFailure where failure.status == .notFound {
      let answer = try await context.call(
        TrackingMethods.createRun, try await newRun(context), for: CreateRunResponse.self)
      return answer.run?.id ?? ""
    }
  }

  /// Makes a run for every writer.
  private func appendPlan(_ context: CommandContext) async throws -> AppendPlan {
    let request = try await newRun(context)
    var runIDs: [String] = []
    for _ in 0..<connections * writers {
      let answer = try await context.call(
        TrackingMethods.createRun, request, for: CreateRunResponse.self)
      runIDs.append(answer.run?.id ?? "")
    }
    return AppendPlan(
      writers: writers, metrics: metrics, batchPoints: batchPoints, runIDs: runIDs)
  }

  private func newRun(_ context: CommandContext) async throws -> CreateRunRequest {
    var request = CreateRunRequest()
    request.name = "load"
    request.experimentID = try await experimentToFill(context)
    return request
  }

  /// The experiment called load in the caller's project, made when there is none.
  private func experimentToFill(_ context: CommandContext) async throws -> String {
    if let experiment { return try await experimentID(experiment, context) }
    var list = ListExperimentsRequest()
    list.projectID = context.resolved.projectID
    if list.projectID.isEmpty {
      let me = try await context.call(
        IdentityMethods.whoAmI, WhoAmIRequest(), for: WhoAmIResponse.self)
      guard let project = me.projects.first else {
        throw CommandFailure(
          .notFound, reason: "PROJECT_NOT_FOUND", "The caller sees no project to put runs into.")
      }
      list.projectID = project.id
    }
    list.name = "load"
    let found = try await context.call(
      TrackingMethods.listExperiments, list, for: ListExperimentsResponse.self)
    if let experiment = found.experiments.first { return experiment.id }
    var create = CreateExperimentRequest()
    create.projectID = list.projectID
    create.name = list.name
    let created = try await context.call(
      TrackingMethods.createExperiment, create, for: CreateExperimentResponse.self)
    return created.experiment?.id ?? ""
  }

  // MARK: The measurement

  private func measure(_ plan: LoadPlan) async throws {
    let available = Descriptor.raiseLimit()
    guard plan.connections + 64 + 8 * plan.loops <= available else {
      throw CommandFailure(
        .usage, reason: "DESCRIPTOR_LIMIT",
        "\(plan.connections) connections need more descriptors than the \(available) allowed here.")
    }
    let group = try LoopGroup(count: plan.loops) { _, _ in }
    let gate = LoadGate(connections: plan.connections)
    if plan.end == nil { return try await hold(plan, group, gate) }
    var whole = LoadResult()
    await withTaskGroup(of: LoadResult.self) { tasks in
      for index in 0..<plan.loops {
        tasks.addTask { await work(plan, on: group.mailboxes[index], index, gate) }
      }
      for await result in tasks { whole.add(result) }
    }
    group.stop()
    await group.waitUntilStopped()
    if let error = gate.error { throw error }
    report(whole, pointsOfCall: plan.append?.batchPoints)
    if whole.calls == 0, let example = whole.example { throw example }
  }

  /// Opens the connections, says so, and waits for the end of standard input.
  private func hold(_ plan: LoadPlan, _ group: LoopGroup, _ gate: LoadGate) async throws {
    for index in 0..<plan.loops {
      group.mailboxes[index].post { loop in
        loop.spawn {
          _ = await LoadWorker(plan, on: loop, index: index, gate: gate).run()
        }
      }
    }
    while !gate.isOpen {
      if let error = gate.error { throw error }
      try await Task.sleep(for: .milliseconds(10))
    }
    Console.line("\(plan.connections) connections are up")
    _ = await (try StandardInput()).rest()
  }

  private func report(_ result: LoadResult, pointsOfCall points: Int?) {
    let rate = result.seconds > 0 ? Double(result.calls) / result.seconds : 0
    func microseconds(_ fraction: Double) -> Double {
      Double(result.latencies.quantile(fraction)) / 1_000
    }
    var values = [
      Double(result.calls), result.seconds, rate, microseconds(0.5), microseconds(0.9),
      microseconds(0.99), Double(result.latencies.longest) / 1_000, Double(result.errors),
    ]
    if let points { values.append(rate * Double(points)) }
    let numbers = zip(Self.fieldNames, values).map { (key: $0, value: plain($1)) }
    if global.output == .json {
      let told = JSONValue.object(numbers.map { .init($0.key, .number($0.value)) })
      Console.line(global.written.chosen(of: told, Self.document).compact)
    } else {
      Console.write(
        fields(numbers.map { ($0.key.replacing("_", with: " "), $0.value) }))
    }
    if result.errors > 0, let example = result.example {
      Console.complain(
        "\(result.errors) calls failed, for instance: \(visible(example.description))")
    }
  }

  /// A number with at most three decimals.
  private func plain(_ value: Double) -> String {
    let thousandths = Int64((value * 1_000).rounded())
    let (whole, rest) = thousandths.quotientAndRemainder(dividingBy: 1_000)
    if rest == 0 { return String(whole) }
    let digits = String(rest)
    return "\(whole).\(String(repeating: "0", count: 3 - digits.count))\(digits)"
  }
}

/// Runs one loop's part.
private func work(
  _ plan: LoadPlan, on mailbox: Mailbox, _ index: Int, _ gate: LoadGate
) async -> LoadResult {
  await withCheckedContinuation { continuation in
    mailbox.post { loop in
      loop.spawn {
        let result = await LoadWorker(plan, on: loop, index: index, gate: gate).run()
        continuation.resume(returning: result)
      }
    }
  }
}
