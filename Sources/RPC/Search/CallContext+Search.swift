internal import EventLoop
public import Messages
public import Postgres
internal import Wire

/// With which reasons a service refuses searches.
public struct SearchReasons: Sendable {
  let filterInvalid: any ErrorReason
  let orderInvalid: any ErrorReason
  let timedOut: any ErrorReason

  /// Names the reasons.
  public init(
    filterInvalid: any ErrorReason, orderInvalid: any ErrorReason, timedOut: any ErrorReason
  ) {
    self.filterInvalid = filterInvalid
    self.orderInvalid = orderInvalid
    self.timedOut = timedOut
  }
}

/// A page of a search.
public struct SearchPage<Value> {
  /// What was found; at most as many as were asked for.
  public let values: [Value]
  private let places: [SearchPlace]
  private let hasMore: Bool
  private let purpose: String

  init(_ values: [Value], _ places: [SearchPlace], hasMore: Bool, purpose: String) {
    self.values = values
    self.places = places
    self.hasMore = hasMore
    self.purpose = purpose
  }

  /// The token of the page behind the first `count` values; empty when there is nothing behind.
  public func next(after count: Int) -> String {
    guard count > 0, hasMore || count < values.count else { return "" }
    return Token.make(places[count - 1].bytes, for: purpose)
  }
}

extension CallContext {
  /// Reads a filter and an order; `restriction` adds ` and …` for what the caller may see.
  public func search(
    _ schema: SearchSchema, filter: String, orderBy: [String], isNarrow: Bool = false,
    _ reasons: SearchReasons,
    restriction: @escaping @Sendable (inout ComposedStatement) -> Void
  ) throws(CallError) -> Search {
    try search(
      schema, filter: filter, order: orderBy.map { SearchOrderField($0) }, isNarrow: isNarrow,
      reasons, restriction: restriction)
  }

  /// The same where values of series are narrowed down.
  ///
  /// Those that the filter looks at are of one of the qualifiers, if there are any. A field of the
  /// order is called by its index and `place` in the request.
  public func search(
    _ schema: SearchSchema, filter: String, order fields: [SearchOrderField], at place: String = "",
    qualifiers: [SearchQualifier] = [], isNarrow: Bool = false, _ reasons: SearchReasons,
    restriction: @escaping @Sendable (inout ComposedStatement) -> Void
  ) throws(CallError) -> Search {
    let condition: SearchCondition?
    do throws(SearchError) {
      condition = try SearchParser.filter(filter, schema)
    } catch {
      throw CallError(error, reasons.filterInvalid, field: "filter")
    }
    guard fields.count <= SearchBounds.orderFieldsMax else {
      var validator = Validator()
      validator.refuse(
        "order_by", "must be at most \(SearchBounds.orderFieldsMax) fields, are \(fields.count)")
      try validator.finish()
      return Search(
        schema, organizationID: .zero, condition: nil, order: [], restriction: restriction)
    }
    var order: [SearchOrder] = []
    for (index, asked) in fields.enumerated() {
      do throws(SearchError) {
        let read = try SearchParser.order(asked.text, schema)
        if asked.qualifier != nil, !schema.isSeries(read.target) {
          throw SearchError(
            byte: 0, character: 1, expected: "a metric, as a dataset is named", found: asked.text)
        }
        let field = SearchOrder(
          read.target, isDescending: read.isDescending, asked.qualifier)
        guard
          !order.contains(where: {
            $0.target == field.target && $0.qualifier == field.qualifier
          })
        else {
          throw SearchError(
            byte: 0, character: 1, expected: "a field that the order does not name before",
            found: "it again")
        }
        order.append(field)
      } catch {
        throw CallError(error, reasons.orderInvalid, field: "order_by[\(index)]\(place)")
      }
    }
    return Search(
      schema, organizationID: principal.organizationID, condition: condition, order: order,
      isNarrow: isNarrow, qualifiers: qualifiers, restriction: restriction)
  }

  /// How many resources a search finds.
  public func count(
    _ search: Search, _ name: StaticString, _ reasons: SearchReasons
  ) async throws(CallError) -> Int64 {
    let accesses = try await accesses(search, name, isToCount: true, reasons)
    return try await read(search.count(name, accesses), reasons)
  }

  /// How the parts of the filter are decided, by how many ids satisfy each.
  private func accesses(
    _ search: Search, _ name: StaticString, isToCount: Bool, _ reasons: SearchReasons
  ) async throws(CallError) -> [Int: SearchAccess] {
    let sets = search.sets
    guard !sets.isEmpty else { return [:] }
    let counts = try await read(
      search.counts(name, of: sets, isToCount: isToCount), reasons)
    return search.accesses(sets, counts, isToCount: isToCount)
  }

  /// A page of a search; its token is good for `purpose` only.
  public func page<Value: Sendable>(
    _ search: Search, _ name: StaticString, size: Int, token: String, purpose: String,
    _ reasons: SearchReasons, id: (Value) -> UUID,
    _ decode: @escaping @Sendable (borrowing Row) throws(PostgresError) -> Value
  ) async throws(CallError) -> SearchPage<Value> {
    var start: SearchPlace?
    if !token.isEmpty {
      start = Token.read(token, for: purpose).flatMap { SearchPlace($0, search.orderKinds) }
      guard start != nil else { throw pageTokenInvalid() }
    }
    var values: [Value] = []
    var places: [SearchPlace] = []
    let accesses = try await accesses(search, name, isToCount: false, reasons)
    var way = SearchWay(accesses, tried: search.triedClauses(accesses))
    for rank in search.ranks(from: start) where values.count <= size {
      let rows = try await rows(
        search, name, &way, rank: rank, after: start, limit: size + 1 - values.count, reasons,
        decode)
      for row in rows {
        values.append(row.value)
        places.append(SearchPlace(row.values, id: id(row.value)))
      }
    }
    return SearchPage(
      Array(values.prefix(size)), places, hasMore: values.count > size, purpose: purpose)
  }

  /// One part of a page: of what comes first in the order where that is enough, else of all with
  /// sets of ids.
  private func rows<Value: Sendable>(
    _ search: Search, _ name: StaticString, _ way: inout SearchWay, rank: Int,
    after start: SearchPlace?, limit: Int, _ reasons: SearchReasons,
    _ decode: @escaping @Sendable (borrowing Row) throws(PostgresError) -> Value
  ) async throws(CallError) -> [(value: Value, values: [SearchValue])] {
    guard !way.findsNothing else { return [] }
    if rank == 0, !way.tried.isEmpty,
      let end = try await read(
        search.trialEnd(name, after: start, rows: SearchTrialBounds.rowsMax), reasons)
    {
      let first = try await read(
        search.page(
          name, way.accesses, rank: rank, after: start, until: end, limit: limit, decode), reasons)
      if first.count == limit { return first }
      way = search.heldWay(
        way, try await read(search.heldCounts(name, way.tried), reasons))
      if way.findsNothing { return first }
    }
    return try await read(
      search.page(
        name, way.accesses, rank: rank, after: start, holdsAll: way.holdsAll, limit: limit, decode),
      reasons)
  }

  /// Runs a statement of a search, planned for its values, within the time that searches have.
  public func read<Output>(
    _ query: Query<Output>, _ reasons: SearchReasons
  ) async throws(CallError) -> Output {
    let limit = server.settings.searchTimeout
    let rest = deadline.map { $0.since(loop.now) }
    let patience = min(limit, rest ?? limit)
    let milliseconds = max(1, patience.wholeNanoseconds / 1_000_000)
    do throws(PostgresError) {
      return try await database.read(
        work, SearchQueries.limitSearch(milliseconds: String(milliseconds)), query
      ).1
    } catch {
      if let refused = error.serverError, refused.sqlState == SQLState.invalidRegularExpression {
        throw CallError(
          reasons.filterInvalid,
          "A regular expression of the filter cannot be read: \(refused.message).")
      }
      let isStopped = error.serverError?.sqlState == SQLState.queryCanceled
      guard isStopped, patience == limit, cancellation.reason == nil else {
        throw callError(error)
      }
      throw CallError(
        reasons.timedOut,
        "The search took longer than \(limit); narrow it down: fewer experiments, an equality on a "
          + "tag or a parameter, a range of a metric.")
    }
  }
}

extension CallError {
  /// Says where a filter or an order cannot be read, and what was expected there.
  init(_ error: SearchError, _ reason: any ErrorReason, field: String) {
    self.init(
      reason, "\(field) cannot be read \(error.description).",
      details: ["byte": String(error.byte), "character": String(error.character)])
    status.fieldViolations = [FieldViolation(field: field, description: error.description)]
  }
}
