internal import EventLoop
internal import Messages
internal import Postgres
internal import RPC

/// A request that says whose files it is about.
protocol NamesArtifactOwner {
  var runID: String { get }
  var loggedModelID: String { get }
  var traceID: String { get }
  var projectID: String { get }
}

extension UploadArtifactRequest: NamesArtifactOwner {}
extension DownloadArtifactRequest: NamesArtifactOwner {}
extension GetArtifactRequest: NamesArtifactOwner {}
extension ListArtifactsRequest: NamesArtifactOwner {}
extension DeleteArtifactRequest: NamesArtifactOwner {}

/// Whose files a request is about, as it says it.
enum ArtifactOwnerName {
  case run(UUID)
  case loggedModel(UUID)
  case trace(String, in: UUID)

  /// The longest identifier of a trace, in bytes.
  private static let traceBytesMax = 250

  /// Reads the one that is named; what is wrong is noted.
  init(_ request: some NamesArtifactOwner, _ validator: inout Validator) {
    let given = [
      ("run_id", request.runID), ("logged_model_id", request.loggedModelID),
      ("trace_id", request.traceID),
    ].filter { !$0.1.isEmpty }
    if given.count != 1 {
      let found = given.isEmpty ? "none" : given.map(\.0).joined(separator: " and ")
      validator.refuse(
        given.last?.0 ?? "run_id",
        "must be the one of run_id, logged_model_id, and trace_id with project_id that is given: "
          + "\(found) is")
    }
    if !request.projectID.isEmpty, request.traceID.isEmpty {
      validator.refuse("project_id", "must be given with trace_id only")
    }
    if !request.traceID.isEmpty {
      validator.name("trace_id", request.traceID, bytes: 1...ArtifactOwnerName.traceBytesMax)
      self = .trace(request.traceID, in: validator.id("project_id", request.projectID))
    } else if !request.loggedModelID.isEmpty {
      self = .loggedModel(validator.id("logged_model_id", request.loggedModelID))
    } else {
      self = .run(given.isEmpty ? .zero : validator.id("run_id", request.runID))
    }
  }
}

/// What has files: a run, a logged model or a trace.
struct ArtifactOwner {
  /// What it is, as statements call it.
  enum Kind: String {
    case run
    case loggedModel = "logged_model"
    case trace

    /// With what statements refuse where there is none.
    var refusal: String {
      switch self {
      case .run: "RUN_NOT_FOUND"
      case .loggedModel: "LOGGED_MODEL_NOT_FOUND"
      case .trace: "TRACE_NOT_FOUND"
      }
    }
  }

  let kind: Kind
  let id: UUID
  /// What clients call it.
  let publicID: String
  /// Its project, once that is known.
  private(set) var projectID = UUID.zero

  init(_ kind: Kind, _ id: UUID, publicID: String? = nil) {
    self.kind = kind
    self.id = id
    self.publicID = publicID ?? id.description
  }

  /// The owner that a row has; nil where it is a trace that nobody sees any more.
  init?(_ runID: UUID?, _ loggedModelID: UUID?, _ traceID: UUID?, _ publicTraceID: String?) {
    if let runID {
      self.init(.run, runID)
    } else if let loggedModelID {
      self.init(.loggedModel, loggedModelID)
    } else if let traceID, let publicTraceID {
      self.init(.trace, traceID, publicID: publicTraceID)
    } else {
      return nil
    }
  }

  func placed(in projectID: UUID) -> ArtifactOwner {
    var placed = self
    placed.projectID = projectID
    return placed
  }

  /// The id, where it is of that kind.
  func id(_ kind: Kind) -> UUID? { self.kind == kind ? id : nil }

  /// The values of run_id, logged_model_id and trace_id.
  var fields: (runID: String, loggedModelID: String, traceID: String) {
    (
      kind == .run ? publicID : "", kind == .loggedModel ? publicID : "",
      kind == .trace ? publicID : ""
    )
  }

  /// The one of these fields that is not empty.
  var named: (String, String) { ("\(kind.rawValue)_id", publicID) }

  /// For people: "run 0190…".
  var title: String {
    switch kind {
    case .run: "run \(publicID)"
    case .loggedModel: "logged model \(publicID)"
    case .trace: "trace \(publicID)"
    }
  }

  /// What a caller hears where it is not there, or not theirs.
  var notFound: CallError {
    switch kind {
    case .run: runNotFound(id)
    case .loggedModel:
      CallError(
        TrackingErrorReason.loggedModelNotFound,
        "There is no logged model \(publicID) in your organization.")
    case .trace:
      CallError(
        TrackingErrorReason.traceNotFound, "There is no trace \(publicID) in the project.")
    }
  }

  /// Holds it, so that of two changes of its files one waits for the other.
  func hold(_ organizationID: UUID) -> Query<Int> {
    switch kind {
    case .run: ArtifactsQueries.holdRunOfArtifact(organizationID: organizationID, runID: id)
    case .loggedModel:
      ArtifactsQueries.holdLoggedModelOfArtifact(
        organizationID: organizationID, loggedModelID: id)
    case .trace: ArtifactsQueries.holdTraceOfArtifact(traceID: id)
    }
  }

  /// What is at a path of its files.
  func place(
    _ path: String, parents: [String], _ call: CallContext
  ) -> Query<ArtifactsQueries.GetArtifactPlaceRow?> {
    ArtifactsQueries.getArtifactPlace(
      userID: call.principal.id, organizationID: call.principal.organizationID, ownerID: id,
      parentPaths: parents, path: path, ownerKind: kind.rawValue)
  }
}

extension Upload {
  /// Says whose file it is.
  mutating func note(_ owner: ArtifactOwner) {
    (runID, loggedModelID, traceID) = owner.fields
  }
}

extension TrackingService {
  /// What a request is about, where the caller sees it.
  func owner(
    _ name: ArtifactOwnerName, _ call: CallContext
  ) async throws(CallError) -> ArtifactOwner {
    let owner = try await identify(name, call)
    guard let seen = try await seen(owner, call) else { throw owner.notFound }
    return seen
  }

  /// What a request is about, whether it is there or not: changes find out themselves, after they
  /// have looked whether they were made before.
  func identify(
    _ name: ArtifactOwnerName, _ call: CallContext
  ) async throws(CallError) -> ArtifactOwner {
    switch name {
    case .run(let id): return ArtifactOwner(.run, id)
    case .loggedModel(let id): return ArtifactOwner(.loggedModel, id)
    case .trace(let publicID, in: let projectID):
      let id = try await call.read(
        ArtifactsQueries.getTraceWithFiles(
          organizationID: call.principal.organizationID, projectID: projectID,
          publicID: publicID))
      return ArtifactOwner(.trace, id ?? .zero, publicID: publicID)
    }
  }

  /// Whether the caller sees what a file or an upload is of.
  func sees(_ owner: ArtifactOwner, _ call: CallContext) async throws(CallError) -> Bool {
    try await seen(owner, call) != nil
  }

  private func seen(
    _ owner: ArtifactOwner, _ call: CallContext
  ) async throws(CallError) -> ArtifactOwner? {
    let projectID = try await call.read(
      ArtifactsQueries.getArtifactOwner(
        organizationID: call.principal.organizationID, kind: owner.kind.rawValue, id: owner.id))
    guard let projectID, try await call.roleInProject(projectID) != nil else { return nil }
    return owner.placed(in: projectID)
  }
}
