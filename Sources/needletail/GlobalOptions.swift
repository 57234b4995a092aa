internal import ArgumentParser
internal import Client
internal import Wire

/// How results are written.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
  /// For people.
  case table
  /// For programs: one document, or one a line.
  case json
}

/// A time on the command line: "30", "1.5s", "200ms", "2m", "90d".
struct TimeArgument: ExpressibleByArgument, Sendable, Equatable {
  let duration: Duration

  init(duration: Duration) { self.duration = duration }

  init?(argument: String) {
    let units: [(suffix: String, factor: Double)] = [
      ("ms", 0.001), ("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400),
    ]
    let unit = units.first { argument.hasSuffix($0.suffix) } ?? ("", 1)
    let digits = argument.dropLast(unit.suffix.count)
    guard digits.utf8.allSatisfy({ "0123456789.".utf8.contains($0) }), let number = Double(digits),
      number > 0, number * unit.factor <= 86_400 * 365
    else { return nil }
    duration = .seconds(number * unit.factor)
  }

  /// How help tells a default: "2s", "30m".
  var defaultValueDescription: String {
    let milliseconds = Int64(duration / .milliseconds(1))
    let units: [(suffix: String, milliseconds: Int64)] = [
      ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000),
    ]
    let unit = units.first { milliseconds.isMultiple(of: $0.milliseconds) } ?? ("ms", 1)
    return "\(milliseconds / unit.milliseconds)\(unit.suffix)"
  }
}

/// What every command that asks a server takes.
struct GlobalOptions: ParsableArguments {
  @Option(help: "A file that `needletail up --connection-file` wrote.", completion: .file())
  var connectionFile: String?

  @Option(help: "The server: needletail://host:7443.")
  var url: String?

  @Option(help: "A file that holds the API key, and nothing else.", completion: .file())
  var apiKeyFile: String?

  @Option(
    help: "PEM of the authorities to trust; the system's unless given.", completion: .file())
  var caFile: String?

  @Option(
    help: "The stored profile to use: see `needletail profiles`.", completion: .profileNames)
  var profile: String?

  @OptionGroup var written: OutputOptions

  @Option(help: "The longest time for a call: 30, 1.5s, 200ms, 2m.")
  var timeout: TimeArgument?

  /// How results are written.
  var output: OutputFormat { written.output }

  /// How calls are made.
  var callOptions: CallOptions {
    CallOptions(timeout: timeout?.duration, idempotencyKey: .automatic, traceparent: "")
  }

  /// Where the server is, and as whom to connect: as nobody where that is asked for.
  func endpoint(isAnonymous: Bool = false) throws(ClientError) -> ResolvedEndpoint {
    var settings = EndpointSettings()
    settings.isAnonymous = isAnonymous
    settings.url = url
    settings.caFile = caFile
    settings.connectionFile = connectionFile
    settings.profile = profile
    if !isAnonymous { settings.apiKey = try apiKeyFromFile() }
    var resolved = try Endpoint.resolve(settings, in: .ofProcess())
    resolved.endpoint.clientName = Self.clientName
    return resolved
  }

  /// What the command line calls itself in the server's log.
  static let clientName = "needletail-cli/0.1.0 linux"

  /// The key in the file that `--api-key-file` names.
  func apiKeyFromFile() throws(ClientError) -> String? {
    guard let apiKeyFile else { return nil }
    let bytes = try readNeededFile(apiKeyFile, bytesMax: settingsFileBytesMax)
    guard let key = String(decoding: bytes, as: UTF8.self).trimmedKey else {
      throw wrongSetting("\(apiKeyFile) holds no key.")
    }
    return key
  }
}

/// A setting that cannot be used, and why.
func wrongSetting(_ message: String) -> ClientError {
  ClientError(
    .settings, Status(.invalidArgument, reason: "SETTINGS_INVALID", message: message))
}

/// The bytes of a file that the command line names.
func readNeededFile(_ path: String, bytesMax: Int) throws(ClientError) -> [UInt8] {
  guard let bytes = try readWholeFile(path, bytesMax: bytesMax) else {
    throw wrongSetting("There is no file \(path).")
  }
  return bytes
}
