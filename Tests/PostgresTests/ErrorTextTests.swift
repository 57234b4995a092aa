import Postgres
import Testing

@Suite struct ErrorTextTests {
  private static let report = ServerError(
    sqlState: "23505", message: "duplicate key value", detail: "Key (name)=(secret) exists.",
    constraint: "runs_pkey", table: "runs", column: nil, severity: "ERROR")

  @Test(
    "An error is one line of plain words, and quotes no values",
    arguments: [
      (
        .away("connection failed: No such file\n\tIs the server running?\n"),
        "connection failed: No such file Is the server running?"
      ),
      (.server(report), "duplicate key value (SQLSTATE 23505)"),
      (.connectionLost(outcomeUnknown: false, message: "it closed"), "it closed"),
      (
        .connectionLost(outcomeUnknown: true, message: "it closed"),
        "it closed (whether it was committed is not known)"
      ),
      (.configuration("no such option"), "no such option"),
      (.busy, "too many calls wait for a connection"),
    ] as [(PostgresError, String)])
  func text(error: PostgresError, expected: String) {
    #expect("\(error)" == expected)
  }
}
