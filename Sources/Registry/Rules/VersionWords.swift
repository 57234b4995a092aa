internal import Messages
internal import RPC

extension ModelStage {
  /// As stored; nil = it has no name.
  var word: String? {
    switch self {
    case .none: "none"
    case .staging: "staging"
    case .production: "production"
    case .archived: "archived"
    case .unspecified, .unrecognized: nil
    }
  }

  /// Reads what is stored.
  init(word: String) {
    self =
      switch word {
      case "staging": .staging
      case "production": .production
      case "archived": .archived
      default: .none
      }
  }
}

extension ModelVersionStatus {
  /// As stored; nil = it has no name.
  var word: String? {
    switch self {
    case .pending: "pending"
    case .ready: "ready"
    case .failed: "failed"
    case .unspecified, .unrecognized: nil
    }
  }

  /// Reads what is stored.
  init(word: String) {
    self =
      switch word {
      case "pending": .pending
      case "failed": .failed
      default: .ready
      }
  }
}

extension Validator {
  /// Reads a stage that must be said.
  mutating func stage(_ stage: ModelStage) -> String {
    if let word = stage.word { return word }
    refuse("stage", "must be NONE, STAGING, PRODUCTION or ARCHIVED")
    return ""
  }

  /// Reads a status; nil = not said.
  mutating func status(_ status: ModelVersionStatus) -> String? {
    if status == .unspecified { return nil }
    if let word = status.word { return word }
    refuse("status", "must be PENDING, READY or FAILED")
    return nil
  }
}
