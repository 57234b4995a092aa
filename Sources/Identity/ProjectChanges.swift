internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension IdentityService {
  /// Changes the fields that are present.
  public func updateProject(
    _ request: UpdateProjectRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateProjectResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    if let name = request.name {
      validator.name("name", name, bytes: ProjectBounds.nameBytes)
    }
    if let slug = request.slug { Slug.check(slug, &validator) }
    if let description = request.description {
      validator.text("description", description, bytesMax: ProjectBounds.descriptionBytesMax)
    }
    var visibility: String?
    if let given = request.visibility { visibility = validator.visibility(given) }
    var settings: String?
    if let text = request.settingsJSON {
      settings = validator.jsonObject(
        "settings_json", text, bytesMax: ProjectBounds.settingsBytesMax)
    }
    try validator.finish()

    let now = WallClock.microseconds()
    let (newVisibility, newSettings) = (visibility, settings)
    return try await change(id, call) { (row, batch) throws(CallError) in
      if let refusal = call.access(to: row).refusalOfChange { throw refusal.error(id) }
      try checkETag(request.etag, revision: row.revision)
      batch.add(
        ProjectsQueries.updateProject(
          name: request.name, slug: request.slug, description: request.description,
          visibility: newVisibility, settingsJSON: newSettings, updatedAt: now,
          organizationID: call.principal.organizationID, id: id))
      let before = ProjectRecord(row)
      var after = before.changed(at: now)
      after.name = request.name ?? before.name
      after.slug = request.slug ?? before.slug
      after.description = request.description ?? before.description
      after.visibility = newVisibility ?? before.visibility
      after.settingsJSON = newSettings ?? before.settingsJSON
      var response = UpdateProjectResponse()
      response.project = Project(after)
      return (response, after.change("update", event: "updated", from: before))
    }
  }

  /// Deletes a project; it can be brought back for 30 days.
  public func deleteProject(
    _ request: DeleteProjectRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteProjectResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()

    let now = WallClock.microseconds()
    return try await change(id, call) { (row, batch) throws(CallError) in
      if let refusal = call.access(to: row).refusalOfChange { throw refusal.error(id) }
      try checkETag(request.etag, revision: row.revision)
      let before = ProjectRecord(row)
      var after = before.changed(at: now)
      after.deletedAt = now
      after.purgeAfter = now + ProjectBounds.recovery
      batch.add(
        ProjectsQueries.setProjectDeletion(
          deletedAt: after.deletedAt, purgeAfter: after.purgeAfter, updatedAt: now,
          organizationID: call.principal.organizationID, id: id))
      var response = DeleteProjectResponse()
      response.project = Project(after)
      return (response, after.change("delete", event: "deleted", from: before))
    }
  }

  /// Brings a deleted project back.
  public func undeleteProject(
    _ request: UndeleteProjectRequest, _ call: CallContext
  ) async throws(CallError) -> UndeleteProjectResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()

    let now = WallClock.microseconds()
    return try await change(id, call) { (row, batch) throws(CallError) in
      if let refusal = call.access(to: row).refusalOfUndelete { throw refusal.error(id) }
      guard let purgeAfter = row.purgeAfter, row.deletedAt != nil else {
        throw CallError(IdentityErrorReason.recoveryOver, "Project \(id) is not deleted.")
      }
      guard purgeAfter > now else {
        throw CallError(
          IdentityErrorReason.recoveryOver,
          "Project \(id) was deleted more than 30 days ago; it cannot be brought back.")
      }
      let before = ProjectRecord(row)
      var after = before.changed(at: now)
      after.deletedAt = nil
      after.purgeAfter = nil
      batch.add(
        ProjectsQueries.setProjectDeletion(
          deletedAt: nil, purgeAfter: nil, updatedAt: now,
          organizationID: call.principal.organizationID, id: id))
      var response = UndeleteProjectResponse()
      response.project = Project(after)
      return (response, after.change("undelete", event: "undeleted", from: before))
    }
  }

  /// Commits a change of a project, deleted or not, that nobody else changes meanwhile.
  private func change<Response: Message>(
    _ id: UUID, _ call: CallContext,
    _ decide:
      (ProjectsQueries.GetProjectToChangeRow, inout Batch) throws(CallError) -> (Response, Change)
  ) async throws(CallError) -> Response {
    try await call.commit(
      holding: ProjectsQueries.lockProject(
        organizationID: call.principal.organizationID, id: id),
      locking: ProjectsQueries.getProjectToChange(
        userID: call.principal.id, organizationID: call.principal.organizationID, id: id)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw projectNotFound(id.description) }
      return try decide(row, &batch)
    }
  }
}

extension CallContext {
  fileprivate func access(to row: ProjectsQueries.GetProjectToChangeRow) -> ProjectAccess {
    ProjectAccess(
      isAdministrator: isAdministrator, isDeleted: row.deletedAt != nil, isVisible: row.isVisible,
      role: row.callerRole.flatMap { ProjectAccess.Role(rawValue: $0) })
  }
}
