import ArgumentParser
import Client
import Testing
import Wire

@testable import needletail

@Suite struct CommandLineTests {
  @Test(
    "Every command parses with its options",
    arguments: [
      ["whoami"], ["whoami", "-o", "json", "--timeout", "2.5s"],
      ["whoami", "--json"], ["whoami", "--json", "--timeout", "2s"],
      ["runs", "list", "--json", "id,name", "--limit", "3"], ["runs", "list", "--json=id"],
      ["runs", "show", "--json", "0198"], ["whoami", "--json", "-o", "json"],
      ["login", "--profile", "prod", "--url", "h", "--ca-file", "c"], ["logout"],
      ["profiles", "list"], ["profiles", "use", "prod"], ["profiles", "show"],
      ["profiles", "delete", "prod", "--yes"],
      ["runs", "list", "--status", "running", "--limit", "5", "--url", "needletail://host"],
      ["runs", "show", "latest", "--width", "60"],
      ["runs", "watch", "0198", "--skip-history", "--stay"],
      ["runs", "list", "--filter", "metrics.loss < 1", "--order-by", "run_name", "--archived"],
      ["logs", "0198", "-f", "--stay", "--level", "error", "--rank", "1", "--rank", "2"],
      ["experiments", "list", "--name", "x", "--connection-file", "c.json"],
      ["orgs", "show"], ["orgs", "update", "--slug", "acme", "--settings", "@s.json"],
      ["members", "list", "--limit", "5"], ["members", "set-role", "0198", "Developer"],
      ["members", "remove", "0198", "--yes"], ["members", "deactivate", "0198", "--yes"],
      ["service-accounts", "create", "nightly", "--role", "viewer"],
      ["service-accounts", "update", "0198", "--no-active"],
      ["service-accounts", "delete", "--yes", "0198"],
      ["keys", "create", "laptop", "--scope", "run.*", "--scope", "*", "--from", "10.0.0.0/8"],
      ["keys", "create", "laptop", "--scope", "*", "--expires-in", "90d", "--user", "0198"],
      ["keys", "list", "--all", "--limit", "3"], ["keys", "show", "0198"],
      ["keys", "update", "0198", "--name", "x", "--from-anywhere", "--etag", "1"],
      ["keys", "revoke", "0198", "--yes"], ["keys", "rotate", "0198", "--overlap", "24h"],
      ["keys", "rotate", "0198", "--now"], ["keys", "recover", "--data-dir", "d"],
      ["call", "Tracking/GetRun", #"{"id":"x"}"#, "--idempotency-key", "k"], ["call", "Echo", "-"],
      ["describe"], ["describe", "Run"], ["ping", "--count", "2"],
      [
        "load", "echo", "--connections", "32", "--in-flight", "64", "--seconds", "5", "--loops",
        "2",
        "--json", "--payload-bytes", "10",
      ],
      ["load", "get-run", "--calls", "100", "--run", "x"], ["load", "create-run"],
      ["load", "append-metrics", "--writers", "20", "--metrics", "10", "--batch-points", "10"],
      ["load", "echo", "--idle", "--connections", "10000"], ["completions", "fish"],
    ])
  func parses(arguments: [String]) throws {
    _ = try Needletail.parseAsRoot(arguments)
  }

  @Test(
    "A wrong command line is refused",
    arguments: [
      ["nothing"], ["whoami", "--bogus"], ["runs", "list", "--status", "sleeping"],
      ["runs", "list", "--count", "--columns", "name"], ["runs", "list", "--limit", "0"],
      ["runs", "show"],
      ["runs", "finish", "0198", "--status", "running"],
      ["ping", "--count", "0"],
      ["load", "echo", "--seconds", "1", "--calls", "1"], ["load", "echo", "--connections", "0"],
      ["load", "append-metrics", "--writers", "0"],
      ["load", "append-metrics", "--metrics", "2000"],
      ["load", "append-metrics", "--batch-points", "10001"],
      ["keys", "create", "laptop"], ["keys", "rotate", "0198", "--yes"],
      ["keys", "rotate", "0198", "--overlap", "1h", "--now"],
      ["keys", "update", "0198", "--from", "10.0.0.0/8", "--from-anywhere"],
      ["whoami", "-o", "xml"], ["whoami", "--timeout", "0"], ["whoami", "--timeout", "1y"],
      ["completions", "tcsh"], ["orgs", "update"], ["whoami", "--json", "-o", "table"],
      ["members", "set-role", "0198", "owner"], ["whoami", "--json", "id,"],
      ["whoami", "--json", "0198"], ["login", "key"], ["profiles", "use"], ["logout", "key"],
      ["audit", "export", "--format", "csv", "--json", "id"],
      ["service-accounts", "create", "nightly"], ["service-accounts", "update", "0198"],
      ["service-accounts", "list", "--limit", "0"], ["members", "list", "--limit", "0"],
      ["up", "--set", "nonsense=1"],
      ["serve", "--certificate", "c", "--key", "k", "--set", "pool-size=many"],
    ])
  func refuses(arguments: [String]) {
    #expect(throws: (any Error).self) { try Needletail.parseAsRoot(arguments) }
  }

  @Test(
    "Times have units",
    arguments: [
      ("30", Duration.seconds(30)), ("1.5s", .milliseconds(1_500)), ("200ms", .milliseconds(200)),
      ("2m", .seconds(120)), ("1h", .seconds(3_600)),
      ("90d", .seconds(7_776_000)),
    ])
  func times(text: String, duration: Duration) {
    #expect(TimeArgument(argument: text)?.duration == duration)
  }

  @Test(
    "Completion scripts name every command",
    arguments: [
      CompletionShell.bash, .zsh, .fish,
    ])
  func completions(shell: CompletionShell) {
    let script = Needletail.completionScript(for: shell)
    for name in [
      "whoami", "login", "logout", "profiles", "runs", "experiments", "call", "describe", "ping",
      "load", "service-accounts", "deactivate",
    ] {
      #expect(script.contains(name))
    }
  }

  @Test(
    "Exit codes follow the status",
    arguments: [
      (StatusCode.unauthenticated, 3), (.permissionDenied, 3), (.notFound, 4), (.alreadyExists, 5),
      (.failedPrecondition, 5), (.aborted, 5), (.unavailable, 6), (.deadlineExceeded, 6),
      (.resourceExhausted, 6), (.invalidArgument, 7), (.outOfRange, 7), (.internal, 1),
      (.unimplemented, 1), (.unknown, 1), (.dataLoss, 1), (.cancelled, 1),
    ] as [(StatusCode, Int32)])
  func exitCodes(code: StatusCode, expected: Int32) {
    let error = ClientError(.status, Status(code, reason: "", message: ""))
    #expect(CommandFailure(error).status.rawValue == expected)
  }

  @Test(
    "Exit codes tell the kinds of failures apart",
    arguments: [
      (ClientError.Kind.settings, 2), (.refused, 6), (.connectionLost, 6), (.tls, 6),
      (.protocolViolation, 1),
    ] as [(ClientError.Kind, Int32)])
  func exitKinds(kind: ClientError.Kind, expected: Int32) {
    let error = ClientError(kind, Status(.unavailable, reason: "", message: ""))
    #expect(CommandFailure(error).status.rawValue == expected)
  }

  @Test("A failure tells reason, fields, advice and request, to people and programs")
  func failure() throws {
    var status = Status(.invalidArgument, reason: "FIELD_INVALID", message: "Two fields are bad.")
    status.fieldViolations = [FieldViolation(field: "runs[0].id", description: "is no UUID")]
    status.details = ["hint": "look"]
    status.retryAfterMilliseconds = 1_500
    status.requestID = "r-7"
    let failure = CommandFailure(ClientError(.status, status))
    #expect(
      failure.text == """
        error: INVALID_ARGUMENT / FIELD_INVALID: Two fields are bad.
          runs[0].id: is no UUID
          hint = look
          try again in 1.5 s
          request r-7
        """)
    #expect(
      failure.json.compact == #"{"error":{"code":"INVALID_ARGUMENT","reason":"FIELD_INVALID","#
        + #""message":"Two fields are bad.","fieldViolations":[{"field":"runs[0].id","#
        + #""description":"is no UUID"}],"details":{"hint":"look"},"retryAfterMs":1500,"#
        + #""requestId":"r-7"}}"#)
  }
}
