internal import Messages
internal import Postgres
internal import RPC

/// The bounds of a run's links.
enum LinkBounds {
  static let datasetNameBytes = 1...500
  static let digestBytes = 1...128
  static let sourceTypeBytesMax = 100
  static let sourceBytesMax = 65_535
  static let schemaBytesMax = 1_048_575
  static let profileBytesMax = 1_048_575
  /// Bytes of a profile that comes in pieces.
  static let longProfileBytes: ClosedRange<Int64> = 1_048_576...16_777_215
  /// Bytes of a piece of it but for the last, which may be shorter.
  static let pieceBytes = 65_536...1_048_576
  static let contextBytesMax = 500
  /// Tags of one link to a dataset.
  static let tagsMax = 100
  static let tagKeyCharacters = 1...255
  static let tagValueBytesMax = 500
  static let modelNameCharacters = 1...250
  /// Links in one request.
  static let perRequestMax = 1_000
  /// Links of one run to datasets.
  static let inputsMax = 10_000
  /// Links of one run to models.
  static let modelsMax = 1_000
  /// Links that the audit log names of one change.
  static let auditedMax = 100
  static let pageSize = 100
  static let pageSizeMax = 1_000
  /// Bytes of texts from which on a page ends.
  ///
  /// One dataset can be twice as large, and together they fit a frame.
  static let pageBytesMax: Int64 = 1 << 20
}

/// Datasets that a run is to be linked to, in columns.
struct NewInputs {
  private(set) var datasets: [InputDataset] = []
  private(set) var contexts: [String] = []
  private(set) var tagsJSON: [String] = []

  var count: Int { datasets.count }

  private init() {}

  /// Reads the inputs of a request, and notes every bad one.
  init(_ inputs: [NewRunInput], _ validator: inout Validator) {
    validator.linkCount("inputs", inputs.count)
    guard inputs.count <= LinkBounds.perRequestMax else { return }
    var seen: Set<[ExactText]> = []
    for (index, input) in inputs.enumerated() {
      let field = "inputs[\(index)]"
      let dataset = input.dataset ?? InputDataset()
      validator.dataset("\(field).dataset", dataset)
      validator.name("\(field).context", input.context, bytes: 0...LinkBounds.contextBytesMax)
      if input.tags.count > LinkBounds.tagsMax {
        validator.refuse(
          "\(field).tags", "must be at most \(LinkBounds.tagsMax), are \(input.tags.count)")
      }
      let tags = Description(
        "\(field).tags", input.tags.map { ($0.key, $0.value) },
        keyCharacters: LinkBounds.tagKeyCharacters, valueBytesMax: LinkBounds.tagValueBytesMax,
        &validator)
      let link = [dataset.name, dataset.digest, input.context].map { ExactText($0) }
      if !seen.insert(link).inserted {
        validator.refuse(field, "must not come twice with the same dataset and context")
      }
      append(dataset, input.context, JSONText.object(Array(zip(tags.keys, tags.values))))
    }
  }

  private mutating func append(_ dataset: InputDataset, _ context: String, _ tags: String) {
    datasets.append(dataset)
    contexts.append(context)
    tagsJSON.append(tags)
  }

  /// These without those at some places, counted from 1.
  func without(_ places: [Int64]) -> NewInputs {
    let linked = Set(places)
    var new = NewInputs()
    for index in datasets.indices where !linked.contains(Int64(index) + 1) {
      new.append(datasets[index], contexts[index], tagsJSON[index])
    }
    return new
  }

  /// What the audit log keeps of it.
  var audited: String {
    JSONText.links(
      "inputs",
      zip(datasets, contexts).map { dataset, context in
        (dataset.name, context.isEmpty ? dataset.digest : "\(dataset.digest) (\(context))")
      })
  }
}

/// Models that a run is to be linked to, in columns.
struct NewModels {
  private(set) var models: [NewRunModel] = []

  /// As the database stores them.
  var roles: [String] { models.map { ModelLink.text($0.role) ?? "" } }

  private init() {}

  /// Reads the models of a request, and notes every bad one.
  init(_ asked: [NewRunModel], _ validator: inout Validator) {
    validator.linkCount("models", asked.count)
    guard asked.count <= LinkBounds.perRequestMax else { return }
    models = asked
    var seen: Set<[ExactText]> = []
    for (index, model) in asked.enumerated() {
      let field = "models[\(index)]"
      if ModelLink.text(model.role) == nil {
        validator.refuse("\(field).role", "must be INPUT or OUTPUT")
      }
      validator.name("\(field).name", model.name, characters: LinkBounds.modelNameCharacters)
      if !model.artifactPath.isEmpty, let problem = ArtifactPath.problem(model.artifactPath) {
        validator.refuse("\(field).artifact_path", problem)
      }
      if model.step < 0 { validator.refuse("\(field).step", "must be 0 or more") }
      let link = ["\(model.role.number)", model.name, model.artifactPath, "\(model.step)"]
      if !seen.insert(link.map { ExactText($0) }).inserted {
        validator.refuse(field, "must not come twice")
      }
    }
  }

  /// These without those at some places, counted from 1.
  func without(_ places: [Int64]) -> NewModels {
    let linked = Set(places)
    var new = NewModels()
    new.models = models.indices.filter { !linked.contains(Int64($0) + 1) }.map { models[$0] }
    return new
  }

  /// What the audit log keeps of it.
  var audited: String {
    JSONText.links(
      "models",
      zip(models, roles).map { model, role in
        (model.name, "\(role) \(model.artifactPath)@\(model.step)")
      })
  }
}

/// What a model is to a run.
enum ModelLink {
  /// As the database stores it; nil for what is no role.
  static func text(_ role: ModelRole) -> String? {
    switch role {
    case .input: "input"
    case .output: "output"
    default: nil
    }
  }

  /// As callers see it; the column's check admits these two and no other.
  static func role(_ text: String) -> ModelRole { text == "input" ? .input : .output }
}

extension Validator {
  fileprivate mutating func linkCount(_ field: String, _ count: Int) {
    guard !(1...LinkBounds.perRequestMax).contains(count) else { return }
    refuse(field, "must be 1 to \(LinkBounds.perRequestMax), are \(count)")
  }

  fileprivate mutating func dataset(_ field: String, _ dataset: InputDataset) {
    name("\(field).name", dataset.name, bytes: LinkBounds.datasetNameBytes)
    name("\(field).digest", dataset.digest, bytes: LinkBounds.digestBytes)
    for (part, value, bytesMax) in [
      ("source_type", dataset.sourceType, LinkBounds.sourceTypeBytesMax),
      ("source", dataset.source, LinkBounds.sourceBytesMax),
      ("schema", dataset.schema, LinkBounds.schemaBytesMax),
      ("profile", dataset.profile, LinkBounds.profileBytesMax),
    ] {
      text("\(field).\(part)", value, bytesMax: bytesMax)
    }
    let (bytes, long) = (dataset.profileBytes, LinkBounds.longProfileBytes)
    let isLong = dataset.profile.isEmpty && long.contains(bytes)
    if bytes != 0, bytes != Int64(dataset.profile.utf8.count), !isLong {
      refuse(
        "\(field).profile_bytes",
        "must be 0, the bytes of profile, or without one \(long.lowerBound) to "
          + "\(long.upperBound)")
    }
  }
}

extension JSONText {
  /// What the audit log keeps of links that were added: the first ones, and how many there are.
  fileprivate static func links(_ name: String, _ links: [(String, String)]) -> String {
    var after = links.prefix(LinkBounds.auditedMax).enumerated().map { index, link in
      ("\(name)[\(index)]", "\(link.0) \(link.1)")
    }
    if links.count > LinkBounds.auditedMax { after.append(("\(name)_added", "\(links.count)")) }
    return beforeAndAfter([], after)
  }
}
