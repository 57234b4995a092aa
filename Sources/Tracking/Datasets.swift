public import Messages
internal import Postgres
public import RPC

/// The bounds of looking for datasets.
enum DatasetBounds {
  /// Experiments of one request.
  static let experimentIDsMax = 1_000
  static let pageSize = 100
  static let pageSizeMax = 1_000
}

extension TrackingService {
  /// Lists the datasets that runs of experiments read, each once.
  public func listDatasets(
    _ request: ListDatasetsRequest, _ call: CallContext
  ) async throws(CallError) -> ListDatasetsResponse {
    var validator = Validator()
    let most = DatasetBounds.experimentIDsMax
    if !(1...most).contains(request.experimentIDs.count) {
      validator.refuse("experiment_ids", "must be 1 to \(most), are \(request.experimentIDs.count)")
    }
    var ids: [UUID] = []
    for (index, text) in request.experimentIDs.prefix(most).enumerated() {
      ids.append(validator.id("experiment_ids[\(index)]", text))
    }
    let size = validator.pageSize(
      request.pageSize, standard: DatasetBounds.pageSize, max: DatasetBounds.pageSizeMax)
    try validator.finish()
    let purpose = "datasets \(ids.map(\.description).joined(separator: " "))"
    let after = try DatasetPlace(request.pageToken, for: purpose)
    let rows = try await call.read(
      LinksQueries.listDatasets(
        organizationID: call.principal.organizationID, experimentIDs: ids,
        afterExperimentID: after.experimentID, afterName: after.name, afterDigest: after.digest,
        afterContext: after.context, seesAllProjects: call.seesAllProjects,
        userID: call.principal.id, pageSize: Int64(size) + 1))
    var response = ListDatasetsResponse()
    response.datasets = rows.prefix(size).map { row in
      var dataset = ExperimentDataset()
      dataset.experimentID = row.experimentID.description
      dataset.name = row.name
      dataset.digest = row.digest
      dataset.context = row.context
      return dataset
    }
    if rows.count > size, let last = response.datasets.last {
      response.nextPageToken = DatasetPlace.token(after: last, for: purpose)
    }
    return response
  }
}

/// Where a page of datasets begins: behind this one.
private struct DatasetPlace {
  var experimentID = UUID.zero
  var name = ""
  var digest = ""
  var context = ""

  /// None of the texts has control characters.
  private static let separator = "\u{1f}"

  init(_ token: String, for purpose: String) throws(CallError) {
    if token.isEmpty { return }
    guard let content = Token.readText(token, for: purpose) else { throw pageTokenInvalid() }
    let parts =
      content
      .split(separator: Self.separator, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 4, let id = UUID(parts[0]) else { throw pageTokenInvalid() }
    (experimentID, name, digest, context) = (id, parts[1], parts[2], parts[3])
  }

  static func token(after last: ExperimentDataset, for purpose: String) -> String {
    let parts = [last.experimentID, last.name, last.digest, last.context]
    return Token.make(Array(parts.joined(separator: separator).utf8), for: purpose)
  }
}
