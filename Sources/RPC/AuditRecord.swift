public import Postgres

/// An entry of the audit log, as it was committed.
public struct AuditRecord: Sendable, Equatable {
  /// Later entries have greater ones.
  public var id: UUID
  /// The tenant.
  public var organizationID: UUID
  /// "user" or "service_account".
  public var actorType: String
  /// Who it was.
  public var actorID: UUID
  /// What they were called.
  public var actorLabel: String
  /// The key that was used; ``UUID/zero`` where none was.
  public var apiKeyID: UUID
  /// "project.create".
  public var action: String
  /// "success" or "denied".
  public var outcome: String
  /// Why it was refused; nil where it was done.
  public var reason: String?
  /// "project".
  public var resourceType: String
  /// Which one; nil where that is not known.
  public var resourceID: UUID?
  /// Its project, if it has one.
  public var projectID: UUID?
  /// A JSON object.
  public var detailsJSON: String
  /// From where.
  public var ipAddress: String
  /// What the client calls itself.
  public var client: String
  /// The call.
  public var requestID: String
  /// Microseconds since 1970.
  public var createdAt: Int64

  /// Makes an entry from its parts.
  public init(
    id: UUID, organizationID: UUID, actorType: String, actorID: UUID, actorLabel: String,
    apiKeyID: UUID, action: String, outcome: String, reason: String?, resourceType: String,
    resourceID: UUID?, projectID: UUID?, detailsJSON: String, ipAddress: String, client: String,
    requestID: String, createdAt: Int64
  ) {
    self.id = id
    self.organizationID = organizationID
    self.actorType = actorType
    self.actorID = actorID
    self.actorLabel = actorLabel
    self.apiKeyID = apiKeyID
    self.action = action
    self.outcome = outcome
    self.reason = reason
    self.resourceType = resourceType
    self.resourceID = resourceID
    self.projectID = projectID
    self.detailsJSON = detailsJSON
    self.ipAddress = ipAddress
    self.client = client
    self.requestID = requestID
    self.createdAt = createdAt
  }

  /// The statement that writes it.
  var insertion: Query<Int> {
    JournalQueries.insertAuditLog(
      organizationID: organizationID, id: id, actorType: actorType, actorID: actorID,
      actorLabel: actorLabel, apiKeyID: apiKeyID == .zero ? nil : apiKeyID, action: action,
      outcome: outcome, reason: reason,
      resourceType: resourceType, resourceID: resourceID, projectID: projectID,
      detailsJSON: detailsJSON, ipAddress: ipAddress, userAgent: client, requestID: requestID,
      createdAt: createdAt)
  }
}

/// Is told of the audit log's entries once they are committed: what a deployment adds, to send them
/// where it keeps such things.
///
/// The audit log itself is the truth: a sink hears of each entry at most once, and misses those
/// that it is too slow for and those of a server that dies.
public protocol AuditSink: Sendable {
  /// Takes entries, in the order in which one loop of the server committed them.
  ///
  /// Called on a thread of the sink's own, once at a time; it may block, and nobody waits for it.
  func receive(_ entries: [AuditRecord])
}
