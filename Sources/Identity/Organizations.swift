internal import EventLoop
public import Messages
internal import Postgres
public import RPC
internal import TLS

/// The bounds of an organization's fields.
enum OrganizationBounds {
  static let nameBytes = 1...500
  static let emailBytes = 3...320
  static let settingsBytesMax = 64 << 10
  /// Longer settings are told by their digest in the audit log, whose entries stay small.
  static let auditedSettingsBytesMax = 1 << 10
}

extension IdentityService {
  /// Returns the caller's organization.
  public func getOrganization(
    _ request: GetOrganizationRequest, _ call: CallContext
  ) async throws(CallError) -> GetOrganizationResponse {
    let row = try await call.read(
      OrganizationsQueries.getOrganization(organizationID: call.principal.organizationID))
    guard let row else { throw organizationGone() }
    var response = GetOrganizationResponse()
    response.organization = Organization(row)
    return response
  }

  /// Changes the fields that are present.
  public func updateOrganization(
    _ request: UpdateOrganizationRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateOrganizationResponse {
    var validator = Validator()
    if let name = request.name {
      validator.name("name", name, bytes: OrganizationBounds.nameBytes)
    }
    if let slug = request.slug { Slug.check(slug, &validator) }
    if let email = request.billingEmail { validator.emailAddress("billing_email", email) }
    var settings: String?
    if let text = request.settingsJSON {
      settings = validator.jsonObject(
        "settings_json", text, bytesMax: OrganizationBounds.settingsBytesMax)
    }
    try validator.finish()

    let id = call.principal.organizationID
    let newSettings = settings
    return try await call.commit(
      locking: OrganizationsQueries.lockOrganization(organizationID: id)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw organizationGone() }
      try checkETag(request.etag, revision: row.revision)
      var after = row
      after.name = request.name ?? row.name
      after.slug = request.slug ?? row.slug
      after.billingEmail = request.billingEmail ?? row.billingEmail
      after.settingsJSON = newSettings ?? row.settingsJSON
      after.updatedAt = WallClock.microseconds()
      after.revision += 1
      batch.add(
        OrganizationsQueries.updateOrganization(
          name: request.name, slug: request.slug, billingEmail: request.billingEmail,
          settingsJSON: newSettings, updatedAt: after.updatedAt, organizationID: id))
      var response = UpdateOrganizationResponse()
      response.organization = Organization(after)
      return (response, organizationChange(from: row, to: after))
    }
  }

  private func organizationChange(
    from before: OrganizationsQueries.LockOrganizationRow,
    to after: OrganizationsQueries.LockOrganizationRow
  ) -> Change {
    Change(
      action: "organization.update", event: "organization.updated",
      resourceType: "organization", resourceID: after.id, projectID: nil,
      detailsJSON: JSONText.change([
        ("name", before.name, after.name), ("slug", before.slug, after.slug),
        ("billing_email", before.billingEmail, after.billingEmail),
        (
          "settings_json", auditedSettings(before.settingsJSON),
          auditedSettings(after.settingsJSON)
        ),
      ]))
  }
}

/// What the audit log tells of settings.
func auditedSettings(_ text: String) -> String {
  guard text.utf8.count > OrganizationBounds.auditedSettingsBytesMax else { return text }
  let digest = Digest.sha256(Array(text.utf8)).map { byte in
    (byte < 16 ? "0" : "") + String(byte, radix: 16)
  }
  return "\(text.utf8.count) bytes, SHA-256 \(digest.joined())"
}

/// What a caller hears of their own organization once it is not there.
func organizationGone() -> CallError {
  CallError(IdentityErrorReason.organizationNotFound, "Your organization was deleted.")
}

extension Validator {
  /// Checks that a text is shaped like an e-mail address; whether anybody reads there, only a
  /// message would tell.
  mutating func emailAddress(_ field: String, _ text: String) {
    name(field, text, bytes: OrganizationBounds.emailBytes)
    if !EmailAddress.isOne(text) {
      refuse(field, "must be an e-mail address like ada@example.com")
    }
  }
}

extension Organization {
  /// As clients see a stored one.
  init(_ row: some OrganizationRow) {
    self.init()
    id = row.id.description
    name = row.name
    slug = row.slug
    isPersonal = row.isPersonal
    billingEmail = row.billingEmail
    plan = row.plan
    status =
      switch row.status {
      case "active": .active
      case "inactive": .inactive
      case "suspended": .suspended
      default: .unspecified
      }
    maxUsers = row.maxUsers
    maxModels = row.maxModels
    settingsJSON = row.settingsJSON
    createdAt = Timestamp(microseconds: row.createdAt)
    updatedAt = Timestamp(microseconds: row.updatedAt)
    etag = String(row.revision)
  }
}

/// What every statement returns of an organization.
protocol OrganizationRow {
  var id: UUID { get }
  var name: String { get }
  var slug: String { get }
  var isPersonal: Bool { get }
  var billingEmail: String { get }
  var plan: String { get }
  var status: String { get }
  var maxUsers: Int64 { get }
  var maxModels: Int64 { get }
  var settingsJSON: String { get }
  var createdAt: Int64 { get }
  var updatedAt: Int64 { get }
  var revision: Int64 { get }
}

extension OrganizationsQueries.GetOrganizationRow: OrganizationRow {}
extension OrganizationsQueries.LockOrganizationRow: OrganizationRow {}
