internal import Messages
internal import Postgres
internal import RPC

/// Which entries of the audit log are wanted, checked and in the form that the statements take.
struct AuditQuery: Equatable {
  /// How far an entry's id and its time may be apart: they are read from the clock one after the
  /// other, and an id never goes back when the clock does.
  static let clockSlackMicroseconds: Int64 = 60_000_000

  var actorID: UUID?
  var apiKeyID: UUID?
  var action: String?
  /// The first action, by bytes, that a pattern may mean.
  var actionFrom: String?
  /// The first one behind them.
  var actionBefore: String?
  var resourceType: String?
  var resourceID: UUID?
  var outcome: String?
  /// Microseconds since 1970, included.
  var from: Int64?
  /// Microseconds since 1970, excluded.
  var until: Int64?

  /// Reads a filter; what is bad in it is noted.
  init(_ filter: AuditLogFilter?, _ validator: inout Validator) {
    guard let filter else { return }
    actorID = validator.optionalID("filter.actor_id", filter.actorID)
    apiKeyID = validator.optionalID("filter.api_key_id", filter.apiKeyID)
    readAction(filter.action, &validator)
    if !filter.resourceType.isEmpty {
      if AuditQuery.isWord(filter.resourceType.utf8[...]) {
        resourceType = filter.resourceType
      } else {
        validator.refuse("filter.resource_type", "must be a resource like project")
      }
    }
    resourceID = validator.optionalID("filter.resource_id", filter.resourceID)
    switch filter.outcome {
    case .unspecified: break
    case .success: outcome = "success"
    case .denied: outcome = "denied"
    case .unrecognized: validator.refuse("filter.outcome", "must be SUCCESS, DENIED or unspecified")
    }
    from = filter.from?.microseconds
    until = filter.until?.microseconds
    if let from, let until, from > until {
      validator.refuse("filter.until", "must not be before filter.from")
    }
  }

  private mutating func readAction(_ text: String, _ validator: inout Validator) {
    if text.isEmpty { return }
    let parts = text.utf8.split(
      separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, AuditQuery.isWord(parts[0]) else {
      return validator.refuse("filter.action", "must be like project.create or project.*")
    }
    if parts[1].elementsEqual("*".utf8) {
      actionFrom = String(text.dropLast())
      // The byte behind the point.
      actionBefore = String(text.dropLast(2)) + "/"
    } else if AuditQuery.isWord(parts[1]) {
      action = text
    } else {
      validator.refuse("filter.action", "must be like project.create or project.*")
    }
  }

  private static func isWord(_ text: Substring.UTF8View) -> Bool {
    (1...50).contains(text.count)
      && text.allSatisfy { (97...122).contains($0) || $0 == UInt8(ascii: "_") }
  }

  // MARK: Bounds

  /// Entries of the wanted time have greater ids, which tells the database the partitions to read.
  var afterID: UUID {
    from.map { UUID.floor(microseconds: $0 - AuditQuery.clockSlackMicroseconds) } ?? .zero
  }

  /// Entries of the wanted time have smaller ids.
  var beforeID: UUID {
    until.map { UUID.floor(microseconds: $0 + AuditQuery.clockSlackMicroseconds) } ?? .greatest
  }

  /// Tells queries apart, for page tokens.
  var purpose: String {
    let parts = [
      actorID?.description, apiKeyID?.description, action, actionFrom, resourceType,
      resourceID?.description, outcome, from.map { String($0) }, until.map { String($0) },
    ]
    return "audit logs " + parts.map { $0 ?? "" }.joined(separator: " ")
  }
}

extension UUID {
  /// The identifier whose bits are all one.
  static let greatest = UUID(high: .max, low: .max)

  /// Below every version 7 identifier that is made at or after a moment, in microseconds since
  /// 1970.
  static func floor(microseconds: Int64) -> UUID {
    let milliseconds = UInt64(max(microseconds, 0)) / 1_000
    return UUID(high: min(milliseconds, (1 << 48) - 1) << 16, low: 0)
  }
}
