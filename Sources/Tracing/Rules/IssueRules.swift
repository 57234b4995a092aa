internal import Messages
internal import RPC

/// The bounds of issues.
enum IssueBounds {
  /// Unicode scalars.
  static let nameCharacters = 1...250
  static let descriptionBytesMax = 64 << 10
  static let rootCausesMax = 100
  /// Bytes of the root causes of an issue together.
  static let rootCausesBytesMax = 64 << 10
  static let categoriesMax = 100
  /// Unicode scalars.
  static let categoryCharacters = 1...250
  static let authorBytesMax = 250
  static let pageSize = 100
  static let pageSizeMax = 500
}

extension Validator {
  /// Checks what a new issue says beside what it is of.
  mutating func check(_ request: CreateIssueRequest) {
    issueText(name: request.name, description: request.description)
    if request.status != .unspecified { issueStatus(request.status) }
    issueSeverity(request.severity)
    if request.rootCauses.count > IssueBounds.rootCausesMax {
      refuse(
        "root_causes",
        "must be at most \(IssueBounds.rootCausesMax), are \(request.rootCauses.count)")
    }
    let bytes = request.rootCauses.reduce(0) { $0 + $1.utf8.count }
    if bytes > IssueBounds.rootCausesBytesMax {
      refuse(
        "root_causes",
        "must be at most \(IssueBounds.rootCausesBytesMax) bytes together, are \(bytes)")
    }
    if request.categories.count > IssueBounds.categoriesMax {
      refuse(
        "categories",
        "must be at most \(IssueBounds.categoriesMax), are \(request.categories.count)")
    }
    for (index, category) in request.categories.prefix(IssueBounds.categoriesMax).enumerated() {
      name("categories[\(index)]", category, characters: IssueBounds.categoryCharacters)
    }
    optionalText("author", request.author, bytesMax: IssueBounds.authorBytesMax)
  }

  /// Checks a change of an issue.
  mutating func check(_ request: UpdateIssueRequest) {
    issueText(name: request.name, description: request.description)
    if let status = request.status { issueStatus(status) }
    if let severity = request.severity { issueSeverity(severity) }
  }

  private mutating func issueText(name: String?, description: String?) {
    if let name { self.name("name", name, characters: IssueBounds.nameCharacters) }
    optionalText("description", description, bytesMax: IssueBounds.descriptionBytesMax)
  }

  private mutating func issueStatus(_ status: IssueStatus) {
    if status.word == nil { refuse("status", "must be PENDING, REJECTED or RESOLVED") }
  }

  private mutating func issueSeverity(_ severity: IssueSeverity) {
    if case .unrecognized = severity {
      refuse("severity", "must be NOT_AN_ISSUE, LOW, MEDIUM, HIGH or none")
    }
  }
}

extension IssueStatus {
  /// As it is stored; nil for one that is not.
  var word: String? {
    switch self {
    case .pending: "pending"
    case .rejected: "rejected"
    case .resolved: "resolved"
    case .unspecified, .unrecognized: nil
    }
  }

  /// As it was stored.
  init(word: String) {
    self =
      switch word {
      case "rejected": .rejected
      case "resolved": .resolved
      default: .pending
      }
  }
}

extension IssueSeverity {
  /// As it is stored; nil where nobody told.
  var word: String? {
    switch self {
    case .notAnIssue: "not_an_issue"
    case .low: "low"
    case .medium: "medium"
    case .high: "high"
    case .unspecified, .unrecognized: nil
    }
  }

  /// As it was stored.
  init(word: String?) {
    self =
      switch word {
      case "not_an_issue": .notAnIssue
      case "low": .low
      case "medium": .medium
      case "high": .high
      default: .unspecified
      }
  }
}
