import Postgres
import Testing

@testable import RPC
@testable import Tracing

/// What searches for traces can name.
struct TraceSearchTests {
  @Test(
    "Every field is read, by each of its names",
    arguments: [
      "trace_id = 't'", "request_id LIKE 't%'", "attributes.trace_id = 't'", "trace.trace_id = 't'",
      "timestamp > 5", "timestamp_ms <= 5", "execution_time = 5", "execution_time_ms IS NULL",
      "end_time >= 5", "end_time_ms < 5", "status = 'ok'", "state IN ('ERROR', 'IN_PROGRESS')",
      "status = 'STATE_UNSPECIFIED'", "client_request_id RLIKE 'x'", "experiment_id = 'x'",
      "name = 'n'", "session_id = 's'", "run_id = 'r'", "text LIKE '%a%'", "tags.team = 'a'",
      "tag.`my tag` = 'a'", "metadata.user = 'a'", "request_metadata.user IS NOT NULL",
      "span.name = 'n'", "spans.type = 'LLM'", "span.status = 'OK'", "span.content LIKE '%a%'",
      "span.attributes.model = 'a'", "span.attributes.`my model` RLIKE 'a'",
      "feedback.good > 0.5", "feedback.good = 'yes'", "expectation.answer = '42'", "issue.id = 'i'",
    ])
  func fields(filter: String) throws {
    #expect(try SearchParser.filter(filter, TraceSearch.schema) != nil)
  }

  @Test(
    "What traces do not have is refused, and so is an order by what one may have several of",
    arguments: [
      ("nothing = 'x'", ""), ("span.nothing = 'x'", ""), ("span.attributes. = 'x'", ""),
      ("feedback.x > 'x'", ""), ("timestamp = '5'", ""), ("status = 'GREAT'", ""),
      ("issue.name = 'x'", ""), ("", "span.name"), ("", "feedback.good"), ("", "run_id"),
      ("", "text"), ("", "nothing"),
    ])
  func refusals(filter: String, order: String) {
    #expect(throws: SearchError.self) {
      if order.isEmpty {
        _ = try SearchParser.filter(filter, TraceSearch.schema)
      } else {
        _ = try SearchParser.order(order, TraceSearch.schema)
      }
    }
  }

  @Test(
    "Fields that a trace has one of are orders",
    arguments: [
      "timestamp", "timestamp_ms DESC", "execution_time ASC", "end_time", "status", "name DESC",
      "session_id", "tags.team", "metadata.user", "trace_id", "client_request_id",
    ])
  func orders(order: String) throws {
    _ = try SearchParser.order(order, TraceSearch.schema)
  }

  @Test("A shortcut is the field that it is short for")
  func shortcuts() throws {
    for (short, long) in [
      ("name = 'n'", "tags.`mlflow.traceName` = 'n'"),
      ("session_id = 's'", "metadata.`mlflow.trace.session` = 's'"),
      ("run_id = 'r'", "runs.run_id = 'r'"), ("text = 't'", "span.content = 't'"),
    ] {
      #expect(
        try SearchParser.filter(short, TraceSearch.schema)
          == SearchParser.filter(long, TraceSearch.schema))
    }
  }

  @Test("A page returns as many columns as a trace is read from")
  func columns() {
    let columns = TraceSearch.schema.columns.description.split(separator: ",")
    #expect(columns.count == TraceSearch.schema.columnCount)
  }
}
