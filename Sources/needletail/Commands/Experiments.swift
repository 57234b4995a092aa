internal import ArgumentParser
internal import Client
internal import Messages

/// The command `needletail experiments`.
struct Experiments: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Look at experiments, and change them.",
    subcommands: [
      ExperimentsList.self, ExperimentsShow.self, ExperimentsCreate.self, ExperimentsUpdate.self,
      ExperimentsTag.self, ExperimentsDatasets.self, ExperimentsWatch.self,
      ExperimentsDelete.self, ExperimentsUndelete.self,
    ])
}

/// The command `needletail experiments list`.
struct ExperimentsList: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List experiments, newest first unless sorted.")
  static var document: Document? { Document(listOf: Experiment.self, in: "experiments") }

  @OptionGroup var global: GlobalOptions

  @Option(help: "Only those of this project, by its id or its slug.")
  var project: String?

  @Option(help: "Only the one of this name, ignoring case.")
  var name: String?

  @Option(help: "Only those that it finds: \"tags.team = 'vision'\" (Docs/search.md).")
  var filter: String?

  @Option(help: "Sort by this field, such as \"name DESC\"; again for the next among equals.")
  var orderBy: [String] = []

  @Flag(help: "Those that are archived, too.")
  var archived = false

  @Flag(help: "Those that were deleted and are not yet gone for good.")
  var deleted = false

  @OptionGroup var most: Limit

  func run(_ context: CommandContext) async throws {
    var request = ListExperimentsRequest()
    request.projectID = try await projectID(project, context)
    request.name = name ?? ""
    request.filter = filter ?? ""
    request.orderBy = orderBy
    request.includeArchived = archived
    request.view = deleted ? .deleted : .live
    let all = try await context.list(
      TrackingMethods.listExperiments, request, \ListExperimentsResponse.experiments,
      limit: most.limit)

    if global.output == .json { return try context.write(all) }
    var table = Table([("ID", .left), ("NAME", .left), ("CREATED", .left), ("DESCRIPTION", .left)])
    for experiment in all.experiments {
      table.add([
        experiment.id, experiment.name, short(experiment.createdAt),
        firstLine(experiment.description),
      ])
    }
    Console.write(table.text)
  }
}

/// The command `needletail experiments datasets`.
struct ExperimentsDatasets: ClientCommand {
  static let configuration = CommandConfiguration(
    commandName: "datasets", abstract: "List the datasets that the runs of experiments read.")
  static var document: Document? { Document(listOf: ExperimentDataset.self, in: "datasets") }

  @OptionGroup var global: GlobalOptions

  @Argument(help: "The experiments, by their ids or their names.")
  var experiments: [String]

  @OptionGroup var most: Limit

  func run(_ context: CommandContext) async throws {
    var request = ListDatasetsRequest()
    request.experimentIDs = try await experimentIDs(experiments, context)
    let all = try await context.list(
      TrackingMethods.listDatasets, request, \ListDatasetsResponse.datasets, limit: most.limit)
    if global.output == .json { return try context.write(all) }
    var table = Table([
      ("EXPERIMENT", .left), ("DATASET", .left), ("DIGEST", .left), ("CONTEXT", .left),
    ])
    for dataset in all.datasets {
      table.add([dataset.experimentID, dataset.name, dataset.digest, dataset.context])
    }
    Console.write(table.text)
  }
}

/// The beginning of a text, for a table.
func firstLine(_ text: String) -> String {
  let line = String(text.prefix { !$0.isNewline })
  return line.count > 60 ? line.prefix(59) + "…" : line
}
