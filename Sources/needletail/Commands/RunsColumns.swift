internal import Messages

/// The columns of `runs list --columns`, by the names of searches.
struct RunColumns: Sendable {
  let all: [RunColumn]

  /// What is shown when nothing is asked for.
  static let standard = RunColumns(all: [
    RunColumn(title: "ID", of: .id), RunColumn(title: "NAME", of: .name),
    RunColumn(title: "STATUS", of: .status), RunColumn(title: "STARTED", of: .begun),
    RunColumn(title: "DURATION", of: .duration),
  ])

  private init(all: [RunColumn]) { self.all = all }

  /// Names with commas between them.
  init(_ text: String) throws(RunColumnMistake) {
    var columns: [RunColumn] = []
    for name in try Self.names(in: text) { columns.append(try RunColumn(named: name)) }
    all = columns
  }

  /// Cuts at the commas that are in no quotes.
  private static func names(in text: String) throws(RunColumnMistake) -> [String] {
    var names = [""]
    var quote: Character?
    for character in text {
      if character == ",", quote == nil {
        names.append("")
        continue
      }
      if let open = quote {
        if character == open { quote = nil }
      } else if character == "`" || character == "\"" {
        quote = character
      }
      names[names.count - 1].append(character)
    }
    if let quote { throw RunColumnMistake("The quote \(quote) is not closed in \(text).") }
    return names.map(\.trimmed)
  }

  /// Whether a search has to tell them, because a run alone does not.
  var needSearch: Bool { !(parameters.isEmpty && tags.isEmpty && metrics.isEmpty) }

  var metrics: [String] { keys { if case .metric(let key) = $0 { key } else { nil } } }
  var parameters: [String] { keys { if case .parameter(let key) = $0 { key } else { nil } } }
  var tags: [String] { keys { if case .tag(let key) = $0 { key } else { nil } } }

  private func keys(_ key: (RunColumn.Source) -> String?) -> [String] {
    var seen: Set<String> = []
    return all.compactMap { key($0.source) }.filter { seen.insert($0).inserted }
  }

  /// The runs as people read them.
  func table(_ runs: [FoundRun]) -> String {
    var table = Table(all.map { ($0.title, $0.alignment) })
    for found in runs { table.add(all.map { $0.cell(of: found) }) }
    return table.text
  }
}

/// Why a text names no column.
struct RunColumnMistake: Error, Equatable {
  let text: String

  fileprivate init(_ text: String) { self.text = text }
}

/// One column of a list of runs.
struct RunColumn: Equatable, Sendable {
  /// What it shows of a run.
  enum Source: Equatable, Sendable {
    case attribute(RunAttribute)
    /// Its last value.
    case metric(String)
    case parameter(String)
    case tag(String)
  }

  let title: String
  let source: Source

  init(title: String, of attribute: RunAttribute) {
    self.title = title
    source = .attribute(attribute)
  }

  /// A column by its name: `status`, `attributes.status`, `metrics.loss`.
  init(named name: String) throws(RunColumnMistake) {
    let dot = name.firstIndex(of: ".")
    let entity = dot.map { name[..<$0].lowercased() }
    let key = unquoted(dot.map { name[name.index(after: $0)...] } ?? name[...])
    guard !key.isEmpty else { throw RunColumnMistake("There is a column without a name.") }
    switch entity {
    case "metrics", "metric": source = .metric(key)
    case "params", "param", "parameters", "parameter": source = .parameter(key)
    case "tags", "tag": source = .tag(key)
    case nil, "attributes", "attribute", "attr", "run":
      guard let attribute = RunAttribute.named[key] else {
        throw RunColumnMistake("There is no column \(name); \(Self.known)")
      }
      source = .attribute(attribute)
    default: throw RunColumnMistake("There is no column \(name); \(Self.known)")
    }
    title =
      if case .attribute = source { key.uppercased() } else { visible(name) }
  }

  private static let known =
    "there are \(RunAttribute.named.keys.sorted().joined(separator: ", ")), metrics.KEY, "
    + "params.KEY and tags.KEY."

  var alignment: Table.Alignment {
    switch source {
    case .metric, .attribute(.duration), .attribute(.durationMs): .right
    default: .left
    }
  }

  /// What is not there is a dash.
  func cell(of found: FoundRun) -> String {
    switch source {
    case .attribute(let attribute):
      let text = found.run.map(attribute.text) ?? ""
      return text.isEmpty ? "–" : text
    case .metric(let key):
      return found.metrics.first { $0.key == key }.map { short($0.lastValue) } ?? "–"
    case .parameter(let key):
      return found.parameters.first { $0.key == key }.map { firstLine($0.value) } ?? "–"
    case .tag(let key):
      return found.tags.first { $0.key == key }.map { firstLine($0.value) } ?? "–"
    }
  }
}

/// What a run itself tells.
enum RunAttribute: Sendable {
  case id
  case name
  case status
  case started
  /// When it started, or was created where it did not yet.
  case begun
  case ended
  case duration
  case durationMs
  case created
  case updated
  case archived
  case creator
  case experiment
  case project
  case parent
  case artifacts

  /// By the names of searches, `id`, `name` and `duration`, which is for people.
  static let named: [String: RunAttribute] = [
    "run_id": .id, "id": .id, "run_name": .name, "name": .name, "status": .status,
    "start_time": .started, "end_time": .ended, "duration": .duration, "duration_ms": .durationMs,
    "creation_time": .created, "last_update_time": .updated, "archive_time": .archived,
    "user_id": .creator, "created_by": .creator, "experiment_id": .experiment,
    "project_id": .project, "parent_run_id": .parent, "artifact_uri": .artifacts,
  ]

  /// Its text; empty where the run has none.
  func text(_ run: Run) -> String {
    switch self {
    case .id: run.id
    case .name: run.name
    case .status: word(run.status)
    case .started: short(run.startedAt)
    case .begun: short(run.startedAt ?? run.createdAt)
    case .ended: short(run.completedAt)
    case .duration:
      run.status == .scheduled ? "" : needletail.duration(milliseconds: run.durationMs)
    case .durationMs: run.status == .scheduled ? "" : String(run.durationMs)
    case .created: short(run.createdAt)
    case .updated: short(run.updatedAt)
    case .archived: short(run.archivedAt)
    case .creator: run.createdBy
    case .experiment: run.experimentID
    case .project: run.projectID
    case .parent: run.parentRunID
    case .artifacts: "needletail:/runs/\(run.id)/artifacts"
    }
  }
}

/// A key out of its quotes, in which the same quote is doubled; whole where it is in none.
private func unquoted(_ text: Substring) -> String {
  guard let quote = text.first, quote == "`" || quote == "\"", text.count > 1, text.last == quote
  else { return String(text) }
  return String(text.dropFirst().dropLast()).replacing("\(quote)\(quote)", with: "\(quote)")
}
