internal import EventLoop
public import Messages
internal import Postgres
public import RPC

/// The bounds of an organization's life.
enum OrganizationLife {
  /// How long a deleted one can be brought back.
  static let recoveryMicroseconds = Housekeeping.recoveryPeriod
  /// What the key of who makes one is called.
  static let firstKeyName = "first key"
}

extension IdentityService {
  /// Creates an organization that the caller administers, with a key of theirs in it.
  public func createOrganization(
    _ request: CreateOrganizationRequest, _ call: CallContext
  ) async throws(CallError) -> CreateOrganizationResponse {
    var validator = Validator()
    validator.name("name", request.name, bytes: OrganizationBounds.nameBytes)
    Slug.check(request.slug, &validator)
    if !request.billingEmail.isEmpty {
      validator.emailAddress("billing_email", request.billingEmail)
    }
    let settings = validator.jsonObject(
      "settings_json", request.settingsJSON, bytesMax: OrganizationBounds.settingsBytesMax)
    try validator.finish()

    // A service account hears below that it is none, whoever made its key.
    if call.principal.kind == "user" { try await requireOwnKey(call) }
    let plan = organizations.plan.rawValue
    return try await call.commit(
      locking: OrganizationsQueries.getFounder(
        plan: plan, organizationID: call.principal.organizationID, callerID: call.principal.id)
    ) { (row, batch) throws(CallError) in
      let founder = try founder(row)
      let new = NewOrganization(request, settings, plan, founder, call)
      new.add(to: &batch, call)
      return (new.response, new.change)
    }
  }

  /// Who may make an organization.
  private func founder(
    _ row: OrganizationsQueries.GetFounderRow?
  ) throws(CallError) -> OrganizationsQueries.GetFounderRow {
    guard let row else { throw organizationGone() }
    guard row.kind == UserKind.person else { throw personNeeded() }
    guard row.isPlatformAdmin || organizations.creation == .everybody else {
      throw CallError(
        IdentityErrorReason.platformAdminNeeded,
        "Only platform administrators create organizations here: ask one of them.")
    }
    return row
  }

  /// Lists the organizations that the caller is an active member of.
  public func listOrganizations(
    _ request: ListOrganizationsRequest, _ call: CallContext
  ) async throws(CallError) -> ListOrganizationsResponse {
    guard call.principal.kind == "user" else { throw personNeeded() }
    try await requireOwnKey(call)
    let rows = try await call.read(
      OrganizationsQueries.listOwnOrganizations(userID: call.principal.id))
    var response = ListOrganizationsResponse()
    response.organizations = rows.map { row in
      OrganizationSummary(
        id: row.organizationID.description, slug: row.slug, name: row.name, role: row.role)
    }
    return response
  }

  /// Deletes the caller's organization: none of its keys is taken from here on.
  public func deleteOrganization(
    _ request: DeleteOrganizationRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteOrganizationResponse {
    let id = call.principal.organizationID
    return try await call.commit(
      locking: OrganizationsQueries.lockOrganizationToDelete(
        callerID: call.principal.id, organizationID: id)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw organizationGone() }
      try checkStanding(row.callerRole, call)
      guard request.slug == row.slug else {
        throw CallError(
          IdentityErrorReason.confirmationWrong,
          "To confirm, give the slug of your organization, \(row.slug).")
      }
      let now = WallClock.microseconds()
      let purgeAfter = now + OrganizationLife.recoveryMicroseconds
      batch.add(
        OrganizationsQueries.setOrganizationDeletion(
          deletedAt: now, purgeAfter: purgeAfter, updatedAt: now, organizationID: id))
      return (
        DeleteOrganizationResponse(purgeAfter: Timestamp(microseconds: purgeAfter)),
        Change(
          action: "organization.delete", event: "organization.deleted",
          resourceType: "organization", resourceID: id, projectID: nil,
          detailsJSON: JSONText.change([
            ("slug", row.slug, nil), ("name", row.name, nil),
            ("purge_after", nil, timeText(purgeAfter)),
          ]))
      )
    }
  }

  /// Brings a deleted organization back, by an administrator who has no key that is taken.
  public func undeleteOrganization(
    _ request: UndeleteOrganizationRequest, _ call: CallContext
  ) async throws(CallError) -> UndeleteOrganizationResponse {
    var validator = Validator()
    validator.slug("slug", request.slug)
    validator.triedEmail("email", request.email)
    validator.triedPassword("password", request.password, isNeeded: true)
    try validator.finish()

    try passwords.admit(call)
    let found = try await call.read(
      OrganizationsQueries.findRecoverableOrganization(email: request.email, slug: request.slug))
    // Whoever is unknown, or is no administrator, hears the same, as late.
    let isRight = try await passwords.matches(
      request.password, found.passwordHash, of: found.emailFolded, call)
    guard isRight, let userID = found.userID, let userEmail = found.userEmail,
      let organizationID = found.organizationID
    else { throw credentialsInvalid() }
    var comparable = request
    comparable.password = ""
    call.compareReplays(by: comparable)
    call.become(
      Principal(
        organizationID: organizationID, id: userID, kind: "user", label: userEmail,
        apiKeyID: .zero, role: MemberRole.admin.rawValue, permissions: []))
    return try await call.commit(
      locking: OrganizationsQueries.lockDeletedOrganization(
        callerID: userID, organizationID: organizationID)
    ) { (row, batch) throws(CallError) in
      guard let row, row.callerRole == MemberRole.admin.rawValue else {
        throw credentialsInvalid()
      }
      return try undelete(row, &batch)
    }
  }

  private func undelete(
    _ row: OrganizationsQueries.LockDeletedOrganizationRow, _ batch: inout Batch
  ) throws(CallError) -> (UndeleteOrganizationResponse, Change) {
    guard let purgeAfter = row.purgeAfter, row.deletedAt != nil else {
      throw CallError(
        IdentityErrorReason.slugTaken,
        "An organization \(row.slug) of yours is not deleted; rename it to bring back another.")
    }
    let now = WallClock.microseconds()
    guard purgeAfter > now else {
      throw CallError(
        IdentityErrorReason.recoveryOver,
        "The organization could be brought back until \(timeText(purgeAfter)).")
    }
    batch.add(
      OrganizationsQueries.setOrganizationDeletion(
        deletedAt: nil, purgeAfter: nil, updatedAt: now, organizationID: row.id))
    var after = row
    after.updatedAt = now
    after.revision += 1
    return (
      UndeleteOrganizationResponse(organization: Organization(after)),
      Change(
        action: "organization.undelete", event: "organization.undeleted",
        resourceType: "organization", resourceID: row.id, projectID: nil,
        detailsJSON: JSONText.change([("purge_after", timeText(purgeAfter), nil)]))
    )
  }
}

/// An organization that is made, with its first administrator and their key.
private struct NewOrganization {
  let row: OrganizationsQueries.LockOrganizationRow
  let founderID: UUID
  let keyID: UUID
  let key: APIKey

  init(
    _ request: CreateOrganizationRequest, _ settings: String, _ plan: String,
    _ founder: OrganizationsQueries.GetFounderRow, _ call: CallContext
  ) {
    let now = WallClock.microseconds()
    row = OrganizationsQueries.LockOrganizationRow(
      id: call.nextID(), name: request.name, slug: request.slug, isPersonal: false,
      billingEmail: request.billingEmail.isEmpty ? founder.email : request.billingEmail,
      plan: plan, status: "active", maxUsers: founder.maxUsers, maxModels: founder.maxModels,
      settingsJSON: settings, createdAt: now, updatedAt: now, revision: 1)
    founderID = call.principal.id
    keyID = call.nextID()
    key = .random()
  }

  /// Adds the statements, from which on the transaction acts for the new organization.
  func add(to batch: inout Batch, _ call: CallContext) {
    call.enter(row.id, &batch)
    batch.add(
      OrganizationsQueries.foundOrganization(
        id: row.id, name: row.name, slug: row.slug, billingEmail: row.billingEmail,
        plan: row.plan, settingsJSON: row.settingsJSON, createdAt: row.createdAt))
    batch.add(
      BootstrapQueries.createMembership(
        organizationID: row.id, id: call.nextID(), userID: founderID,
        role: MemberRole.admin.rawValue, createdAt: row.createdAt))
    batch.add(
      APIKeysQueries.createApiKey(
        organizationID: row.id, id: keyID, userID: founderID,
        name: OrganizationLife.firstKeyName, keyID: key.id, keyPrefix: key.shownPrefix,
        secretHash: key.hash, scopes: ["*"], allowedCIDRs: [], createdBy: founderID,
        expiresAt: nil, isFromLogin: false, createdAt: row.createdAt))
  }

  var response: CreateOrganizationResponse {
    CreateOrganizationResponse(
      organization: Organization(row), secret: key.text, apiKeyID: keyID.description)
  }

  var change: Change {
    var change = Change(
      action: "organization.create", event: "organization.created",
      resourceType: "organization", resourceID: row.id, projectID: nil,
      detailsJSON: JSONText.change([
        ("name", nil, row.name), ("slug", nil, row.slug),
        ("billing_email", nil, row.billingEmail), ("plan", nil, row.plan),
        ("settings_json", nil, auditedSettings(row.settingsJSON)),
        ("api_key_id", nil, keyID.description), ("api_key_prefix", nil, key.shownPrefix),
      ]))
    change.showsSecret = true
    change.secretID = keyID
    change.madeOrganizationID = row.id
    return change
  }
}

/// Refuses a caller whose role, as it is now, does not permit the method.
func checkStanding(_ role: String?, _ call: CallContext) throws(CallError) {
  var caller: MemberRole?
  if let role { caller = try MemberRole.stored(role) }
  try Standing.check(caller, from: .viewer, to: .viewer, needing: call.method.permission)
}

private func personNeeded() -> CallError {
  CallError(
    IdentityErrorReason.personNeeded,
    "A service account belongs to one organization: use a key of a person.")
}

extension OrganizationsQueries.LockDeletedOrganizationRow: OrganizationRow {}
