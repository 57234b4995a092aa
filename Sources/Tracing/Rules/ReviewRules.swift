internal import Messages
internal import Postgres
internal import RPC

/// The bounds of review queues.
///
/// A page of the longest of them fits a frame.
enum ReviewBounds {
  /// Unicode scalars of a queue's name, and of a person's.
  static let nameCharacters = 1...250
  /// Bytes of a name that is looked for: the longest has no more.
  static let wantedBytesMax = 1_000
  static let usersMax = 10
  static let labelSchemasMax = 100
  /// Traces that one request adds or removes.
  static let itemsMax = 1_000
  static let pageSize = 100
  static let pageSizeMax = 100
  static let itemsPageSizeMax = 500
}

/// What texts have in common that differ in case alone.
func folded(_ text: String) -> String { text.lowercased() }

/// What a new review queue says.
struct NewReviewQueue {
  let name: String
  let kind: String
  let users: [String]
  let labelSchemaIDs: [UUID]
}

extension Validator {
  /// Checks what a new review queue says.
  mutating func reviewQueue(_ request: CreateReviewQueueRequest) -> NewReviewQueue {
    name("name", request.name, characters: ReviewBounds.nameCharacters)
    reviewOwner(request.owner)
    let users = reviewUsers("users", request.users)
    let ids = reviewLabelSchemas("label_schema_ids", request.labelSchemaIDs)
    guard let kind = request.kind.word else {
      refuse("kind", "must be USER or CUSTOM")
      return NewReviewQueue(name: "", kind: "", users: [], labelSchemaIDs: [])
    }
    guard request.kind == .user else {
      return NewReviewQueue(name: request.name, kind: kind, users: users, labelSchemaIDs: ids)
    }
    let user = reviewUser("name", request.name)
    if !users.isEmpty && users != [user] {
      refuse("users", "must be none, or the name of the queue alone, which is a user's")
    }
    if !ids.isEmpty {
      refuse("label_schema_ids", "must be none: a user's queue asks all of the experiment")
    }
    return NewReviewQueue(name: user, kind: kind, users: [user], labelSchemaIDs: [])
  }

  /// Checks a change of a review queue beside whom and what it names.
  mutating func reviewQueue(_ request: UpdateReviewQueueRequest) {
    if let name = request.name {
      self.name("name", name, characters: ReviewBounds.nameCharacters)
    }
    reviewOwner(request.owner)
  }

  /// Reads who review, sorted and each once.
  mutating func reviewUsers(_ field: String, _ users: [String]) -> [String] {
    // Some may be the same: they are counted when that is known, and read within reason.
    let most = ReviewBounds.usersMax * 10
    if users.count > most { refuse(field, "must be at most \(ReviewBounds.usersMax)") }
    let read = users.prefix(most).enumerated().map { reviewUser("\(field)[\($0)]", $1) }
    let once = Set(read.map(ExactText.init)).count
    if once > ReviewBounds.usersMax {
      refuse(field, "must be at most \(ReviewBounds.usersMax), are \(once)")
    }
    return read.reduce(into: [String]()) { found, user in
      if !found.contains(where: { ExactText($0) == ExactText(user) }) { found.append(user) }
    }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Reads what a queue asks, sorted and each once.
  mutating func reviewLabelSchemas(_ field: String, _ ids: [String]) -> [UUID] {
    if ids.count > ReviewBounds.labelSchemasMax {
      refuse(field, "must be at most \(ReviewBounds.labelSchemasMax), are \(ids.count)")
    }
    let read = ids.prefix(ReviewBounds.labelSchemasMax).enumerated().map {
      id("\(field)[\($0)]", $1)
    }
    return Set(read).sorted { $0.description < $1.description }
  }

  /// Reads the name of a person.
  mutating func reviewUser(_ field: String, _ user: String) -> String {
    let user = folded(user)
    name(field, user, characters: ReviewBounds.nameCharacters)
    return user
  }

  /// Reads what becomes of an item, and who says so.
  mutating func reviewStatus(_ request: UpdateReviewItemRequest) -> (status: String, by: String?) {
    guard let status = request.status.word else {
      refuse("status", "must be PENDING, COMPLETE or DECLINED")
      return ("", nil)
    }
    guard request.status == .pending else {
      return (status, reviewUser("completed_by", request.completedBy))
    }
    if !request.completedBy.isEmpty {
      refuse("completed_by", "must be empty where the status is PENDING")
    }
    return (status, nil)
  }

  private mutating func reviewOwner(_ owner: String?) {
    if let owner { name("owner", owner, characters: ReviewBounds.nameCharacters) }
  }
}

extension ReviewQueueKind {
  /// As it is stored; nil for one that is not.
  var word: String? {
    switch self {
    case .user: "user"
    case .custom: "custom"
    case .unspecified, .unrecognized: nil
    }
  }

  /// As it was stored.
  init(word: String) { self = word == "user" ? .user : .custom }
}

extension ReviewStatus {
  /// As it is stored; nil for one that is not.
  var word: String? {
    switch self {
    case .pending: "pending"
    case .complete: "complete"
    case .declined: "declined"
    case .unspecified, .unrecognized: nil
    }
  }

  /// As it was stored.
  init(word: String) {
    self =
      switch word {
      case "complete": .complete
      case "declined": .declined
      default: .pending
      }
  }
}

extension TracingService {
  /// What the refusals of the tables and statements of reviews mean.
  static var reviewReasons: [String: ReasonTable.Entry] {
    [
      "LABEL_SCHEMA_NAME_TAKEN": .init(
        TracingErrorReason.labelSchemaNameTaken,
        "The experiment has another label schema of this name; choose another, or change it."),
      "REVIEW_LABEL_SCHEMA_NOT_FOUND": .init(
        TracingErrorReason.labelSchemaNotFound,
        "A label schema is not in the experiment of the review queue."),
      "REVIEW_QUEUE_NOT_FOUND": .init(
        TracingErrorReason.reviewQueueNotFound, "There is no such review queue in the project."),
      "REVIEW_QUEUE_NAME_TAKEN": .init(
        TracingErrorReason.reviewQueueNameTaken,
        "The experiment has another review queue of this name, maybe in another case; choose "
          + "another."),
      "REVIEW_QUEUE_HAS_ITEMS": .init(
        TracingErrorReason.reviewQueueHasItems,
        "What a review queue asks changes only while it has no items; remove them first."),
      "REVIEW_TRACE_NOT_FOUND": .init(
        TracingErrorReason.traceNotFound,
        "A trace is of another experiment than the review queue."),
    ]
  }
}
