internal import ArgumentParser
internal import Client
internal import Messages

/// How much a command lists.
struct Limit: ParsableArguments {
  @Option(help: "How many to list at most.")
  var limit = 50

  func validate() throws {
    guard limit > 0 else { throw ValidationError("--limit must be above 0.") }
  }
}

/// A request for one page of a list.
protocol PageRequest: Message {
  var pageSize: UInt32 { get set }
  var pageToken: String { get set }
}

/// One page of a list.
protocol PageResponse: Message {
  var nextPageToken: String { get set }
}

extension ListMembersRequest: PageRequest {}
extension ListMembersResponse: PageResponse {}
extension ListInvitationsRequest: PageRequest {}
extension ListInvitationsResponse: PageResponse {}
extension ListServiceAccountsRequest: PageRequest {}
extension ListServiceAccountsResponse: PageResponse {}
extension ListProjectsRequest: PageRequest {}
extension ListProjectsResponse: PageResponse {}
extension ListProjectMembersRequest: PageRequest {}
extension ListProjectMembersResponse: PageResponse {}
extension ListApiKeysRequest: PageRequest {}
extension ListApiKeysResponse: PageResponse {}
extension ListAuditLogsRequest: PageRequest {}
extension ListAuditLogsResponse: PageResponse {}
extension ListRunsRequest: PageRequest {}
extension ListRunsResponse: PageResponse {}
extension SearchRunsRequest: PageRequest {}
extension SearchRunsResponse: PageResponse {}
extension ListExperimentsRequest: PageRequest {}
extension ListExperimentsResponse: PageResponse {}
extension ListDatasetsRequest: PageRequest {}
extension ListDatasetsResponse: PageResponse {}
extension ListRunTagsRequest: PageRequest {}
extension ListRunTagsResponse: PageResponse {}
extension ListExperimentTagsRequest: PageRequest {}
extension ListExperimentTagsResponse: PageResponse {}
extension ListRunParametersRequest: PageRequest {}
extension ListRunParametersResponse: PageResponse {}

extension CommandContext {
  /// The most that a server gives in one page.
  private static let pageSizeMax = 1_000

  /// Reads pages until there are `limit` elements or no more, and gives all as one page.
  func list<Request: PageRequest, Response: PageResponse, Element>(
    _ method: MethodDescriptor, _ request: Request,
    _ elements: WritableKeyPath<Response, [Element]>, limit: Int,
    pageSizeMax: Int = Self.pageSizeMax
  ) async throws(ClientError) -> Response {
    var request = request
    var all = Response()
    repeat {
      let missing = limit - all[keyPath: elements].count
      request.pageSize = UInt32(min(missing, pageSizeMax))
      let page = try await call(method, request, for: Response.self)
      all[keyPath: elements] += page[keyPath: elements]
      all.nextPageToken = page.nextPageToken
      request.pageToken = page.nextPageToken
    } while !request.pageToken.isEmpty && all[keyPath: elements].count < limit
    return all
  }
}
