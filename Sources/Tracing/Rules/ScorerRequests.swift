internal import Messages
internal import Postgres
internal import RPC

/// The bounds of scorers.
enum ScorerBounds {
  /// Unicode scalars.
  static let nameCharacters = 1...256
  static let serializedBytesMax = 1 << 20
  static let experimentIDsMax = 1_000
  static let pageSize = 100
  static let pageSizeMax = 500
  /// Bytes of scorers in an answer; what is beyond waits for the next page.
  static let pageBytesMax: Int64 = 1 << 20
}

/// Which scorer a request is about.
struct ScorerPlace {
  let projectID: UUID
  let experimentID: UUID
  let name: String

  init(projectID: UUID, experimentID: UUID, name: String) {
    self.projectID = projectID
    self.experimentID = experimentID
    self.name = name
  }

  init(
    _ projectID: String, _ experimentID: String, _ name: String, _ validator: inout Validator
  ) {
    self.projectID = validator.id("project_id", projectID)
    self.experimentID = validator.id("experiment_id", experimentID)
    self.name = name
    validator.name("name", name, characters: ScorerBounds.nameCharacters)
  }

  /// Reads what names nothing else.
  init(_ projectID: String, _ experimentID: String, _ name: String) throws(CallError) {
    var validator = Validator()
    self.init(projectID, experimentID, name, &validator)
    try validator.finish()
  }

  /// What a caller hears where the experiment has none of the name.
  var notFound: CallError {
    CallError(
      TracingErrorReason.scorerNotFound,
      "There is no scorer \(JSONText.quoted(name)) in experiment \(experimentID).")
  }

  /// What a caller hears where it has not this version.
  func notFound(version: Int64) -> CallError {
    CallError(
      TracingErrorReason.scorerVersionNotFound,
      "The scorer \(JSONText.quoted(name)) has no version \(version).")
  }
}

extension Validator {
  /// Checks what a client made of a scorer.
  mutating func serializedScorer(_ field: String, _ text: String) {
    if jsonObject(field, text, bytesMax: ScorerBounds.serializedBytesMax) != text {
      refuse(field, "must be a JSON object, at least {}")
    }
  }
}
