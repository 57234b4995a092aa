internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension IdentityService {
  /// Creates a key for the caller or, by an administrator, for another member.
  public func createApiKey(
    _ request: CreateApiKeyRequest, _ call: CallContext
  ) async throws(CallError) -> CreateApiKeyResponse {
    let now = WallClock.microseconds()
    var validator = Validator()
    validator.name("name", request.name, bytes: APIKeyBounds.nameBytes)
    let userID = validator.optionalID("user_id", request.userID) ?? call.principal.id
    validator.scopes("scopes", request.scopes, access)
    validator.addressRanges("allowed_cidrs", request.allowedCidrs)
    validator.expiry("expires_at", request.expiresAt, now: now)
    try validator.finish()

    let id = call.nextID()
    let key = APIKey.random()
    let organizationID = call.principal.organizationID
    return try await call.commit(
      locking: APIKeysQueries.prepareApiKey(
        allowedCIDRs: request.allowedCidrs, organizationID: organizationID,
        ownKeyID: call.principal.apiKeyID, userID: userID)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw holderNotFound(userID) }
      guard userID == call.principal.id || call.seesAllKeys else { throw notYours() }
      try checkScopes(request.scopes, within: row.ownScopes)
      let record = APIKeyRecord(
        id: id, userID: userID, name: request.name, prefix: key.shownPrefix,
        scopes: request.scopes, ranges: row.allowedCIDRs, createdBy: call.maker(row.ownMaker),
        expiresAt: request.expiresAt?.microseconds, createdAt: now, updatedAt: now, revision: 1)
      batch.add(record.insertion(key, organizationID: organizationID))
      var change = change("create", "created", record, since: nil)
      change.showsSecret = true
      return (CreateApiKeyResponse(apiKey: record.message, secret: key.text), change)
    }
  }

  /// Returns one key.
  public func getApiKey(
    _ request: GetApiKeyRequest, _ call: CallContext
  ) async throws(CallError) -> GetApiKeyResponse {
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()
    let row = try await call.read(
      APIKeysQueries.getApiKey(
        organizationID: call.principal.organizationID, id: id, seesAllKeys: call.seesAllKeys,
        callerID: call.principal.id))
    guard let row else { throw apiKeyNotFound(id) }
    return GetApiKeyResponse(apiKey: APIKeyRecord(row).message)
  }

  /// Lists keys, newest first.
  public func listApiKeys(
    _ request: ListApiKeysRequest, _ call: CallContext
  ) async throws(CallError) -> ListApiKeysResponse {
    var validator = Validator()
    let userID = validator.optionalID("user_id", request.userID)
    let size = validator.pageSize(
      request.pageSize, standard: APIKeyBounds.pageSize, max: APIKeyBounds.pageSizeMax)
    try validator.finish()
    let page = Page(
      purpose: "api_keys \(request.userID.lowercased()) \(request.includeUnusable)", size: size)
    let rows = try await call.read(
      APIKeysQueries.listApiKeys(
        organizationID: call.principal.organizationID,
        beforeID: try page.start(request.pageToken), userID: userID,
        seesAllKeys: call.seesAllKeys, callerID: call.principal.id,
        includesUnusable: request.includeUnusable, pageSize: page.rowsToRead))
    return ListApiKeysResponse(
      apiKeys: rows.prefix(size).map { APIKeyRecord($0).message },
      nextPageToken: page.next(rows.map(\.id)))
  }

  /// Changes the fields that are present.
  public func updateApiKey(
    _ request: UpdateApiKeyRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateApiKeyResponse {
    let now = WallClock.microseconds()
    var validator = Validator()
    let id = validator.id("id", request.id)
    if let name = request.name { validator.name("name", name, bytes: APIKeyBounds.nameBytes) }
    if let scopes = request.scopes { validator.scopes("scopes", scopes.values, access) }
    let ranges = request.allowedCidrs?.values
    validator.addressRanges("allowed_cidrs", ranges ?? [])
    validator.expiry("expires_at", request.expiresAt, now: now)
    try validator.finish()

    return try await call.commit(locking: call.lock(id, newRanges: ranges ?? [])) {
      (row, batch) throws(CallError) in
      let (row, before) = try usable(row, id, at: now)
      try checkETag(request.etag, revision: before.revision)
      var after = before
      after.name = request.name ?? before.name
      if let scopes = request.scopes {
        try checkScopes(scopes.values, within: row.ownScopes)
        after.scopes = scopes.values
      }
      if ranges != nil { after.ranges = row.newCIDRs }
      if let expiresAt = request.expiresAt?.microseconds {
        if let until = before.expiresAt, until < expiresAt {
          var validator = Validator()
          validator.refuse("expires_at", "must not be later than it is, \(timeText(until))")
          try validator.finish()
        }
        after.expiresAt = expiresAt
      }
      after.updatedAt = now
      after.revision += 1
      batch.add(after.update(organizationID: call.principal.organizationID))
      return (
        UpdateApiKeyResponse(apiKey: after.message),
        change("update", "updated", after, since: before)
      )
    }
  }

  /// Ends a key for good; its connections end as soon as their servers hear of it.
  public func revokeApiKey(
    _ request: RevokeApiKeyRequest, _ call: CallContext
  ) async throws(CallError) -> RevokeApiKeyResponse {
    let now = WallClock.microseconds()
    var validator = Validator()
    let id = validator.id("id", request.id)
    try validator.finish()

    return try await call.commit(locking: call.lock(id, newRanges: [])) {
      (row, batch) throws(CallError) in
      guard let row else { throw apiKeyNotFound(id) }
      let before = APIKeyRecord(row)
      // One that has expired may be revoked: it is then over whatever the clock says.
      guard before.revokedAt == nil else { throw apiKeyOver(id) }
      let after = revoke(before, at: now, call, &batch)
      return (
        RevokeApiKeyResponse(apiKey: after.message),
        change("revoke", "revoked", after, since: before)
      )
    }
  }

  /// Makes a key that replaces another, which ends after the overlap.
  public func rotateApiKey(
    _ request: RotateApiKeyRequest, _ call: CallContext
  ) async throws(CallError) -> RotateApiKeyResponse {
    let now = WallClock.microseconds()
    var validator = Validator()
    let oldID = validator.id("id", request.id)
    if request.overlapSeconds > APIKeyBounds.overlapSecondsMax {
      validator.refuse("overlap_seconds", "must be at most \(APIKeyBounds.overlapSecondsMax)")
    }
    try validator.finish()

    let id = call.nextID()
    let key = APIKey.random()
    let response = try await call.commit(
      holding: APIKeysQueries.holdKeyHolder(
        organizationID: call.principal.organizationID, id: oldID),
      locking: call.lock(oldID, newRanges: [])
    ) { (row, batch) throws(CallError) in
      let (row, before) = try usable(row, oldID, at: now)
      // The caller is handed what the new key permits.
      try checkScopes(before.scopes, within: row.ownScopes)
      let old = end(before, at: now, overlapSeconds: request.overlapSeconds, call, &batch)
      let new = successor(of: before, id: id, key, at: now, by: call.maker(row.ownMaker))
      batch.add(new.insertion(key, organizationID: call.principal.organizationID))
      var change = change("rotate", "rotated", new, since: nil)
      change.detailsJSON = new.details(
        since: nil,
        [
          ("replaced", nil, oldID.description),
          (
            "replaced_expires_at", before.expiresAt.map(timeText),
            (old.revokedAt ?? old.expiresAt).map(timeText)
          ),
        ])
      change.showsSecret = true
      return (
        RotateApiKeyResponse(apiKey: new.message, secret: key.text, replaced: old.message), change
      )
    }
    call.feed.changed(oldID)
    return response
  }
}

// MARK: What becomes of a key

/// Revokes a locked key.
private func revoke(
  _ before: APIKeyRecord, at now: Int64, _ call: CallContext, _ batch: inout Batch
) -> APIKeyRecord {
  var after = before
  after.revokedAt = now
  after.updatedAt = now
  after.revision += 1
  batch.add(
    APIKeysQueries.revokeApiKey(
      revokedAt: now, revokedBy: call.principal.id,
      organizationID: call.principal.organizationID, id: before.id))
  return after
}

/// Lets a key that was replaced go on for the overlap, but not longer than it would have.
private func end(
  _ before: APIKeyRecord, at now: Int64, overlapSeconds: UInt32, _ call: CallContext,
  _ batch: inout Batch
) -> APIKeyRecord {
  guard overlapSeconds > 0 else { return revoke(before, at: now, call, &batch) }
  var after = before
  after.expiresAt = min(before.expiresAt ?? .max, now + Int64(overlapSeconds) * 1_000_000)
  after.updatedAt = now
  after.revision += 1
  batch.add(after.update(organizationID: call.principal.organizationID))
  return after
}

/// The key that replaces another: good for as long as that was made for, counted from now.
private func successor(
  of old: APIKeyRecord, id: UUID, _ key: APIKey, at now: Int64, by maker: UUID
) -> APIKeyRecord {
  var new = old
  new.id = id
  new.prefix = key.shownPrefix
  new.createdBy = maker
  new.lastUsedAt = nil
  new.expiresAt = old.expiresAt.map { expiresAt in
    min(now + max(expiresAt - old.createdAt, 0), Timestamp.microsecondsRange.upperBound)
  }
  new.createdAt = now
  new.updatedAt = now
  new.revision = 1
  return new
}

private func change(
  _ verb: String, _ done: String, _ record: APIKeyRecord, since before: APIKeyRecord?
) -> Change {
  Change(
    action: "api_key.\(verb)", event: "api_key.\(done)", resourceType: "api_key",
    resourceID: record.id, projectID: nil, detailsJSON: record.details(since: before))
}

// MARK: Checks

extension CallContext {
  /// Whether the caller sees the keys of everybody in the organization.
  fileprivate var seesAllKeys: Bool { principal.role == "admin" }

  /// Who answers for a key that the caller makes: whoever made a person's own key for them, so that
  /// it makes none that passes for the person's.
  fileprivate func maker(_ ownMaker: UUID?) -> UUID {
    principal.kind == "user" ? ownMaker ?? principal.id : principal.id
  }

  /// Reads a key that the caller sees, and keeps it from changing.
  fileprivate func lock(
    _ id: UUID, newRanges: [String]
  ) -> Query<APIKeysQueries.LockApiKeyRow?> {
    APIKeysQueries.lockApiKey(
      newCIDRs: newRanges, organizationID: principal.organizationID,
      ownKeyID: principal.apiKeyID, id: id, seesAllKeys: seesAllKeys, callerID: principal.id)
  }
}

/// The key, if it is there and still works.
private func usable(
  _ row: APIKeysQueries.LockApiKeyRow?, _ id: UUID, at now: Int64
) throws(CallError) -> (APIKeysQueries.LockApiKeyRow, APIKeyRecord) {
  guard let row else { throw apiKeyNotFound(id) }
  let record = APIKeyRecord(row)
  guard !record.isOver(at: now) else { throw apiKeyOver(id) }
  return (row, record)
}

/// Nobody hands on more than their own key permits.
private func checkScopes(_ scopes: [String], within own: [String]) throws(CallError) {
  guard let excess = Access.excess(of: scopes, beyond: own) else { return }
  throw CallError(
    IdentityErrorReason.scopeTooWide,
    "Your own key does not permit \"\(excess)\", so no key that you make may; use a key that does.",
    details: ["scope": excess])
}

private func apiKeyNotFound(_ id: UUID) -> CallError {
  CallError(
    IdentityErrorReason.apiKeyNotFound, "There is no API key \(id) in your organization.")
}

private func apiKeyOver(_ id: UUID) -> CallError {
  CallError(
    IdentityErrorReason.apiKeyRevoked,
    "The API key \(id) was revoked or has expired; make another.")
}

private func holderNotFound(_ id: UUID) -> CallError {
  CallError(IdentityErrorReason.userNotFound, "There is no member \(id) in your organization.")
}

extension IdentityService {
  /// Refuses what reaches beyond the organization to a key that somebody else made for the caller:
  /// who administers one organization decides nothing in another.
  func requireOwnKey(_ call: CallContext) async throws(CallError) {
    let isOwn = try await call.read(
      APIKeysQueries.isOwnApiKey(
        organizationID: call.principal.organizationID, id: call.principal.apiKeyID))
    guard isOwn else {
      throw CallError(
        IdentityErrorReason.keyNotOwn,
        "This is about you in every organization, and somebody else made your key for you: log in, "
          + "and use the key that you get.")
    }
  }
}

private func notYours() -> CallError {
  CallError(
    RpcErrorReason.permissionMissing,
    "Only an administrator makes keys for others; leave user_id empty for one of your own.")
}
