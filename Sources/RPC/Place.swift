public import Messages
public import Postgres

/// What belongs to projects and is named by its id.
public protocol ProjectResource {
  associatedtype Reason: ErrorReason

  /// As fields and the audit log call it: `review_queue`.
  static var name: String { get }

  /// What a caller hears who names one that is not there.
  static var notFound: Reason { get }
}

/// Which resource of a project a request is about.
public struct Place<Resource: ProjectResource>: Sendable {
  /// The project.
  public let projectID: UUID

  /// The resource.
  public let id: UUID

  /// Names a resource, such as a new one.
  public init(projectID: UUID, id: UUID) {
    self.projectID = projectID
    self.id = id
  }

  /// Reads what a request names, as `project_id` and by the field of the resource.
  public init(_ projectID: String, _ id: String, _ validator: inout Validator) {
    self.projectID = validator.id("project_id", projectID)
    self.id = validator.id("\(Resource.name)_id", id)
  }

  /// What a caller hears where it is not in the project.
  public var notFound: CallError {
    let noun = Resource.name.split(separator: "_").joined(separator: " ")
    return CallError(Resource.notFound, "There is no \(noun) \(id) in the project.")
  }

  /// What the audit log and those who watch hear of a change.
  public func change(_ verb: String, _ done: String, _ detailsJSON: String) -> Change {
    Change(
      action: "\(Resource.name).\(verb)", event: "\(Resource.name).\(done)",
      resourceType: Resource.name,
      resourceID: id, projectID: projectID, detailsJSON: detailsJSON)
  }
}
