internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail artifacts`.
struct ArtifactsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "artifacts", abstract: "Bring, list and fetch files of runs, models and traces.",
    subcommands: [
      ArtifactsList.self, ArtifactsUpload.self, ArtifactsDownload.self, ArtifactsDelete.self,
    ])
}

/// The command `needletail artifacts list`.
struct ArtifactsList: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List what is in a folder, by path.")
  static var document: Document? { Document(listOf: ArtifactEntry.self, in: "entries") }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "RUN [PATH]: the run's id, or latest; the folder, or the topmost one.")
  var place: [String] = []

  @OptionGroup var of: ArtifactOwnerOptions

  @Flag(help: "Every file below the folder.")
  var recursive = false

  @OptionGroup var most: Limit

  func validate() throws { try of.check(place, 0...1, "at most one folder") }

  func run(_ context: CommandContext) async throws {
    let (run, others) = of.split(place)
    var request = ListArtifactsRequest()
    try await of.owner(run, context).name(in: &request)
    request.path = others.first ?? ""
    request.recursive = recursive
    let all = try await context.list(
      TrackingMethods.listArtifacts, request, \ListArtifactsResponse.entries, limit: most.limit)

    if global.output == .json { return try context.write(all) }
    var table = Table([("PATH", .left), ("SIZE", .right), ("FILES", .right), ("SHA-256", .left)])
    for entry in all.entries {
      table.add([
        visible(entry.path) + (entry.isFolder ? "/" : ""), ByteCount.text(entry.sizeBytes),
        entry.isFolder ? String(entry.fileCount) : "", String(entry.sha256.prefix(12)),
      ])
    }
    Console.write(table.text)
  }
}

/// The command `needletail artifacts delete`.
struct ArtifactsDelete: DestructiveCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Remove a file, or everything below a folder.")
  static var document: Document? { Document(Artifact.self) }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "RUN PATH: the run's id, or latest; the file, or with --recursive a folder.")
  var place: [String] = []

  @OptionGroup var of: ArtifactOwnerOptions

  @Flag(help: "Every file below the folder.")
  var recursive = false

  @OptionGroup var confirmation: Confirmation

  var intention: String {
    let path = of.split(place).others.first ?? ""
    return recursive ? "Delete every file below \(path)" : "Delete the file \(path)"
  }

  func validate() throws { try of.check(place, 1...1, "one path") }

  func run(_ context: CommandContext) async throws {
    let (run, others) = of.split(place)
    let owner = try await of.owner(run, context)
    let paths = recursive ? try await files(below: others[0], of: owner, context) : others
    for path in paths {
      var request = DeleteArtifactRequest()
      owner.name(in: &request)
      request.path = path
      let answer = try await context.call(
        TrackingMethods.deleteArtifact, request, for: DeleteArtifactResponse.self)
      if let artifact = answer.artifact { try tell("deleted", artifact, context) }
    }
  }
}

/// Every file below a folder, by path.
func files(
  below path: String, of owner: ArtifactOwner, _ context: CommandContext
) async throws -> [String] {
  var request = ListArtifactsRequest()
  owner.name(in: &request)
  request.path = path
  request.recursive = true
  return try await context.list(
    TrackingMethods.listArtifacts, request, \ListArtifactsResponse.entries, limit: .max
  ).entries.map(\.path)
}

/// Writes what became of a file in the format that was asked for.
func tell(_ what: String, _ artifact: Artifact, _ context: CommandContext) throws {
  if context.global.output == .json { return try context.writeLine(artifact) }
  Console.line(
    "\(what) \(visible(artifact.path))  \(ByteCount.text(artifact.sizeBytes))  "
      + artifact.sha256.prefix(12))
}

extension ListArtifactsRequest: PageRequest {}
extension ListArtifactsResponse: PageResponse {}

/// Numbers of bytes for people.
enum ByteCount {
  private static let units = ["KiB", "MiB", "GiB", "TiB"]

  /// "17 B", "1.5 MiB".
  static func text(_ bytes: Int64) -> String {
    var value = Double(bytes)
    var unit = "B"
    for next in units where value >= 1_024 {
      value /= 1_024
      unit = next
    }
    if unit == "B" { return "\(bytes) B" }
    let tenths = Int64(value * 10)
    return "\(tenths / 10).\(tenths % 10) \(unit)"
  }
}
