internal import ArgumentParser
internal import Client
internal import Wire

/// The command `needletail ping`.
struct Ping: ClientCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure the time to the server and back.")
  static var document: Document? { Document(fields: Ping.fieldNames) }

  /// The server takes ten Pings a second.
  private static let interval = Duration.milliseconds(200)

  /// What is told of a measurement, in this order.
  private static let fieldNames = ["address", "server", "ms", "min_ms", "mean_ms", "max_ms"]

  @OptionGroup var global: GlobalOptions

  @Option(help: "How many times.")
  var count = 4

  func validate() throws {
    guard count > 0 else { throw ValidationError("--count must be above 0.") }
  }

  func run(_ context: CommandContext) async throws {
    let welcome = try await context.connection.open()
    let address = context.resolved.endpoint.address
    if global.output == .table {
      Console.line("\(address)  \(visible(welcome.server))")
    }
    var times: [Double] = []
    for number in 1...count {
      if number > 1 { try await Task.sleep(for: Self.interval) }
      let time = try await context.connection.ping() / Duration.milliseconds(1)
      times.append(time)
      if global.output == .table { Console.line("\(number): \(short(time)) ms") }
    }
    let (low, high) = (times.min() ?? 0, times.max() ?? 0)
    let mean = times.reduce(0, +) / Double(times.count)
    if global.output == .json {
      let values: [JSONValue] = [
        .string(address), .string(welcome.server), .array(times.map { .number(short($0)) }),
        .number(short(low)), .number(short(mean)), .number(short(high)),
      ]
      context.write(.object(zip(Self.fieldNames, values).map { .init($0, $1) }))
    } else {
      Console.line("min \(short(low)) ms, mean \(short(mean)) ms, max \(short(high)) ms")
    }
  }
}
