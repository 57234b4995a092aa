internal import Messages
internal import Postgres
internal import RPC

/// A run that somebody asks for.
struct NewRun {
  var experimentID: UUID
  var status: RunLifecycle.Status
  /// Microseconds since 1970; nil = not yet.
  var startedAt: Int64?
  var parentRunID: UUID?
  var source: RunSource?
  var fork: RunRecord.Fork?
  var tags: Description
  var parameters: Description

  /// Reads the request; `now` is when the run begins unless it says otherwise.
  init(_ request: CreateRunRequest, now: Int64) throws(CallError) {
    var validator = Validator()
    experimentID = validator.id("experiment_id", request.experimentID)
    if !request.name.isEmpty {
      validator.name("name", request.name, characters: RunBounds.nameCharacters)
    }
    validator.text("description", request.description, bytesMax: RunBounds.descriptionBytesMax)
    let initial = RunLifecycle.initial(request.status)
    if initial == nil { validator.refuse("status", "must be RUNNING, SCHEDULED or unspecified") }
    status = initial ?? .running
    startedAt = status == .scheduled ? nil : now
    if let asked = request.startedAt?.microseconds {
      if status == .scheduled {
        validator.refuse("started_at", "must be absent: a SCHEDULED run has not started")
      }
      if !(0...now).contains(asked) {
        validator.refuse("started_at", "must be from 1970 on and not in the future")
      }
      startedAt = asked
    }
    parentRunID = validator.optionalID("parent_run_id", request.parentRunID)
    SourceText.check(request.source, &validator)
    source = SourceText.stored(request.source)
    fork = request.forkedFrom.map {
      RunRecord.Fork(runID: validator.id("forked_from.run_id", $0.runID), step: $0.step)
    }
    tags = validator.runTags(request.tags)
    parameters = validator.parameters(request.parameters)
    try validator.finish()
  }
}

/// What somebody asks to change of a run.
struct RunUpdate {
  let id: UUID
  private let request: UpdateRunRequest
  private let status: RunLifecycle.Status?
  private let experimentID: UUID?
  private let parentRunID: UUID?

  /// Reads the request.
  init(_ request: UpdateRunRequest, now: Int64) throws(CallError) {
    self.request = request
    var validator = Validator()
    id = validator.id("id", request.id)
    if let name = request.name {
      validator.name("name", name, characters: RunBounds.nameCharacters)
    }
    if let description = request.description {
      validator.text("description", description, bytesMax: RunBounds.descriptionBytesMax)
    }
    status = request.status.flatMap { RunLifecycle.Status($0) }
    validator.life(of: request, now: now)
    experimentID = request.experimentID.map { validator.id("experiment_id", $0) }
    parentRunID = validator.optionalID("parent_run_id", request.parentRunID ?? "")
    SourceText.check(request.source, &validator)
    try validator.finish()
  }

  /// Changes a run.
  func apply(to run: inout RunRecord, now: Int64) throws(CallError) {
    if request.anyStatus {
      try RunLifecycle.set(
        &run, status ?? run.status, startedAt: request.startedAt?.microseconds,
        end: request.endUnknown ? .unknown : request.completedAt.map { .at($0.microseconds) },
        now: now)
    } else if status == .running, run.status != .running {
      guard run.status == .scheduled else { throw runFinished(id) }
      run.status = .running
      run.startedAt = now
    }
    run.name = request.name ?? run.name
    run.description = request.description ?? run.description
    run.experimentID = experimentID ?? run.experimentID
    if request.parentRunID != nil { run.parentRunID = parentRunID }
    if let source = request.source { run.source = SourceText.stored(source) }
    run.isPinned = request.pinned ?? run.isPinned
    if let archived = request.archived {
      run.archivedAt = archived ? run.archivedAt ?? now : nil
    }
    run.updatedAt = now
    run.revision += 1
  }
}

extension Validator {
  /// Checks what a request says of a run's status and times.
  fileprivate mutating func life(of request: UpdateRunRequest, now: Int64) {
    if let status = request.status {
      if RunLifecycle.Status(status) == nil {
        refuse("status", "must be a known status")
      } else if status != .running, !request.anyStatus {
        refuse("status", "must be RUNNING; FinishRun ends a run, any_status is for imports")
      }
    }
    for (field, time) in [
      ("started_at", request.startedAt), ("completed_at", request.completedAt),
    ] where time != nil && !request.anyStatus {
      refuse(field, "must be absent without any_status")
    }
    if request.endUnknown, !request.anyStatus {
      refuse("end_unknown", "must be false without any_status")
    } else if request.endUnknown, request.completedAt != nil {
      refuse("end_unknown", "must be false beside completed_at")
    }
    if let startedAt = request.startedAt?.microseconds, !(0...now).contains(startedAt) {
      refuse("started_at", "must be from 1970 on and not in the future")
    }
    if let completedAt = request.completedAt?.microseconds, completedAt < 0 {
      refuse("completed_at", "must be from 1970 on")
    }
  }
}

extension RunRecord {
  /// What the audit log keeps of a change.
  func audited(
    from before: RunRecord?, tags: Description = Description(),
    parameters: Description = Description()
  ) -> String {
    var sides: [[(String, String)]] = [[], []]
    for (was, becomes) in zip(before?.fields ?? fields.map { ($0.0, nil) }, fields)
    where was.1 != becomes.1 {
      if let value = was.1 { sides[0].append((was.0, value)) }
      if let value = becomes.1 { sides[1].append((becomes.0, value)) }
    }
    for (name, description) in [("tags", tags), ("parameters", parameters)] {
      sides[1] += DescriptionChange(set: description, before: Description()).audited(name).after
    }
    return JSONText.beforeAndAfter(sides[0], sides[1])
  }

  private var fields: [(String, String?)] {
    func time(_ microseconds: Int64?) -> String? { microseconds.map { String($0) } }
    return [
      ("experiment_id", experimentID.description), ("name", name), ("description", description),
      ("status", status.text), ("started_at_us", time(startedAt)),
      ("completed_at_us", time(completedAt)), ("parent_run_id", parentRunID?.description),
      ("source", source.map { SourceText.json($0) }),
      ("forked_from_run_id", forkedFrom?.runID.description),
      ("forked_at_step", time(forkedFrom?.step)), ("pinned", isPinned ? "true" : nil),
      ("archived_at_us", time(archivedAt)), ("deleted_at_us", time(deletedAt)),
      ("purge", isToBePurged ? "true" : nil),
    ]
  }

  /// Whether it goes sooner than what is deleted to be brought back.
  private var isToBePurged: Bool {
    guard let deletedAt, let purgeAfter else { return false }
    return purgeAfter < deletedAt + Recovery.period
  }
}
