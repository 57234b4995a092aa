internal import EventLoop
public import Messages
internal import Postgres
public import RPC

extension TracingService {
  /// Writes an assessment of a trace.
  public func createAssessment(
    _ request: CreateAssessmentRequest, _ call: CallContext
  ) async throws(CallError) -> CreateAssessmentResponse {
    var validator = Validator()
    let place = AssessmentPlace(
      request.projectID, request.traceID, request.assessment?.overrides ?? "", &validator)
    var assessment = validator.checked(request.assessment ?? Assessment())
    try validator.finish()

    let now = WallClock.microseconds() / 1_000
    if assessment.assessmentID.isEmpty { assessment.assessmentID = call.nextID().description }
    if assessment.createTimeMs == 0 { assessment.createTimeMs = now }
    if assessment.updateTimeMs == 0 { assessment.updateTimeMs = now }
    assessment.valid = true
    let new = assessment
    return try await change(place, "create", call) { (row, batch) throws(CallError) in
      if let overridden = new.overrides {
        guard row.publicID != nil else { throw assessmentNotFound(overridden, of: place) }
        batch.add(setValid(false, overridden, of: row.id, call))
      }
      batch.add(insertion(of: new, row.id, call))
      batch.add(checkCount(of: row.id, call))
      var response = CreateAssessmentResponse()
      response.assessment = new
      return (
        response, [("name", new.name), ("value_json", beginning(of: new.valueJSON))],
        new.assessmentID
      )
    }
  }

  private func insertion(
    of new: Assessment, _ traceID: UUID, _ call: CallContext
  ) -> Query<Int> {
    AssessmentsQueries.createAssessment(
      organizationID: call.principal.organizationID, traceID: traceID, publicID: new.assessmentID,
      kind: new.kind.word ?? "", name: new.name, valueJSON: new.valueJSON,
      valueNumber: number(new.valueJSON), errorJSON: new.errorJSON, rationale: new.rationale,
      sourceType: new.sourceType, sourceID: new.sourceID, metadataJSON: new.metadataJSON,
      spanID: new.spanID, runID: new.runID, overrides: new.overrides,
      createTimeMs: new.createTimeMs, updateTimeMs: new.updateTimeMs)
  }

  private func checkCount(of traceID: UUID, _ call: CallContext) -> Query<Int> {
    AssessmentsQueries.checkTraceAssessments(
      countMax: settings.assessmentsMax, bytesMax: TraceBounds.assessmentsBytesMax,
      organizationID: call.principal.organizationID, traceID: traceID)
  }

  /// Returns one assessment.
  public func getAssessment(
    _ request: GetAssessmentRequest, _ call: CallContext
  ) async throws(CallError) -> GetAssessmentResponse {
    var validator = Validator()
    let place = AssessmentPlace(
      request.projectID, request.traceID, request.assessmentID, &validator)
    try validator.finish()
    try await requireLook(at: place.projectID, call)
    guard let row = try await call.read(place.query(call)) else {
      throw traceNotFound(place.traceID)
    }
    guard let assessment = Assessment(row) else {
      throw assessmentNotFound(place.assessmentID, of: place)
    }
    var response = GetAssessmentResponse()
    response.assessment = assessment
    return response
  }

  /// Changes the fields that are present.
  public func updateAssessment(
    _ request: UpdateAssessmentRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateAssessmentResponse {
    var validator = Validator()
    let place = AssessmentPlace(
      request.projectID, request.traceID, request.assessmentID, &validator)
    let addedMetadata = validator.check(request)
    try validator.finish()

    let now = WallClock.microseconds() / 1_000
    return try await change(
      place, "update", adding: addedMetadata, call
    ) { (row, batch) throws(CallError) in
      guard let before = Assessment(row) else {
        throw assessmentNotFound(place.assessmentID, of: place)
      }
      var assessment = before
      if let name = request.name { assessment.name = name }
      if let value = request.valueJSON {
        assessment.valueJSON = value
        assessment.errorJSON = request.errorJSON
      }
      if let rationale = request.rationale { assessment.rationale = rationale }
      assessment.updateTimeMs = now
      batch.add(
        AssessmentsQueries.updateAssessment(
          name: assessment.name, valueJSON: assessment.valueJSON,
          valueNumber: number(assessment.valueJSON), errorJSON: assessment.errorJSON,
          rationale: assessment.rationale, metadataJSON: assessment.metadataJSON,
          updateTimeMs: now, organizationID: call.principal.organizationID, traceID: row.id,
          publicID: place.assessmentID))
      batch.add(checkCount(of: row.id, call))
      var response = UpdateAssessmentResponse()
      response.assessment = assessment
      return (
        response,
        [
          ("name", assessment.name), ("value_json", beginning(of: assessment.valueJSON)),
          ("value_json_before", beginning(of: before.valueJSON)),
        ], place.assessmentID
      )
    }
  }

  /// Removes an assessment of a trace.
  public func deleteAssessment(
    _ request: DeleteAssessmentRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteAssessmentResponse {
    var validator = Validator()
    let place = AssessmentPlace(
      request.projectID, request.traceID, request.assessmentID, &validator)
    try validator.finish()
    return try await change(place, "delete", call) { (row, batch) throws(CallError) in
      if row.publicID != nil {
        batch.add(
          AssessmentsQueries.deleteAssessment(
            organizationID: call.principal.organizationID, traceID: row.id,
            publicID: place.assessmentID))
      }
      if let overridden = row.overrides {
        batch.add(setValid(true, overridden, of: row.id, call))
      }
      return (DeleteAssessmentResponse(), [("name", row.name ?? "")], row.publicID ?? "")
    }
  }

  private func setValid(
    _ isValid: Bool, _ id: String, of traceID: UUID, _ call: CallContext
  ) -> Query<Int> {
    AssessmentsQueries.setAssessmentValid(
      isValid: isValid, organizationID: call.principal.organizationID, traceID: traceID,
      publicID: id)
  }

  /// Commits a change of an assessment, which nobody else changes meanwhile.
  private func change<Response: Message>(
    _ place: AssessmentPlace, _ verb: String, adding metadata: String = "{}",
    _ call: CallContext,
    _ decide: (AssessmentsQueries.GetAssessmentRow, inout Batch) throws(CallError)
      -> (Response, [(String, String)], String)
  ) async throws(CallError) -> Response {
    try await call.commit(
      holding: requireChange(in: place.projectID, call),
      AssessmentsQueries.holdAssessedTrace(
        organizationID: call.principal.organizationID, projectID: place.projectID,
        traceID: place.traceID),
      locking: place.query(call, adding: metadata)
    ) { (row, batch) throws(CallError) in
      guard let row else { throw traceNotFound(place.traceID) }
      let (response, details, id) = try decide(row, &batch)
      return (
        response,
        Change(
          action: "trace.\(verb)_assessment", event: "trace.assessed", resourceType: "trace",
          resourceID: row.id, projectID: place.projectID,
          detailsJSON: JSONText.object(
            [("trace_id", place.traceID), ("assessment_id", id)] + details))
      )
    }
  }

  private func beginning(of text: String) -> String { String(text.prefix(200)) }
}

/// Which assessment a request is about.
private struct AssessmentPlace {
  let projectID: UUID
  let traceID: String
  let assessmentID: String

  init(
    _ projectID: String, _ traceID: String, _ assessmentID: String, _ validator: inout Validator
  ) {
    self.projectID = validator.id("project_id", projectID)
    validator.traceID("trace_id", traceID)
    validator.text("assessment_id", assessmentID, bytesMax: AssessmentBounds.idBytesMax)
    self.traceID = traceID
    self.assessmentID = assessmentID
  }

  func query(
    _ call: CallContext, adding metadata: String = "{}"
  ) -> Query<AssessmentsQueries.GetAssessmentRow?> {
    AssessmentsQueries.getAssessment(
      addedMetadataJSON: metadata, assessmentID: assessmentID,
      organizationID: call.principal.organizationID, projectID: projectID, traceID: traceID)
  }
}

/// What a caller hears of an assessment that the trace does not have.
private func assessmentNotFound(_ id: String, of place: AssessmentPlace) -> CallError {
  CallError(
    TracingErrorReason.assessmentNotFound,
    "The trace \(place.traceID) has no assessment \(id).")
}

/// The number that a JSON value is; nil for any other.
private func number(_ json: String) -> Double? {
  let text = json.trimmed
  guard let number = Double(text), number.isFinite else { return nil }
  return number
}

extension String {
  /// Without the spaces around it that JSON allows.
  fileprivate var trimmed: String {
    let spaces: Set<Unicode.Scalar> = [" ", "\n", "\r", "\t"]
    let rest = unicodeScalars.drop { spaces.contains($0) }
    var result = String.UnicodeScalarView()
    result.append(contentsOf: rest.reversed().drop { spaces.contains($0) }.reversed())
    return String(result)
  }
}

extension Validator {
  /// Checks a new assessment.
  fileprivate mutating func checked(_ new: Assessment) -> Assessment {
    var assessment = new
    let most = AssessmentBounds.textBytesMax
    if new.kind.word == nil {
      refuse("assessment.kind", "must be FEEDBACK, EXPECTATION or ISSUE")
    }
    text(
      "assessment.assessment_id", new.assessmentID, bytesMax: AssessmentBounds.idBytesMax)
    name("assessment.name", new.name, characters: AssessmentBounds.nameCharacters)
    jsonValue("assessment.value_json", new.valueJSON, bytesMax: most)
    if let error = new.errorJSON {
      assessment.errorJSON = jsonObject("assessment.error_json", error, bytesMax: most)
    }
    assessment.metadataJSON = jsonObject(
      "assessment.metadata_json", new.metadataJSON, bytesMax: most)
    optionalText("assessment.rationale", new.rationale, bytesMax: most)
    text(
      "assessment.source_type", new.sourceType, bytesMax: AssessmentBounds.sourceTypeBytesMax)
    optionalText(
      "assessment.source_id", new.sourceID, bytesMax: AssessmentBounds.sourceIDBytesMax)
    for (field, id) in [("span_id", new.spanID), ("run_id", new.runID)] {
      optionalText("assessment.\(field)", id, bytesMax: AssessmentBounds.idBytesMax)
    }
    return assessment
  }

  /// Checks a change of an assessment; returns what is added to its metadata.
  fileprivate mutating func check(_ request: UpdateAssessmentRequest) -> String {
    let most = AssessmentBounds.textBytesMax
    if let name = request.name {
      self.name("name", name, characters: AssessmentBounds.nameCharacters)
    }
    if let value = request.valueJSON { jsonValue("value_json", value, bytesMax: most) }
    if let error = request.errorJSON {
      _ = jsonObject("error_json", error, bytesMax: most)
      if request.valueJSON == nil { refuse("error_json", "must come with value_json") }
    }
    optionalText("rationale", request.rationale, bytesMax: most)
    return jsonObject("metadata_json", request.metadataJSON ?? "", bytesMax: most)
  }
}

extension Assessment {
  /// An assessment as a listing returned it.
  init(_ row: AssessmentsQueries.ListAssessmentsRow) {
    self.init()
    assessmentID = row.publicID
    kind = AssessmentKind(word: row.kind)
    name = row.name
    valueJSON = row.valueJSON
    errorJSON = row.errorJSON
    rationale = row.rationale
    sourceType = row.sourceType
    sourceID = row.sourceID
    metadataJSON = row.metadataJSON
    spanID = row.spanID
    runID = row.runID
    overrides = row.overrides
    valid = row.isValid
    createTimeMs = row.createTimeMs
    updateTimeMs = row.updateTimeMs
  }

  /// One as it was looked up; nil where there is none.
  fileprivate init?(_ row: AssessmentsQueries.GetAssessmentRow) {
    guard let id = row.publicID else { return nil }
    self.init()
    assessmentID = id
    kind = AssessmentKind(word: row.kind ?? "")
    name = row.name ?? ""
    valueJSON = row.valueJSON ?? "null"
    errorJSON = row.errorJSON
    rationale = row.rationale
    sourceType = row.sourceType ?? ""
    sourceID = row.sourceID
    metadataJSON = row.metadataJSON ?? "{}"
    spanID = row.spanID
    runID = row.runID
    overrides = row.overrides
    valid = row.isValid ?? false
    createTimeMs = row.createTimeMs ?? 0
    updateTimeMs = row.updateTimeMs ?? 0
  }
}
