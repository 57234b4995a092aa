internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension IdentityService {
  /// Adds a member of the organization to a project, or gives one another role in it.
  public func setProjectMember(
    _ request: SetProjectMemberRequest, _ call: CallContext
  ) async throws(CallError) -> SetProjectMemberResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let userID = validator.id("user_id", request.userID)
    let role = validator.projectRole(request.role)
    try validator.finish()

    let now = WallClock.microseconds()
    let newID = call.nextID()
    return try await changeMember(userID, of: projectID, call) { (row, batch) throws(CallError) in
      let before = row.role.flatMap { ProjectAccess.Role(rawValue: $0) }
      let refusal = call.access(to: row).refusal(
        ofGiving: role, before: before, otherOwners: row.otherOwners)
      if let refusal { throw refusal.error(projectID) }
      guard row.membershipID != nil else {
        throw CallError(
          IdentityErrorReason.userNotFound,
          "There is no member \(userID) in your organization; only its members can be added.")
      }
      if let memberID = row.memberID {
        batch.add(
          ProjectMembersQueries.updateProjectMember(
            role: role.rawValue, updatedAt: now, organizationID: call.principal.organizationID,
            id: memberID))
      } else {
        batch.add(
          ProjectMembersQueries.createProjectMember(
            organizationID: call.principal.organizationID, id: newID, projectID: projectID,
            userID: userID, role: role.rawValue, addedBy: call.principal.id, createdAt: now))
      }
      var response = SetProjectMemberResponse()
      response.member = ProjectMember(
        userID: userID, displayName: row.displayName, email: row.email, role: role,
        addedBy: row.addedBy ?? call.principal.id, createdAt: row.createdAt ?? now,
        revision: (row.revision ?? 0) + 1)
      return (
        response,
        memberChange("update", event: "updated", userID, of: projectID, from: before, to: role)
      )
    }
  }

  /// Takes a member out of a project.
  public func removeProjectMember(
    _ request: RemoveProjectMemberRequest, _ call: CallContext
  ) async throws(CallError) -> RemoveProjectMemberResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let userID = validator.id("user_id", request.userID)
    try validator.finish()

    let now = WallClock.microseconds()
    return try await changeMember(userID, of: projectID, call) { (row, batch) throws(CallError) in
      let before = row.role.flatMap { ProjectAccess.Role(rawValue: $0) }
      let refusal = call.access(to: row).refusal(
        ofRemoving: before, otherOwners: row.otherOwners)
      if let refusal { throw refusal.error(projectID) }
      guard let memberID = row.memberID else {
        throw CallError(
          IdentityErrorReason.userNotFound, "Project \(projectID) has no member \(userID).")
      }
      batch.add(
        ProjectMembersQueries.removeProjectMember(
          deletedAt: now, purgeAfter: now + ProjectBounds.recovery,
          organizationID: call.principal.organizationID, id: memberID))
      return (
        RemoveProjectMemberResponse(),
        memberChange("remove", event: "removed", userID, of: projectID, from: before, to: nil)
      )
    }
  }

  /// Lists the members of a project that the caller sees, newest first.
  public func listProjectMembers(
    _ request: ListProjectMembersRequest, _ call: CallContext
  ) async throws(CallError) -> ListProjectMembersResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let size = validator.pageSize(
      request.pageSize, standard: ProjectBounds.pageSize, max: ProjectBounds.pageSizeMax)
    try validator.finish()
    let page = Page(purpose: "project members \(projectID)", size: size)
    let before = try page.start(request.pageToken)

    _ = try await project(projectID, call)
    let rows = try await call.read(
      ProjectMembersQueries.listProjectMembers(
        organizationID: call.principal.organizationID, projectID: projectID,
        beforeID: before ?? UUID(high: .max, low: .max), pageSize: page.rowsToRead))
    var response = ListProjectMembersResponse()
    response.members = rows.prefix(size).map { ProjectMember($0) }
    response.nextPageToken = page.next(rows.map(\.id))
    return response
  }

  /// Commits a change of who belongs to a project; nobody else changes that meanwhile.
  private func changeMember<Response: Message>(
    _ userID: UUID, of projectID: UUID, _ call: CallContext,
    _ decide:
      (ProjectMembersQueries.GetProjectMemberToChangeRow, inout Batch) throws(CallError) -> (
        Response, Change
      )
  ) async throws(CallError) -> Response {
    try await call.commit(
      holding: ProjectsQueries.lockProject(
        organizationID: call.principal.organizationID, id: projectID),
      // Who leaves the organization meanwhile is either taken out of this project too, or gone.
      MembersQueries.holdMembership(
        organizationID: call.principal.organizationID, userID: userID),
      locking: ProjectMembersQueries.getProjectMemberToChange(
        callerID: call.principal.id, userID: userID,
        organizationID: call.principal.organizationID, projectID: projectID)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw projectNotFound(projectID.description) }
      return try decide(row, &batch)
    }
  }

  private func memberChange(
    _ verb: String, event: String, _ userID: UUID, of projectID: UUID,
    from before: ProjectAccess.Role?, to after: ProjectAccess.Role?
  ) -> Change {
    Change(
      action: "project_member.\(verb)", event: "project_member.\(event)",
      resourceType: "project_member", resourceID: userID, projectID: projectID,
      detailsJSON: JSONText.change([("role", before?.rawValue, after?.rawValue)]))
  }
}

extension CallContext {
  fileprivate func access(
    to row: ProjectMembersQueries.GetProjectMemberToChangeRow
  ) -> ProjectAccess {
    ProjectAccess(
      isAdministrator: isAdministrator, isDeleted: row.isDeleted, isVisible: row.isVisible,
      role: row.callerRole.flatMap { ProjectAccess.Role(rawValue: $0) })
  }
}

extension Validator {
  /// Reads a role in a project.
  fileprivate mutating func projectRole(_ role: ProjectRole) -> ProjectAccess.Role {
    switch role {
    case .owner: return .owner
    case .unspecified, .contributor: return .contributor
    case .viewer: return .viewer
    case .unrecognized:
      refuse("role", "must be OWNER, CONTRIBUTOR or VIEWER")
      return .viewer
    }
  }
}

extension ProjectMember {
  fileprivate init(
    userID: UUID, displayName: String, email: String, role: ProjectAccess.Role, addedBy: UUID,
    createdAt: Int64, revision: Int64
  ) {
    self.init()
    self.userID = userID.description
    self.displayName = displayName
    self.email = email
    self.role =
      switch role {
      case .owner: .owner
      case .contributor: .contributor
      case .viewer: .viewer
      }
    self.addedBy = addedBy.description
    self.createdAt = Timestamp(microseconds: createdAt)
    etag = String(revision)
  }

  fileprivate init(_ row: ProjectMembersQueries.ListProjectMembersRow) {
    self.init(
      userID: row.userID, displayName: row.displayName, email: row.email,
      // The column's check admits the three roles and no other.
      role: ProjectAccess.Role(rawValue: row.role) ?? .viewer, addedBy: row.addedBy,
      createdAt: row.createdAt, revision: row.revision)
  }
}
