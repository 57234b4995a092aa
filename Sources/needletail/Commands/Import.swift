internal import ArgumentParser
internal import Client

/// The command `needletail import`.
struct Import: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Bring data over from other servers.", subcommands: [ImportMLflow.self])
}

/// The command `needletail import mlflow`, done by the Python package that reads MLflow's stores.
struct ImportMLflow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mlflow",
    abstract: "Copy what an MLflow server or store has into a project, and compare.",
    discussion: """
      Experiments, runs with all that they logged, artifacts, registered models and traces. It may \
      be stopped at any time: run it again, and only what is missing is copied. Python and the \
      package needletail-mlflow do the work: `pip install needletail-mlflow`, with the drivers \
      that a database needs.

      Exit codes: 0 all is equal, 1 something differs or could not be copied, 130 stopped.
      """)

  @OptionGroup var global: GlobalOptions

  @Option(
    help: ArgumentHelp(
      "http(s)://host:port, sqlite:///file, postgresql://…, mysql://…, or a folder.",
      valueName: "uri"))
  var from: String

  @Option(help: ArgumentHelp("Where models are, if not with the runs.", valueName: "uri"))
  var fromRegistry: String?

  @Option(help: "The project to copy into, by id or slug; else the profile's, or the only one.")
  var to: String?

  @Option(help: "An experiment to copy, by its name or id there; again for another. Else all.")
  var experiment: [String] = []

  @Flag(help: "Also what is deleted there; it is deleted here, too.")
  var deleted = false

  @Option(help: "Leave out artifacts, models, traces or evaluations; again for another.")
  var without: [String] = []

  @Option(help: "What the source is called in tags, where its address has changed.")
  var sourceName: String?

  @Option(help: "Runs on their way at a time: 1 to 64; 8 unless given.")
  var threads: Int?

  @Flag(help: "Only say what there is to copy.")
  var dryRun = false

  @Option(help: "Write all that is told to this JSON file, too.", completion: .file())
  var report: String?

  @Flag(help: "Show no progress.")
  var quiet = false

  @Option(
    help: "The Python that has needletail-mlflow; else NEEDLETAIL_PYTHON, else python3.",
    completion: .file())
  var python: String?

  func run() async throws {
    do {
      try global.written.check(nil)
      let resolved = try global.endpoint()
      let program = PythonProgram(
        python: python, module: "needletail_mlflow.importing.command",
        package: "needletail-mlflow", name: "needletail import mlflow")
      try program.become(arguments(resolved), with: resolved.endpoint)
    } catch {
      throw tell(error, global.output)
    }
  }

  /// What the package's own command takes.
  private func arguments(_ resolved: ResolvedEndpoint) -> [String] {
    var list = ["--from=\(from)"]
    let project = to ?? resolved.projectID
    if !project.isEmpty { list.append("--to=\(project)") }
    if let fromRegistry { list.append("--from-registry=\(fromRegistry)") }
    if let sourceName { list.append("--source-name=\(sourceName)") }
    if let threads { list.append("--threads=\(threads)") }
    if let report { list.append("--report=\(report)") }
    list += experiment.map { "--experiment=\($0)" }
    list += without.map { "--without=\($0)" }
    let flags = [
      (deleted, "--deleted"), (dryRun, "--dry-run"), (quiet, "--quiet"),
      (global.output == .json, "--json"),
    ]
    return list + flags.filter(\.0).map(\.1)
  }
}
