internal import Messages
internal import Postgres
internal import RPC

/// Which model a caller means: by its id, or by its project and name.
struct ModelReference: CustomStringConvertible {
  var id: UUID?
  var projectID: UUID?
  var name: String?

  var description: String {
    if let id { return id.description }
    return "named \(JSONText.quoted(name ?? "")) in project \(projectID ?? .zero)"
  }

  /// What callers hear where there is none, or none that they may see.
  var notFound: CallError {
    CallError(
      RegistryErrorReason.modelNotFound, "There is no model \(self) in your organization.")
  }
}

/// Which version a caller means: by its id, or by its model and ordinal.
struct VersionReference: CustomStringConvertible {
  var id: UUID?
  var model = ModelReference()
  var ordinal: Int64?

  var description: String {
    if let id { return id.description }
    return "\(ordinal ?? 0) of the model \(model)"
  }

  /// What callers hear where there is none, or none that they may see.
  var notFound: CallError {
    CallError(
      RegistryErrorReason.modelVersionNotFound,
      "There is no model version \(self) in your organization.")
  }
}

extension Validator {
  /// Reads which model is meant.
  mutating func model(_ field: String, _ id: String, _ name: ModelName?) -> ModelReference {
    guard let name else { return ModelReference(id: self.id(field, id)) }
    if !id.isEmpty { refuse("model", "must be absent where \(field) is given") }
    let projectID = self.id("model.project_id", name.projectID)
    if name.name.isEmpty || name.name.unicodeScalars.contains("\0") {
      refuse("model.name", "must be a model's name")
    }
    return ModelReference(projectID: projectID, name: name.name)
  }

  /// Reads which version is meant.
  mutating func version(
    _ field: String, _ id: String, _ modelID: String, _ model: ModelName?, _ ordinal: Int64
  ) -> VersionReference {
    guard !id.isEmpty || modelID.isEmpty && model == nil else {
      self.ordinal(ordinal)
      return VersionReference(model: self.model("model_id", modelID, model), ordinal: ordinal)
    }
    if !modelID.isEmpty { refuse("model_id", "must be empty where \(field) is given") }
    if model != nil { refuse("model", "must be absent where \(field) is given") }
    if ordinal != 0 { refuse("ordinal", "must be 0 where \(field) is given") }
    return VersionReference(id: self.id(field, id))
  }

  /// Checks the ordinal of a version.
  mutating func ordinal(_ ordinal: Int64) {
    if ordinal < 1 { refuse("ordinal", "must be at least 1") }
  }
}
