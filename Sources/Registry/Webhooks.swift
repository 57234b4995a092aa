internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension RegistryService {
  /// Creates a webhook.
  public func createWebhook(
    _ request: CreateWebhookRequest, _ call: CallContext
  ) async throws(CallError) -> CreateWebhookResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    let status = validator.webhook(request)
    try validator.finish()

    let place = WebhookPlace(projectID: projectID, id: call.nextID())
    let now = WallClock.microseconds()
    var webhook = Webhook()
    webhook.id = place.id.description
    webhook.projectID = projectID.description
    webhook.name = request.name
    webhook.description = request.description
    webhook.url = request.url
    webhook.events = request.events
    webhook.sealedSecret = request.sealedSecret
    webhook.status = status
    webhook.createdBy = call.principal.id.description
    webhook.createdAt = Timestamp(microseconds: now)
    webhook.updatedAt = Timestamp(microseconds: now)
    var response = CreateWebhookResponse()
    response.webhook = webhook
    let details = JSONText.change(webhook.audited.map { ($0.0, nil, $0.1) })
    return try await call.commit(response, place.change("create", "created", details)) { batch in
      batch.add(
        WebhooksQueries.createWebhook(
          organizationID: call.principal.organizationID, id: place.id, projectID: projectID,
          userID: call.principal.id, sufficientRoles: call.sufficientRoles, name: request.name,
          description: request.description, url: request.url, events: request.events,
          sealedSecret: request.sealedSecret, status: status.word ?? "active", createdAt: now))
    }
  }

  /// Returns one webhook.
  public func getWebhook(
    _ request: GetWebhookRequest, _ call: CallContext
  ) async throws(CallError) -> GetWebhookResponse {
    var validator = Validator()
    let place = WebhookPlace(request.projectID, request.webhookID, &validator)
    try validator.finish()
    try await requireWebhooks(of: place.projectID, call)
    let row = try await call.read(
      WebhooksQueries.getWebhook(
        organizationID: call.principal.organizationID, projectID: place.projectID, id: place.id))
    guard let row else { throw place.notFound }
    var response = GetWebhookResponse()
    response.webhook = Webhook(row)
    return response
  }

  /// Lists the webhooks of a project, or those that are told of an event, newest first.
  public func listWebhooks(
    _ request: ListWebhooksRequest, _ call: CallContext
  ) async throws(CallError) -> ListWebhooksResponse {
    var validator = Validator()
    let projectID = validator.id("project_id", request.projectID)
    if !request.event.isEmpty { validator.webhookEvent("event", request.event) }
    let size = validator.pageSize(
      request.pageSize, standard: WebhookBounds.pageSize, max: WebhookBounds.pageSizeMax)
    try validator.finish()
    let page = Page(purpose: "webhooks of \(projectID) \(request.event)", size: size)
    let before = try page.start(request.pageToken)
    try await requireWebhooks(of: projectID, call)
    let rows = try await call.read(
      WebhooksQueries.listWebhooks(
        organizationID: call.principal.organizationID, projectID: projectID, beforeID: before,
        event: request.event.isEmpty ? nil : request.event, pageSize: page.rowsToRead))
    var response = ListWebhooksResponse()
    response.webhooks = rows.prefix(size).map { Webhook($0) }
    response.nextPageToken = page.next(rows.map(\.id))
    return response
  }

  /// Demands that the caller may look at the webhooks of a project: those who may not change them
  /// have no need of what their secrets are encrypted to.
  private func requireWebhooks(of projectID: UUID, _ call: CallContext) async throws(CallError) {
    guard let role = try await call.roleInProject(projectID) else {
      throw CallError(
        RegistryErrorReason.projectNotFound,
        "There is no project \(projectID) in your organization.")
    }
    guard call.sufficientRoles.contains(role.rawValue) else {
      throw CallError(
        RpcErrorReason.permissionMissing,
        "As \(role.rawValue) of the project you may not look at its webhooks: ask an owner of the "
          + "project for the role of a contributor.")
    }
  }

  /// Changes the fields that are present.
  public func updateWebhook(
    _ request: UpdateWebhookRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateWebhookResponse {
    var validator = Validator()
    let place = WebhookPlace(request.projectID, request.webhookID, &validator)
    validator.webhook(request)
    try validator.finish()

    return try await change(place, call) { (row, batch) throws(CallError) in
      let before = Webhook(row)
      var webhook = before
      webhook.name = request.name ?? before.name
      webhook.description = request.description ?? before.description
      webhook.url = request.url ?? before.url
      webhook.events = request.events?.events ?? before.events
      webhook.sealedSecret = request.sealedSecret ?? before.sealedSecret
      webhook.status = request.status ?? before.status
      // Clients that count milliseconds see that it is later.
      let now = max(WallClock.microseconds(), row.updatedAt + 1_000)
      webhook.updatedAt = Timestamp(microseconds: now)
      batch.add(
        WebhooksQueries.updateWebhook(
          name: webhook.name, description: webhook.description, url: webhook.url,
          events: webhook.events, sealedSecret: webhook.sealedSecret,
          status: webhook.status.word ?? "active", updatedAt: now,
          organizationID: call.principal.organizationID, id: place.id))
      var fields = zip(before.audited, webhook.audited).map { old, new in
        (old.0, Optional(old.1), Optional(new.1))
      }
      if before.sealedSecret != webhook.sealedSecret, !before.sealedSecret.isEmpty,
        !webhook.sealedSecret.isEmpty
      {
        fields.append(("secret", "kept", "another"))
      }
      var response = UpdateWebhookResponse()
      response.webhook = webhook
      return (response, place.change("update", "updated", JSONText.change(fields)))
    }
  }

  /// Deletes a webhook, for good.
  public func deleteWebhook(
    _ request: DeleteWebhookRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteWebhookResponse {
    var validator = Validator()
    let place = WebhookPlace(request.projectID, request.webhookID, &validator)
    try validator.finish()

    return try await change(place, call) { (row, batch) throws(CallError) in
      batch.add(
        WebhooksQueries.deleteWebhook(
          organizationID: call.principal.organizationID, id: place.id))
      let details = JSONText.change(Webhook(row).audited.map { ($0.0, $0.1, nil) })
      return (DeleteWebhookResponse(), place.change("delete", "deleted", details))
    }
  }

  /// Commits a change of a webhook, which nobody else changes meanwhile.
  private func change<Response: Message>(
    _ place: WebhookPlace, _ call: CallContext,
    _ decide: (WebhooksQueries.LockWebhookRow, inout Batch) throws(CallError) -> (Response, Change)
  ) async throws(CallError) -> Response {
    try await call.commit(
      holding: WebhooksQueries.requireWebhookRole(
        projectID: place.projectID, userID: call.principal.id,
        sufficientRoles: call.sufficientRoles),
      locking: WebhooksQueries.lockWebhook(
        organizationID: call.principal.organizationID, projectID: place.projectID, id: place.id)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw place.notFound }
      return try decide(row, &batch)
    }
  }
}

/// What requests name as `webhook_id`.
private enum WebhookResource: ProjectResource {
  static let name = "webhook"
  static let notFound = RegistryErrorReason.webhookNotFound
}

/// Which webhook a request is about.
private typealias WebhookPlace = Place<WebhookResource>

/// What every statement returns of a webhook.
protocol WebhookRow {
  var id: UUID { get }
  var projectID: UUID { get }
  var name: String { get }
  var description: String { get }
  var url: String { get }
  var events: [String] { get }
  var sealedSecret: String { get }
  var status: String { get }
  var createdBy: UUID { get }
  var createdAt: Int64 { get }
  var updatedAt: Int64 { get }
}

extension WebhooksQueries.GetWebhookRow: WebhookRow {}
extension WebhooksQueries.LockWebhookRow: WebhookRow {}
extension WebhooksQueries.ListWebhooksRow: WebhookRow {}

extension Webhook {
  /// A webhook as a statement returned it.
  init(_ row: some WebhookRow) {
    self.init()
    id = row.id.description
    projectID = row.projectID.description
    name = row.name
    description = row.description
    url = row.url
    events = row.events
    sealedSecret = row.sealedSecret
    status = WebhookStatus(word: row.status)
    createdBy = row.createdBy.description
    createdAt = Timestamp(microseconds: row.createdAt)
    updatedAt = Timestamp(microseconds: row.updatedAt)
  }

  /// What the audit log keeps: of the secret, only whether there is one.
  fileprivate var audited: [(String, String)] {
    [
      ("name", name), ("description", description), ("url", url),
      ("events", events.joined(separator: " ")), ("status", status.word ?? ""),
      ("secret", sealedSecret.isEmpty ? "none" : "kept"),
    ]
  }
}
