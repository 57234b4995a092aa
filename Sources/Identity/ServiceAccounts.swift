internal import EventLoop
public import Messages
internal import Postgres
public import RPC

/// The bounds of a service account's fields.
enum ServiceAccountBounds {
  static let displayNameBytes = 1...500
}

extension IdentityService {
  /// Creates a service account.
  public func createServiceAccount(
    _ request: CreateServiceAccountRequest, _ call: CallContext
  ) async throws(CallError) -> CreateServiceAccountResponse {
    var validator = Validator()
    validator.name(
      "display_name", request.displayName, bytes: ServiceAccountBounds.displayNameBytes)
    let role = validator.role("role", request.role)
    try validator.finish()

    let organizationID = call.principal.organizationID
    let now = WallClock.microseconds()
    let account = Account(
      id: call.nextID(), displayName: request.displayName, role: role, isActive: true,
      createdBy: call.principal.id, createdAt: now, updatedAt: now, revision: 1)
    let membershipID = call.nextID()
    return try await call.commit(
      locking: ServiceAccountsQueries.lockOrganizationForMember(
        organizationID: organizationID, callerID: call.principal.id)
    ) { (callerRole, batch) throws(CallError) in
      var caller: MemberRole?
      if let callerRole { caller = try MemberRole.stored(callerRole) }
      try Standing.check(caller, from: role, to: role, needing: call.method.permission)
      batch.add(
        ServiceAccountsQueries.createServiceAccount(
          id: account.id, displayName: account.displayName, createdAt: now))
      batch.add(
        ServiceAccountsQueries.addMember(
          membershipID: membershipID, userID: account.id, role: role.rawValue,
          invitedBy: call.principal.id, createdAt: now, organizationID: organizationID))
      var response = CreateServiceAccountResponse()
      response.serviceAccount = account.message
      return (response, serviceAccountChange("create", "created", from: nil, to: account))
    }
  }

  /// Returns one service account.
  public func getServiceAccount(
    _ request: GetServiceAccountRequest, _ call: CallContext
  ) async throws(CallError) -> GetServiceAccountResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()
    let row = try await call.read(
      ServiceAccountsQueries.getServiceAccount(
        organizationID: call.principal.organizationID, userID: id))
    guard let row else { throw serviceAccountNotFound(id) }
    var response = GetServiceAccountResponse()
    response.serviceAccount = try Account(row).message
    return response
  }

  /// Lists the service accounts of the organization, newest first.
  public func listServiceAccounts(
    _ request: ListServiceAccountsRequest, _ call: CallContext
  ) async throws(CallError) -> ListServiceAccountsResponse {
    var validator = Validator()
    let size = validator.pageSize(
      request.pageSize, standard: MemberBounds.pageSize, max: MemberBounds.pageSizeMax)
    try validator.finish()
    let page = Page(purpose: "service accounts", size: size)
    let rows = try await call.read(
      ServiceAccountsQueries.listServiceAccounts(
        organizationID: call.principal.organizationID, beforeID: try page.start(request.pageToken),
        pageSize: page.rowsToRead))
    var response = ListServiceAccountsResponse()
    for row in rows.prefix(size) { response.serviceAccounts.append(try Account(row).message) }
    response.nextPageToken = page.next(rows.map(\.membershipID))
    return response
  }

  /// Changes the fields that are present.
  public func updateServiceAccount(
    _ request: UpdateServiceAccountRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateServiceAccountResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    if let name = request.displayName {
      validator.name("display_name", name, bytes: ServiceAccountBounds.displayNameBytes)
    }
    var role: MemberRole?
    if let requested = request.role { role = validator.role("role", requested) }
    try validator.finish()

    let now = WallClock.microseconds()
    let newRole = role
    return try await call.commit(
      locking: lockMembers(id, call)
    ) { (rows, batch) throws(CallError) in
      let row = try serviceAccount(id, in: rows)
      try checkETag(request.etag, revision: row.revision)
      let before = try Account(row)
      var after = before
      after.displayName = request.displayName ?? before.displayName
      after.role = newRole ?? before.role
      after.isActive = request.isActive ?? before.isActive
      after.updatedAt = now
      after.revision += 1
      try Standing(rows, caller: call.principal.id).check(
        before.standing, after: after.standing, needing: call.method.permission)
      if let name = request.displayName {
        batch.add(
          ServiceAccountsQueries.renameServiceAccount(displayName: name, updatedAt: now, id: id))
      }
      // In every case, because the etag is the membership's.
      batch.add(
        MembersQueries.updateMembership(
          role: newRole?.rawValue, isActive: request.isActive, updatedAt: now,
          organizationID: call.principal.organizationID, membershipID: row.membershipID))
      var response = UpdateServiceAccountResponse()
      response.serviceAccount = after.message
      return (response, serviceAccountChange("update", "updated", from: before, to: after))
    }
  }

  /// Deletes a service account and revokes its keys; its name stays beside what it made.
  public func deleteServiceAccount(
    _ request: DeleteServiceAccountRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteServiceAccountResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()
    return try await call.commit(
      locking: lockMembers(id, call)
    ) { (rows, batch) throws(CallError) in
      let row = try serviceAccount(id, in: rows)
      let account = try Account(row)
      try Standing(rows, caller: call.principal.id).check(
        account.standing, after: nil, needing: call.method.permission)
      endMembership(row, call, &batch)
      let now = WallClock.microseconds()
      batch.add(
        ServiceAccountsQueries.endServiceAccount(
          endedAt: now, purgeAfter: now + ProjectBounds.recovery, id: id))
      return (
        DeleteServiceAccountResponse(),
        serviceAccountChange("delete", "deleted", from: account, to: nil)
      )
    }
  }

  private func serviceAccount(
    _ id: UUID, in rows: [MembersQueries.LockMembersRow]
  ) throws(CallError) -> MembersQueries.LockMembersRow {
    let found = rows.first { $0.userID == id && $0.kind == UserKind.serviceAccount }
    guard let found else { throw serviceAccountNotFound(id) }
    return found
  }

  private func serviceAccountChange(
    _ verb: String, _ participle: String, from before: Account?, to after: Account?
  ) -> Change {
    Change(
      action: "service_account.\(verb)", event: "service_account.\(participle)",
      resourceType: "service_account", resourceID: after?.id ?? before?.id ?? .zero,
      projectID: nil,
      detailsJSON: JSONText.change([
        ("display_name", before?.displayName, after?.displayName),
        ("role", before?.role.rawValue, after?.role.rawValue),
        ("is_active", before.map { String($0.isActive) }, after.map { String($0.isActive) }),
      ]))
  }
}

/// What a caller hears of a service account that is not there, or is not theirs.
func serviceAccountNotFound(_ id: UUID) -> CallError {
  CallError(
    IdentityErrorReason.serviceAccountNotFound,
    "There is no service account \(id) in your organization.")
}

/// A service account as it is stored.
private struct Account {
  let id: UUID
  var displayName: String
  var role: MemberRole
  var isActive: Bool
  let createdBy: UUID?
  let createdAt: Int64
  var updatedAt: Int64
  var revision: Int64

  /// As clients see it.
  var message: ServiceAccount {
    var message = ServiceAccount()
    message.id = id.description
    message.displayName = displayName
    message.role = role.message
    message.isActive = isActive
    message.createdBy = createdBy?.description ?? ""
    message.createdAt = Timestamp(microseconds: createdAt)
    message.updatedAt = Timestamp(microseconds: updatedAt)
    message.etag = String(revision)
    return message
  }

  /// As its rights are judged.
  var standing: Standing.Member {
    Standing.Member(id: id, role: role, isActive: isActive, isPerson: false)
  }
}

extension Account {
  init(_ row: some ServiceAccountRow) throws(CallError) {
    self.init(
      id: row.userID, displayName: row.displayName, role: try MemberRole.stored(row.role),
      isActive: row.isActive, createdBy: row.invitedBy, createdAt: row.createdAt,
      updatedAt: row.updatedAt, revision: row.revision)
  }
}

/// What every statement returns of a service account.
private protocol ServiceAccountRow {
  var userID: UUID { get }
  var displayName: String { get }
  var role: String { get }
  var isActive: Bool { get }
  var invitedBy: UUID? { get }
  var createdAt: Int64 { get }
  var updatedAt: Int64 { get }
  var revision: Int64 { get }
}

extension ServiceAccountsQueries.GetServiceAccountRow: ServiceAccountRow {}
extension ServiceAccountsQueries.ListServiceAccountsRow: ServiceAccountRow {}
extension MembersQueries.LockMembersRow: ServiceAccountRow {}
