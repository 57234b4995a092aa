internal import EventLoop
public import Messages
internal import Postgres
public import RPC

/// The bounds of a project's fields.
enum ProjectBounds {
  static let nameBytes = 1...500
  static let descriptionBytesMax = 16 << 10
  static let settingsBytesMax = 64 << 10
  static let pageSize = 100
  static let pageSizeMax = 1_000
  /// Microseconds for which what was deleted can be brought back: 30 days.
  static let recovery = Housekeeping.recoveryPeriod
}

extension IdentityService {
  /// Creates a project, whose owner is the caller.
  public func createProject(
    _ request: CreateProjectRequest, _ call: CallContext
  ) async throws(CallError) -> CreateProjectResponse {
    var validator = Validator()
    validator.name("name", request.name, bytes: ProjectBounds.nameBytes)
    let slug = request.slug.isEmpty ? Slug.made(of: request.name) : request.slug
    if slug.isEmpty {
      validator.refuse("slug", "must be given, because the name has no letter a-z and no digit")
    } else {
      Slug.check(slug, &validator)
    }
    validator.text("description", request.description, bytesMax: ProjectBounds.descriptionBytesMax)
    let visibility = validator.visibility(request.visibility)
    let settings = validator.jsonObject(
      "settings_json", request.settingsJSON, bytesMax: ProjectBounds.settingsBytesMax)
    try validator.finish()

    let now = WallClock.microseconds()
    let new = ProjectRecord(
      id: call.nextID(), name: request.name, description: request.description, slug: slug,
      visibility: visibility, settingsJSON: settings, createdBy: call.principal.id, createdAt: now,
      updatedAt: now, revision: 1)
    var response = CreateProjectResponse()
    response.project = Project(new)
    let change = new.change("create", event: "created", from: nil)
    return try await call.commit(response, change) { batch in
      // Who leaves the organization meanwhile must not own a project in it.
      batch.add(
        MembersQueries.requireMembership(
          organizationID: call.principal.organizationID, userID: call.principal.id))
      batch.add(
        ProjectsQueries.createProject(
          organizationID: call.principal.organizationID, id: new.id, name: new.name,
          description: new.description, slug: slug, visibility: visibility,
          settingsJSON: settings, createdBy: new.createdBy, createdAt: now))
      batch.add(
        ProjectMembersQueries.createProjectMember(
          organizationID: call.principal.organizationID, id: call.nextID(), projectID: new.id,
          userID: call.principal.id, role: ProjectAccess.Role.owner.rawValue,
          addedBy: call.principal.id, createdAt: now))
    }
  }

  /// Returns one project, by its id or by its slug.
  public func getProject(
    _ request: GetProjectRequest, _ call: CallContext
  ) async throws(CallError) -> GetProjectResponse {
    var response = GetProjectResponse()
    if let id = UUID(request.id) {
      response.project = Project(ProjectRecord(try await project(id, call)))
      return response
    }
    var validator = Validator()
    validator.slug("id", request.id)
    try validator.finish()
    let row = try await call.read(
      ProjectsQueries.getProjectBySlug(
        organizationID: call.principal.organizationID, slug: request.id,
        seesAllProjects: call.isAdministrator, userID: call.principal.id))
    guard let row else { throw projectNotFound(request.id) }
    response.project = Project(ProjectRecord(row))
    return response
  }

  /// One project that the caller sees.
  func project(
    _ id: UUID, _ call: CallContext
  ) async throws(CallError) -> ProjectsQueries.GetProjectRow {
    let row = try await call.read(
      ProjectsQueries.getProject(
        organizationID: call.principal.organizationID, id: id,
        seesAllProjects: call.isAdministrator, userID: call.principal.id))
    guard let row else { throw projectNotFound(id.description) }
    return row
  }

  /// Lists projects, newest first.
  public func listProjects(
    _ request: ListProjectsRequest, _ call: CallContext
  ) async throws(CallError) -> ListProjectsResponse {
    var validator = Validator()
    let size = validator.pageSize(
      request.pageSize, standard: ProjectBounds.pageSize, max: ProjectBounds.pageSizeMax)
    try validator.finish()
    let page = Page(purpose: request.deleted ? "deleted projects" : "projects", size: size)
    let before = try page.start(request.pageToken)

    let projects: [ProjectRecord]
    if request.deleted {
      projects = try await call.read(
        ProjectsQueries.listDeletedProjects(
          organizationID: call.principal.organizationID, beforeID: before,
          now: WallClock.microseconds(), seesAllProjects: call.isAdministrator,
          userID: call.principal.id, pageSize: page.rowsToRead)
      ).map { ProjectRecord($0) }
    } else {
      projects = try await call.read(
        ProjectsQueries.listProjects(
          organizationID: call.principal.organizationID, beforeID: before,
          seesAllProjects: call.isAdministrator, userID: call.principal.id,
          pageSize: page.rowsToRead)
      ).map { ProjectRecord($0) }
    }
    var response = ListProjectsResponse()
    response.projects = projects.prefix(size).map { Project($0) }
    response.nextPageToken = page.next(projects.map(\.id))
    return response
  }
}

extension CallContext {
  /// Whether the caller is an administrator of the organization, who sees every project.
  var isAdministrator: Bool { principal.role == "admin" }
}

extension Validator {
  /// Reads who sees a project, as it is stored.
  mutating func visibility(_ visibility: Visibility) -> String {
    switch visibility {
    case .unspecified, .private: return "private"
    case .organization: return "organization"
    case .public: return "public"
    case .unrecognized:
      refuse("visibility", "must be PRIVATE, ORGANIZATION or PUBLIC")
      return "private"
    }
  }
}

/// What a caller hears of a project that is not there, or that they do not see.
func projectNotFound(_ name: String) -> CallError {
  CallError(
    IdentityErrorReason.projectNotFound, "There is no project \(name) in your organization.")
}

extension ProjectAccess.Refusal {
  /// What the caller hears.
  func error(_ projectID: UUID) -> CallError {
    switch self {
    case .notVisible: projectNotFound(projectID.description)
    case .ownerNeeded:
      CallError(
        RpcErrorReason.permissionMissing,
        "Only owners of project \(projectID) and the organization's administrators may do this; "
          + "ask one of them.")
    case .roleTooHigh:
      CallError(
        IdentityErrorReason.roleTooHigh,
        "The role is above your own in project \(projectID); ask an owner of it.")
    case .lastOwner:
      CallError(
        IdentityErrorReason.lastOwner,
        "Project \(projectID) has no other owner; make somebody else one first.")
    }
  }
}
